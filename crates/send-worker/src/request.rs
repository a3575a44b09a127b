//! Some rows, from their texts to what became of each. Mostly that is one HTTP request. It takes
//! more where the provider refused all of them for the sake of one (then the others go again in
//! halves, or without it), where the access token was over, and where a doubt can be settled by
//! submitting once more, because the provider recognises what it has already.
//!
//! None of these repetitions counts as an attempt, and each asks again who has opted out meanwhile.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use message::{
    Reference, Secret, Timestamp,
    chunk::ChunkRow,
    opt_out::{OptOutKind, Standing},
    template::MissingField,
};
use providers::{
    Answer, Hint, MtMessage, RejectReason, Submission, SubmitClass, SubmitMode, SubmitOutcome,
    Unsendable, check_message,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Shared, group::now, in_flight::Slots, run::Open, submit::NoAnswer};

/// A row with what became of it.
pub(crate) type Answered = (ChunkRow, Fate);

/// What became of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
    /// The provider's answer, or the lack of one.
    Answered(SubmitOutcome),
    /// Its recipient opted out after the claim; it was certainly not taken.
    OptedOut,
    /// The tokens of its limit did not come; it never left.
    NotLetGo,
}

/// Some rows to hand over.
pub(crate) struct Request<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) open: &'a Open,
    /// When the claim checked who has opted out.
    pub(crate) checked_at: Instant,
    /// An earlier request for these rows may have been taken: only an answer that says so ends the
    /// doubt.
    pub(crate) doubtful: bool,
    /// No repetition begins after this fires.
    pub(crate) stop: &'a CancellationToken,
}

/// Before repetitions that settle a doubt. Within minutes: how long a provider recognises a
/// message is not documented.
const DOUBT_PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(15),
];

/// Repetitions of a request without the messages that made the provider refuse it. Providers name
/// all culprits at once, so a second time is rare already.
const RESUBMITS_MAX: u8 = 8;

/// What was known about opt-outs this long ago is asked again: no request may start more than a
/// second after an opt-out was acknowledged.
const CHECKED_FOR: Duration = Duration::from_millis(500);

/// Messages that go together.
struct Piece {
    /// Their places among all.
    places: Vec<usize>,
    mode: SubmitMode,
    resubmits: u8,
    renewed_token: bool,
    /// How many of [`DOUBT_PAUSES`] it has taken.
    repeats: usize,
    /// Waited for before it goes.
    pause: Duration,
}

impl Piece {
    fn new(places: Vec<usize>) -> Self {
        Self {
            mode: SubmitMode::of(places.len()),
            places,
            resubmits: 0,
            renewed_token: false,
            repeats: 0,
            pause: Duration::ZERO,
        }
    }
}

impl Piece {
    /// Whether nothing was submitted for its messages before.
    fn is_first(&self) -> bool {
        self.repeats == 0 && self.resubmits == 0 && !self.renewed_token
    }
}

impl Request<'_> {
    /// One fate for each row; each request has one of the `slots` while it is under way.
    pub(crate) async fn run(self, rows: Vec<ChunkRow>, slots: &Slots) -> Vec<Answered> {
        let (open, batch) = (self.open, self.open.chunk.batch);
        let texts: Vec<Result<String, MissingField>> = rows
            .iter()
            .map(|row| {
                let mut text = String::new();
                open.template.render(&row.fields, &mut text).map(|()| text)
            })
            .collect();
        let references: Vec<String> = rows
            .iter()
            .map(|row| {
                Reference {
                    batch,
                    row: row.row,
                }
                .to_string()
            })
            .collect();
        let validity = open.chunk.expires_at.since(now());
        let mut fates: Vec<Option<Fate>> = vec![None; rows.len()];
        let mut messages = Vec::with_capacity(rows.len());
        let mut places = Vec::with_capacity(rows.len());
        for (place, ((row, text), reference)) in
            rows.iter().zip(&texts).zip(&references).enumerate()
        {
            let message = MtMessage {
                reference,
                to: row.to,
                text: text.as_deref().unwrap_or_default(),
                validity,
            };
            let refused = match text {
                Err(_) => Some((RejectReason::Other, "missing_field")),
                Ok(_) => check_message(open.provider, &open.connection, &message)
                    .err()
                    .map(|refusal| (refusal.reason, refusal.code)),
            };
            messages.push(message);
            match refused {
                Some((reason, code)) => {
                    let outcome = SubmitOutcome::new(SubmitClass::Rejected(reason), code);
                    fates[place] = Some(Fate::Answered(outcome));
                }
                None => places.push(place),
            }
        }
        self.rounds(&messages, places, &mut fates, slots).await;
        let doubt = || Fate::Answered(SubmitOutcome::in_doubt("answer_incomplete"));
        rows.into_iter()
            .zip(fates.into_iter().map(|fate| fate.unwrap_or_else(doubt)))
            .collect()
    }

    async fn rounds(
        mut self,
        messages: &[MtMessage<'_>],
        places: Vec<usize>,
        fates: &mut [Option<Fate>],
        slots: &Slots,
    ) {
        let started = Instant::now();
        // Whoever holds a claim for longer than this is taken for dead.
        let until = started + self.shared.settings.request_timeout * 2;
        let mut waiting: VecDeque<Piece> = self.pieces(messages, places).into();
        while let Some(mut piece) = waiting.pop_front() {
            let may_go = piece.pause.is_zero() || Box::pin(self.pause(piece.pause)).await;
            let slot = slots.acquire().await;
            let in_time = may_go && Instant::now() < until;
            if !in_time {
                // What is known about its messages stands; those never submitted wait for a retry.
                for place in piece.places {
                    let unsent = SubmitOutcome::new(SubmitClass::Transient, "not_reached");
                    fates[place].get_or_insert(Fate::Answered(unsent));
                }
                continue;
            }
            let is_first = piece.repeats == 0 && !self.doubtful;
            if !self
                .still_wanted(&mut piece, messages, fates, is_first)
                .await
            {
                continue;
            }
            let own: Vec<MtMessage<'_>> =
                piece.places.iter().map(|place| messages[*place]).collect();
            // Boxed: the whole would be moved about for every message, and be more than what the allocator
            // keeps at hand.
            let answer = Box::pin(self.submit(&own, &piece)).await;
            drop(slot);
            self.open.metrics.count(&answer.outcomes);
            let over = self.stop.is_cancelled() || Instant::now() >= until;
            waiting.extend(self.digest(piece, answer, fates, over));
        }
    }

    /// All messages in one request, and those that must not share one by themselves.
    fn pieces(&self, messages: &[MtMessage<'_>], places: Vec<usize>) -> Vec<Piece> {
        let goes_alone = |place: &usize| self.open.provider.goes_alone(&messages[*place]);
        let (alone, together): (Vec<usize>, Vec<usize>) = places.into_iter().partition(goes_alone);
        let together = (!together.is_empty()).then_some(together);
        together
            .into_iter()
            .chain(alone.into_iter().map(|place| vec![place]))
            .map(Piece::new)
            .collect()
    }

    /// Drops those who have opted out since it was last looked; whether any message is left.
    async fn still_wanted(
        &mut self,
        piece: &mut Piece,
        messages: &[MtMessage<'_>],
        fates: &mut [Option<Fate>],
        is_first: bool,
    ) -> bool {
        let exempt = self.open.chunk.exempt_from_opt_out;
        if exempt || (self.checked_at.elapsed() < CHECKED_FOR && !self.doubtful) {
            return !piece.places.is_empty();
        }
        let numbers: Vec<_> = piece
            .places
            .iter()
            .map(|place| messages[*place].to)
            .collect();
        let organization = &self.open.chunk.organization_id;
        let asked = self.shared.ledger.standings(organization, &numbers).await;
        let Ok(standings) = asked else {
            // Who can not ask does not send: what waited stays with what is known about it.
            self.shared.metrics.ledger_errors.inc();
            for place in piece.places.drain(..) {
                let unasked = SubmitOutcome::new(SubmitClass::Transient, "ledger_away");
                fates[place].get_or_insert(if is_first {
                    Fate::Answered(unasked)
                } else {
                    Fate::Answered(SubmitOutcome::in_doubt("ledger_away"))
                });
            }
            return false;
        };
        let is_out = |standing: &Option<Standing>| {
            standing
                .as_ref()
                .is_some_and(|known| known.kind == OptOutKind::OptOut)
        };
        let mut out = standings.iter().map(is_out);
        let in_doubt = !is_first;
        piece.places.retain(|place| {
            let is_out = out.next().unwrap_or(false);
            if is_out && !in_doubt {
                fates[*place] = Some(Fate::OptedOut);
            } else if is_out {
                // What may have been taken stays in doubt, but nothing is sent for it any more.
                let doubt = SubmitOutcome::in_doubt("opted_out");
                fates[*place].get_or_insert(Fate::Answered(doubt));
            }
            !is_out
        });
        self.checked_at = Instant::now();
        !piece.places.is_empty()
    }

    /// Notes what the answer decides, and returns what has to be submitted again.
    fn digest(
        &self,
        piece: Piece,
        answer: Answer,
        fates: &mut [Option<Fate>],
        over: bool,
    ) -> Vec<Piece> {
        let (mut unsent, mut doubtful) = (Vec::new(), Vec::new());
        let repeatable = self.open.provider.capabilities().repeat_is_safe;
        for (place, outcome) in piece.places.iter().copied().zip(answer.outcomes) {
            let was_in_doubt = self.doubtful || piece.repeats > 0;
            let class = outcome.class;
            let ends_doubt = matches!(class, SubmitClass::Accepted | SubmitClass::Rejected(_));
            if matches!(class, SubmitClass::Transient) && answer.hint.is_some() {
                unsent.push(place);
            } else if repeatable && (class == SubmitClass::DOUBT || (was_in_doubt && !ends_doubt)) {
                doubtful.push(place);
            }
            // That a repetition was not taken says nothing about the request before it.
            if was_in_doubt && !ends_doubt {
                let doubt = Fate::Answered(SubmitOutcome::in_doubt(outcome.code));
                fates[place].get_or_insert(doubt);
            } else {
                fates[place] = Some(Fate::Answered(outcome));
            }
        }
        let mut next = Vec::new();
        if over {
            return next;
        }
        if !unsent.is_empty() {
            next.extend(self.unsent_again(&piece, answer.hint, unsent, fates));
        }
        if !doubtful.is_empty()
            && let Some(pause) = DOUBT_PAUSES.get(piece.repeats)
        {
            next.push(Piece {
                repeats: piece.repeats + 1,
                pause: *pause,
                ..Piece::new(doubtful)
            });
        }
        next
    }

    /// How messages that were certainly not taken go again at once.
    fn unsent_again(
        &self,
        piece: &Piece,
        hint: Option<Hint>,
        places: Vec<usize>,
        fates: &mut [Option<Fate>],
    ) -> Vec<Piece> {
        let like = |places: Vec<usize>| Piece {
            repeats: piece.repeats,
            resubmits: piece.resubmits,
            renewed_token: piece.renewed_token,
            ..Piece::new(places)
        };
        match hint {
            // Halves of halves end at single messages, whose refusal is their own.
            Some(Hint::Split) if places.len() > 1 => {
                let (one, other) = places.split_at(places.len() / 2);
                vec![like(one.to_vec()), like(other.to_vec())]
            }
            Some(Hint::Split) if piece.mode == SubmitMode::Batch => vec![like(places)],
            Some(Hint::Resubmit) if piece.resubmits < RESUBMITS_MAX => vec![Piece {
                resubmits: piece.resubmits + 1,
                ..like(places)
            }],
            Some(Hint::RefreshToken) if !piece.renewed_token => vec![Piece {
                renewed_token: true,
                ..like(places)
            }],
            Some(Hint::RefreshToken) => {
                for place in places {
                    let refused = SubmitOutcome::new(SubmitClass::AccountRefused, "access_token");
                    fates[place] = Some(Fate::Answered(refused));
                }
                Vec::new()
            }
            // Left as they are: transient, to be tried again later.
            Some(Hint::Split | Hint::Resubmit) | None => Vec::new(),
        }
    }

    /// `false` if the worker stops first: then a doubt stays one.
    async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// The request, or the answer that there would be to it.
    fn build(
        &self,
        messages: &[MtMessage<'_>],
        piece: &Piece,
        token: Option<&Secret>,
        now: Timestamp,
    ) -> Result<http::Request<Bytes>, Answer> {
        let submission = Submission {
            messages,
            mode: piece.mode,
            public_url: &self.shared.public_url,
            access_token: token.map(|token| token.reveal()),
            now,
        };
        let built = match &self.open.requests {
            Ok(requests) => requests.build_request(&submission),
            Err(why) => Err(why.clone()),
        };
        let all = |outcome: SubmitOutcome| Answer::all(messages.len(), outcome);
        built.map_err(|error| match error {
            // The body would be too long: fewer of them fit.
            Unsendable::Count { max, .. } if max > 0 && messages.len() > 1 => {
                let too_many = SubmitOutcome::new(SubmitClass::Transient, "request_too_long");
                all(too_many).with_hint(Hint::Split)
            }
            error => {
                tracing::error!(connection = %self.open.connection.id, "{error}");
                all(SubmitOutcome::new(
                    SubmitClass::AccountRefused,
                    "unsendable",
                ))
            }
        })
    }

    async fn submit(&self, messages: &[MtMessage<'_>], piece: &Piece) -> Answer {
        let (shared, open) = (self.shared, self.open);
        let connection = &open.connection;
        let all = |outcome: SubmitOutcome| Answer::all(messages.len(), outcome);
        let token = match open.provider.access_tokens() {
            None => None,
            Some(tokens) => {
                match Box::pin(shared.tokens.get(tokens, connection, &shared.submit)).await {
                    Ok(token) => Some(token),
                    Err(outcome) => return all(outcome),
                }
            }
        };
        let now = now();
        let request = match self.build(messages, piece, token.as_ref(), now) {
            Ok(request) => request,
            Err(answer) => return answer,
        };
        let started = Instant::now();
        if let Some(queued_at) = open.queued_at
            && piece.is_first()
        {
            let waited = now.since(queued_at).as_secs_f64();
            open.metrics.queue_seconds.observe(waited);
        }
        shared.metrics.requests_in_flight.inc();
        let answer = shared.submit.submit(request).await;
        shared.metrics.requests_in_flight.dec();
        open.metrics
            .submit_seconds
            .observe(started.elapsed().as_secs_f64());
        let answer = match answer {
            Ok(response) => open.provider.read_response(messages, piece.mode, &response),
            Err(NoAnswer::NotSent(code)) => all(SubmitOutcome::new(SubmitClass::Transient, code)),
            Err(NoAnswer::Unknown(code)) => all(SubmitOutcome::in_doubt(code)),
        };
        if let (Some(Hint::RefreshToken), Some(token)) = (answer.hint, &token) {
            shared.tokens.forget(&connection.id, token).await;
        }
        answer
    }
}
