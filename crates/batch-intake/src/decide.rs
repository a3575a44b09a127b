//! The decision about one batch: what it is, whether it is known, and where it goes.

use bus::Delivery;
use bytes::Bytes;
use ledger::{BatchRecord, Registered};
use message::{
    BatchKey, Class, Connection, Method, Refusal, Rule, connection::OrganizationSettings,
    template::Template,
};

use crate::{
    checks::{Checked, Terms, check},
    connection::choose,
    digest::digest,
    metrics::Outcome,
    patience::Halt,
    reading::{Draft, Head, Lane, Limits, Names, read},
    refusals::of_batch,
    rows::DraftRow,
    service::{Intake, now},
    turns::Party,
};

/// A batch that was read without fault, and what was decided about its organisation.
struct Sound {
    head: Head,
    template: Template,
    rows: Vec<DraftRow>,
    late: Option<Refusal>,
    organization: OrganizationSettings,
}

/// What a new batch is registered with, beside its head.
struct New {
    key: BatchKey,
    digest: String,
    recipients: usize,
    late: Option<Refusal>,
    organization: OrganizationSettings,
}

/// What registering came to.
enum Entered {
    /// It is there and not published: to be handed on over this connection.
    Open(Box<(BatchRecord, Connection)>, Outcome),
    /// It is published already.
    Repeated,
    /// It is not taken.
    Refused(Vec<Refusal>),
}

impl Intake {
    /// From bytes to a decision. `Ok` means that the delivery may be acked.
    pub(crate) async fn decide(
        &self,
        delivery: &Delivery,
        lane: Lane,
        party: &Party,
    ) -> Result<Outcome, Halt> {
        let body = &delivery.body;
        if body.len() > self.settings.body_bytes_max {
            let detail = format!(
                "{} bytes; at most {}",
                body.len(),
                self.settings.body_bytes_max
            );
            let fault = of_batch("", Rule::TooLarge, detail);
            return self
                .refuse_unread(delivery, lane, Names::default(), vec![fault])
                .await;
        }
        let draft = self.read(party, body.clone(), lane).await?;
        let organization = match &draft.names.organization_id {
            Some(id) => {
                self.patience
                    .until("look up organisation", || self.ledger.organization(id))
                    .await?
            }
            None => OrganizationSettings::default(),
        };
        let Draft {
            names,
            head,
            template,
            segments_max,
            rows,
            faults,
            late,
        } = draft;
        match (head, template) {
            (Some(head), Some(template)) => {
                let sound = Sound {
                    head,
                    template,
                    rows,
                    late,
                    organization,
                };
                self.decide_sound(delivery, party, names, sound).await
            }
            (_, template) => {
                let known = names.organization_id.is_some();
                let mut refusals: Vec<Refusal> = faults.into_iter().chain(late).collect();
                let misshapen = refusals.iter().any(|fault| fault.rule == Rule::Malformed);
                refusals.extend(if known {
                    let region = organization.default_region;
                    let checked = self
                        .check(party, rows, template, segments_max, region)
                        .await?;
                    checked.refusals
                } else {
                    let bad = rows.into_iter().filter_map(Result::err);
                    bad.flat_map(|row| row.refusals).collect()
                });
                if misshapen {
                    self.refuse_unread(delivery, lane, names, refusals).await
                } else {
                    self.refuse(body, names, refusals).await
                }
            }
        }
    }

    /// A batch without a fault of its own: new, seen before, or cut short the last time.
    async fn decide_sound(
        &self,
        delivery: &Delivery,
        party: &Party,
        names: Names,
        sound: Sound,
    ) -> Result<Outcome, Halt> {
        let Sound {
            head,
            template,
            rows,
            late,
            organization,
        } = sound;
        let (head, rows, digest) = self
            .work(party, move || {
                let digest = digest(&head, &rows);
                (head, rows, digest)
            })
            .await?;
        let key = BatchKey::of(&head.organization_id, &head.batch_id);
        let _turn = self.in_hand.turn(key).await;
        let known = self
            .patience
            .until("look up batch", || self.ledger.batch(key))
            .await?;
        match &known {
            Some(known) if known.digest != digest => {
                return self.refuse(&delivery.body, names, vec![conflict()]).await;
            }
            Some(known) if known.published => return Ok(Outcome::Repeated),
            _ => {}
        }
        let recipients = rows.len();
        let (region, most) = (organization.default_region.clone(), head.segments_max);
        let checked = self
            .check(party, rows, Some(template), Some(most), region)
            .await?;
        let entered = match known {
            Some(known) => self.again(known).await?,
            None => {
                let new = New {
                    key,
                    digest,
                    recipients,
                    late,
                    organization,
                };
                self.enter(&head, new).await?
            }
        };
        match entered {
            Entered::Open(open, outcome) => {
                self.hand_on(party, &names, &head, *open, checked, outcome)
                    .await
            }
            Entered::Repeated => Ok(Outcome::Repeated),
            Entered::Refused(faults) => {
                let all = faults.into_iter().chain(checked.refusals).collect();
                self.refuse(&delivery.body, names, all).await
            }
        }
    }

    /// Registers a batch that the ledger did not know when it was asked.
    async fn enter(&self, head: &Head, new: New) -> Result<Entered, Halt> {
        let default = self.settings.default_organization.as_ref();
        let organization = &new.organization;
        let chosen = choose(&*self.ledger, &self.patience, head, organization, default).await?;
        let connection = match (new.late.clone(), chosen) {
            (None, Ok(connection)) => connection,
            (late, chosen) => {
                let none = chosen.err().map(|why| {
                    let detail = why.detail().to_owned();
                    of_batch("organization_id", Rule::NoConnection, detail)
                });
                return Ok(Entered::Refused(late.into_iter().chain(none).collect()));
            }
        };
        let record = new_record(head, new, &connection);
        let registered = self
            .patience
            .until("register batch", || self.ledger.register_batch(&record))
            .await?;
        // Another process, or this one before its call's answer was lost, may have been first.
        Ok(match registered {
            Registered::New => Entered::Open(Box::new((record, connection)), Outcome::Taken),
            Registered::Known(known) if known.published => Entered::Repeated,
            Registered::Known(known) => self.again(known).await?,
            Registered::Conflict => Entered::Refused(vec![conflict()]),
            Registered::Cancelled => Entered::Refused(vec![of_batch(
                "distribution_id",
                Rule::DistributionCancelled,
                "the distribution was cancelled".to_owned(),
            )]),
        })
    }

    /// An interrupted batch, with the connection that was chosen when it was first seen: deleted
    /// meanwhile or not, its rate gives the same chunks.
    async fn again(&self, known: BatchRecord) -> Result<Entered, Halt> {
        let connection = self
            .patience
            .until("look up connection", || {
                self.ledger.connection(&known.connection_id)
            })
            .await?
            .ok_or(Halt::Poison("connection_unknown"))?;
        Ok(Entered::Open(
            Box::new((known, connection)),
            Outcome::Finished,
        ))
    }

    async fn read(&self, party: &Party, body: Bytes, lane: Lane) -> Result<Draft, Halt> {
        let limits = Limits {
            segments_max: self.settings.segments_max.get(),
            expiry_default: self.settings.expiry_default,
            expiry_max: self.settings.expiry_max,
        };
        self.work(party, move || read(&body, lane, limits, now()))
            .await
    }

    async fn check(
        &self,
        party: &Party,
        rows: Vec<DraftRow>,
        template: Option<Template>,
        segments_max: Option<u8>,
        default_region: Option<String>,
    ) -> Result<Checked, Halt> {
        let segments_max = segments_max.unwrap_or(self.settings.segments_max.get());
        self.work(party, move || {
            let terms = Terms {
                template: template.as_ref(),
                segments_max,
                default_region: default_region.as_deref(),
            };
            check(rows, &terms)
        })
        .await
    }
}

fn conflict() -> Refusal {
    let detail = "this batch id was handed over before with other content";
    of_batch("batch_id", Rule::BatchConflict, detail.to_owned())
}

fn new_record(head: &Head, new: New, connection: &Connection) -> BatchRecord {
    let express = head.internal.is_some() || head.method == Method::Interactive;
    BatchRecord {
        key: new.key,
        organization_id: head.organization_id.clone(),
        distribution_id: head.distribution_id.clone(),
        batch_id: head.batch_id.clone(),
        digest: new.digest,
        connection_id: connection.id.clone(),
        class: if express { Class::Express } else { Class::Bulk },
        recipients: u32::try_from(new.recipients).expect("a batch has at most 10,000 recipients"),
        on_doubt: head.on_doubt,
        expires_at: head.expires_at,
        created_at: now(),
        published: false,
    }
}
