//! The comparison itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use provider_sim::AuditEntry;

use super::words::{self, Inbound};
use super::{History, LedgerRow, Verdict};

/// States that no message may be left in once a run has settled.
const UNDER_WAY: [&str; 2] = ["queued", "sending"];
/// States that say: the provider took it.
const TAKEN: [&str; 6] = [
    "accepted",
    "sent",
    "delivered",
    "undelivered",
    "expired",
    "failed",
];
/// States that say: no request ever left, or none that is in force.
const NEVER_HANDED_OVER: [&str; 4] = ["suppressed", "invalid", "cancelled", "expired_before_send"];
/// The code of a row that failed without the provider ever taking it.
const ATTEMPTS_EXHAUSTED: &str = "attempts_exhausted";

/// One attempted message, with everything that is known about it.
struct Attempted<'h> {
    provider: &'h str,
    reference: String,
    distribution: &'h str,
    /// `None`: intake must refuse it.
    recipient: Option<&'h str>,
    confirmed: bool,
    ledger: Option<&'h LedgerRow>,
    twin: Option<&'h AuditEntry>,
}

impl Attempted<'_> {
    fn state(&self) -> &str {
        self.ledger.map_or("", |row| row.state.as_str())
    }

    fn taken(&self) -> u32 {
        self.twin.map_or(0, |entry| entry.accepted)
    }

    fn requests(&self) -> u32 {
        self.twin.map_or(0, |entry| entry.requests)
    }

    /// The provider's word for where the message is.
    fn told_by_twin(&self) -> &str {
        self.twin
            .and_then(|entry| entry.status.as_deref())
            .unwrap_or_default()
    }

    /// The states that this word can mean.
    fn meanings(&self) -> &'static [&'static str] {
        words::meanings(self.provider, self.told_by_twin())
    }
}

/// Compares what all witnesses say.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let ours = attempted(history);
    handed_over(history, &ours, &mut verdict);
    ledger_against_itself(history, &ours, &mut verdict);
    twin_against_ledger(history, &ours, &mut verdict);
    lost_and_doubled(history, &ours, &mut verdict);
    in_doubt(history, &ours, &mut verdict);
    opt_outs(history, &ours, &mut verdict);
    events(history, &ours, &mut verdict);
    replies(history, &mut verdict);
    verdict
}

fn attempted(history: &History) -> Vec<Attempted<'_>> {
    let rows: HashMap<&str, &LedgerRow> = history
        .rows
        .iter()
        .map(|row| (row.reference.as_str(), row))
        .collect();
    let entries: HashMap<&str, &AuditEntry> = history
        .twin
        .entries
        .iter()
        .filter(|entry| !entry.reference.is_empty())
        .map(|entry| (entry.reference.as_str(), entry))
        .collect();
    let of_batch = |batch: &super::HandedOver| batch.recipients.len();
    let mut all = Vec::with_capacity(history.batches.iter().map(of_batch).sum());
    for batch in &history.batches {
        for (row, recipient) in batch.recipients.iter().enumerate() {
            let reference = batch.reference(row);
            all.push(Attempted {
                provider: history.provider,
                distribution: &batch.distribution,
                recipient: recipient.as_deref(),
                confirmed: batch.confirmed,
                ledger: rows.get(reference.as_str()).copied(),
                twin: entries.get(reference.as_str()).copied(),
                reference,
            });
        }
    }
    all
}

fn count(of: &[Attempted<'_>], which: impl Fn(&Attempted<'_>) -> bool) -> u64 {
    of.iter().filter(|message| which(message)).count() as u64
}

fn names(of: &[Attempted<'_>], which: impl Fn(&Attempted<'_>) -> bool) -> Vec<String> {
    let chosen = of.iter().filter(|message| which(message));
    chosen.map(|message| message.reference.clone()).collect()
}

fn handed_over(history: &History, ours: &[Attempted<'_>], verdict: &mut Verdict) {
    let confirmed = history.batches.iter().filter(|batch| batch.confirmed);
    verdict.tell(
        "batches confirmed to the scheduler",
        confirmed.count() as u64,
    );
    verdict.tell("attempted: rows of those", count(ours, |m| m.confirmed));
    verdict.tell(
        "acknowledged: rows in the ledger",
        count(ours, |m| m.ledger.is_some()),
    );
    let refused = count(ours, |m| m.state() == "invalid");
    let bad = count(ours, |m| m.ledger.is_some() && m.recipient.is_none());
    verdict.compare("refused by intake", refused, "bad rows handed over", bad);
    verdict.forbid(
        "lost",
        "a row was confirmed to the scheduler and the ledger does not know it",
        names(ours, |m| m.confirmed && m.ledger.is_none()),
    );
    verdict.forbid(
        "unexpected",
        "a good row was refused, or a bad one taken",
        names(ours, |m| {
            m.ledger.is_some() && (m.state() == "invalid") != m.recipient.is_none()
        }),
    );
    let known: HashSet<&str> = ours.iter().map(|m| m.reference.as_str()).collect();
    let strangers = history.rows.iter().map(|row| row.reference.as_str());
    verdict.forbid(
        "unexpected",
        "the ledger has a row that nobody handed over",
        strangers
            .filter(|reference| !known.contains(reference))
            .map(str::to_owned)
            .collect(),
    );
    let mut seen = HashSet::new();
    let twice = history.rows.iter().map(|row| row.reference.as_str());
    verdict.forbid(
        "unexpected",
        "the ledger lists a row twice",
        twice
            .filter(|reference| !seen.insert(*reference))
            .map(str::to_owned)
            .collect(),
    );
}

/// The counters must be what counting the rows gives, state by state.
fn ledger_against_itself(history: &History, ours: &[Attempted<'_>], verdict: &mut Verdict) {
    let mut by_row: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &history.rows {
        *by_row.entry(&row.state).or_default() += 1;
    }
    let states: BTreeSet<&str> = history
        .counts
        .keys()
        .map(String::as_str)
        .chain(by_row.keys().copied())
        .collect();
    for state in states {
        let rows = by_row.get(state).copied().unwrap_or_default();
        let counted = history.counts.get(state).copied().unwrap_or_default();
        if rows + counted > 0 {
            verdict.compare(
                format!("ledger: {state}"),
                rows,
                "the ledger's counter",
                counted,
            );
        }
    }
    let total: u64 = history.counts.values().sum();
    let known = count(ours, |m| m.ledger.is_some());
    verdict.compare("ledger: all states", total, "rows it acknowledged", known);
}

fn twin_against_ledger(history: &History, ours: &[Attempted<'_>], verdict: &mut Verdict) {
    let totals = &history.twin.totals;
    let refused: u64 = totals.refused.values().sum();
    verdict.tell("twin: requests", totals.requests);
    verdict.compare(
        "twin: taken + refused + repeated + throttled + cut short",
        totals.accepted + refused + totals.repeated + totals.throttled + totals.ambiguous_not_taken,
        "its requests",
        totals.requests,
    );
    verdict.tell("twin: refused with a code", refused);
    verdict.tell("twin: repeated, recognised", totals.repeated);
    verdict.tell("twin: throttled (429)", totals.throttled);
    verdict.tell("twin: taken, answered 5xx or reset", totals.ambiguous_taken);
    verdict.tell(
        "twin: not taken, answered 5xx or reset",
        totals.ambiguous_not_taken,
    );
    let callbacks = &totals.callbacks;
    verdict.tell("twin: receipts taken by the ingress", callbacks.ok);
    verdict.tell(
        "twin: receipts posted twice on purpose",
        callbacks.duplicated,
    );
    verdict.tell(
        "twin: receipts that it gave up to deliver",
        callbacks.failed.values().sum(),
    );

    let known: HashSet<&str> = ours.iter().map(|m| m.reference.as_str()).collect();
    let foreign = |entry: &&AuditEntry| !known.contains(entry.reference.as_str());
    let taken = count(ours, |m| m.taken() > 0);
    let answers: u64 = history
        .twin
        .entries
        .iter()
        .filter(foreign)
        .map(|entry| u64::from(entry.accepted))
        .sum();
    verdict.tell("twin: the fleet's own answers", answers);
    verdict.compare(
        "twin: messages taken",
        totals.accepted,
        "distinct messages of ours + answers",
        taken + answers,
    );
    let wrote = who_wrote(history);
    verdict.forbid(
        "unexpected",
        "the twin took a message that nobody handed over, for somebody who never wrote to us",
        history
            .twin
            .entries
            .iter()
            .filter(foreign)
            .filter(|entry| entry.accepted > 0 && !wrote.contains(entry.recipient.as_str()))
            .map(|entry| entry.reference.clone())
            .collect(),
    );

    // State by state, message by message: the end that the provider told is the end in the books.
    let given_up: u64 = callbacks.failed.values().sum::<u64>() + callbacks.lost;
    let mut statuses: BTreeSet<&str> = ours.iter().map(Attempted::told_by_twin).collect();
    statuses.remove("");
    let behind = |m: &Attempted<'_>| {
        m.taken() > 0 && m.ledger.is_some() && !m.meanings().contains(&m.state())
    };
    for status in statuses {
        verdict.compare(
            format!("taken by the twin, {status} there"),
            count(ours, |m| m.taken() > 0 && m.told_by_twin() == status),
            "the same in the ledger or receipt given up".to_owned(),
            count(ours, |m| {
                m.taken() > 0
                    && m.told_by_twin() == status
                    && (!behind(m) || (given_up > 0 && is_before(m)))
            }),
        );
    }
    let late: Vec<String> = names(ours, behind);
    verdict.tell(
        "ledger behind the twin: receipt given up",
        late.len() as u64,
    );
    if late.len() as u64 > given_up {
        verdict.forbid(
            "lost",
            "a receipt was taken by the ingress and the ledger does not have it",
            late,
        );
    }
    verdict.forbid(
        "unexpected",
        "the ledger says that the provider took a message, and it did not",
        names(ours, |m| {
            TAKEN.contains(&m.state()) && m.taken() == 0 && !never_taken(m)
        }),
    );
    verdict.forbid(
        "unexpected",
        "the ledger says that a message never left, and the provider took it",
        names(ours, |m| {
            let refused = m.state() == "rejected" && !m.meanings().contains(&"rejected");
            (NEVER_HANDED_OVER.contains(&m.state()) || refused) && m.taken() > 0
        }),
    );
    // Over the entries, not the rows: one name under two recipients is two entries.
    let meant: HashMap<&str, Option<&str>> = ours
        .iter()
        .map(|m| (m.reference.as_str(), m.recipient))
        .collect();
    verdict.forbid(
        "unexpected",
        "a request named somebody else than its row does",
        history
            .twin
            .entries
            .iter()
            .filter(|entry| {
                let to = meant.get(entry.reference.as_str());
                to.is_some_and(|to| *to != Some(entry.recipient.as_str()))
            })
            .map(|entry| entry.reference.clone())
            .collect(),
    );
}

/// Whether a `failed` row says itself that no attempt was ever taken.
fn never_taken(message: &Attempted<'_>) -> bool {
    let code = message.ledger.map_or("", |row| row.code.as_str());
    message.state() == "failed" && code.starts_with(ATTEMPTS_EXHAUSTED)
}

/// Whether the ledger only lacks a receipt: it may stand where a message waits for one.
fn is_before(message: &Attempted<'_>) -> bool {
    match message.state() {
        "in_doubt" | "accepted" => true,
        "sent" => !message.meanings().contains(&"accepted"),
        _ => false,
    }
}

fn lost_and_doubled(history: &History, ours: &[Attempted<'_>], verdict: &mut Verdict) {
    let under_way = |m: &Attempted<'_>| UNDER_WAY.contains(&m.state());
    let lost = names(ours, under_way);
    verdict.tell("lost: neither sent nor ended", lost.len() as u64);
    verdict.forbid("lost", "a message is still queued or being sent", lost);

    let mut doubled = names(ours, |m| m.taken() > 1);
    let mut taken_by: HashMap<(&str, &str), u32> = HashMap::new();
    for message in ours.iter().filter(|m| m.taken() > 0) {
        if let Some(recipient) = message.recipient {
            let person = (message.distribution, recipient);
            let times = taken_by.entry(person).or_default();
            *times += 1;
            // The same person in two batches of one mailing is the scheduler's doing only if it
            // handed them over twice; no test does.
            if *times > 1 {
                doubled.push(message.reference.clone());
            }
        }
    }
    doubled.extend(
        history
            .twin
            .doubled
            .iter()
            .map(|entry| entry.reference.clone()),
    );
    doubled.sort();
    doubled.dedup();
    verdict.tell("doubled: taken twice for one person", doubled.len() as u64);
    verdict.forbid("doubled", "a person was texted twice", doubled);
}

/// A doubt is right if a request arrived whose answer could not say what became of it, and the
/// provider did not take it; the receipt settles all others.
fn in_doubt(history: &History, ours: &[Attempted<'_>], verdict: &mut Verdict) {
    let doubt = |m: &Attempted<'_>| m.state() == "in_doubt";
    let not_taken = |m: &Attempted<'_>| m.taken() == 0 && m.requests() > 0;
    verdict.tell("in doubt: all", count(ours, doubt));
    let explained = count(ours, |m| doubt(m) && not_taken(m));
    verdict.tell("in doubt: a request arrived and was not taken", explained);
    let cut_off = names(ours, |m| doubt(m) && m.requests() == 0);
    verdict.tell(
        "in doubt: claimed, no request arrived",
        cut_off.len() as u64,
    );
    let unsettled = names(ours, |m| doubt(m) && m.taken() > 0);
    verdict.tell("in doubt: taken, receipt given up", unsettled.len() as u64);
    let callbacks = &history.twin.totals.callbacks;
    if unsettled.len() as u64 > callbacks.failed.values().sum::<u64>() + callbacks.lost {
        verdict.forbid(
            "in doubt",
            "the receipt of a taken message did not settle its doubt",
            unsettled,
        );
    }
    if cut_off.len() as u64 > history.allowed.claims_cut_off {
        verdict.forbid(
            "in doubt",
            "more claims were cut off than requests can have been in flight",
            cut_off,
        );
    }
    // Every request that was answered ambiguously and not taken leaves exactly one doubt, because
    // nobody may try again. Beyond that only what a kill cut off after its request had arrived: then
    // the twin answered plainly (a refusal, a 429), and nobody was there to hear.
    let ambiguous = history.twin.totals.ambiguous_not_taken;
    // The fleet's own answers may have met one too; they have no row here.
    let known: HashSet<&str> = ours.iter().map(|m| m.reference.as_str()).collect();
    let entries = history.twin.entries.iter();
    let answers = entries.filter(|entry| !known.contains(entry.reference.as_str()));
    let answers = answers.filter(|entry| entry.accepted == 0).count() as u64;
    let cut_off = history.allowed.claims_cut_off;
    if words::repeats_are_recognised(history.provider) {
        verdict.forbid(
            "in doubt",
            "a doubt was not settled by asking again",
            names(ours, |m| doubt(m) && not_taken(m) && cut_off == 0),
        );
    } else if cut_off == 0 && answers == 0 {
        verdict.compare(
            "in doubt: with a request",
            explained,
            "ambiguous answers of the twin, not taken",
            ambiguous,
        );
    } else if explained + answers < ambiguous || explained > ambiguous + cut_off {
        verdict.forbid(
            "in doubt",
            "doubts and ambiguous answers do not match",
            names(ours, |m| doubt(m) && not_taken(m)),
        );
    }
}

fn opt_outs(history: &History, ours: &[Attempted<'_>], verdict: &mut Verdict) {
    let stops = &history.twin.stops;
    verdict.tell("opt-outs acknowledged to the twin", stops.len() as u64);
    verdict.tell(
        "suppressed in the ledger",
        count(ours, |m| m.state() == "suppressed"),
    );
    let stopped: HashSet<&str> = stops.iter().map(|stop| stop.recipient.as_str()).collect();
    verdict.forbid(
        "unexpected",
        "a message was suppressed for somebody who never opted out",
        names(ours, |m| {
            m.state() == "suppressed" && !m.recipient.is_some_and(|to| stopped.contains(to))
        }),
    );
    // The fleet may answer an opt-out once; everything else after it is late.
    let known: HashSet<&str> = ours.iter().map(|m| m.reference.as_str()).collect();
    let mut answers: HashMap<&str, u64> = HashMap::new();
    for entry in &history.twin.entries {
        if !known.contains(entry.reference.as_str()) {
            *answers.entry(&entry.recipient).or_default() += u64::from(entry.requests);
        }
    }
    let allowed_ms = u64::try_from(history.allowed.late.as_millis()).unwrap_or(u64::MAX);
    let late: Vec<String> = stops
        .iter()
        .filter(|stop| {
            let answered = answers.get(stop.recipient.as_str()).copied();
            let requests = stop.requests_after > answered.unwrap_or_default();
            requests && stop.worst_late_ms > allowed_ms
        })
        .map(|stop| format!("{} ms after", stop.worst_late_ms))
        .collect();
    verdict.tell("requests after an opt-out, soon enough", {
        let soon = stops.iter().filter(|stop| stop.worst_late_ms <= allowed_ms);
        soon.map(|stop| stop.requests_after).sum()
    });
    verdict.tell("late: requests to stopped numbers", late.len() as u64);
    verdict.forbid(
        "late",
        "a request left for somebody who had opted out",
        late,
    );
}

/// What the platform was told last about a message is what the ledger says.
fn events(history: &History, ours: &[Attempted<'_>], verdict: &mut Verdict) {
    let mut told: HashMap<&str, (u64, &str)> = HashMap::new();
    let mut total = 0;
    for event in &history.events {
        if event["kind"] != "status" {
            continue;
        }
        let status = event["status"].as_str().unwrap_or_default();
        for message in event["messages"].as_array().into_iter().flatten() {
            total += 1;
            let seq = message["seq"].as_u64().unwrap_or_default();
            let Some(reference) = message["reference"].as_str() else {
                continue;
            };
            let latest = told.entry(reference).or_insert((seq, status));
            if seq >= latest.0 {
                *latest = (seq, status);
            }
        }
    }
    verdict.tell("events heard about messages", total);
    let by_events = |m: &Attempted<'_>| told.get(m.reference.as_str()).map(|(_, status)| *status);
    let ended = |m: &Attempted<'_>| {
        m.ledger.is_some() && m.state() != "invalid" && !UNDER_WAY.contains(&m.state())
    };
    verdict.compare(
        "messages whose last event is their state",
        count(ours, |m| ended(m) && by_events(m) == Some(m.state())),
        "messages with a state to tell",
        count(ours, ended),
    );
    verdict.forbid(
        "untold",
        "the last event about a message is not its state",
        names(ours, |m| ended(m) && by_events(m) != Some(m.state()))
            .into_iter()
            .map(|reference| {
                let said = told
                    .get(reference.as_str())
                    .map_or("nothing", |told| told.1);
                format!("{reference} told {said}")
            })
            .collect(),
    );
}

fn who_wrote(history: &History) -> HashSet<&str> {
    let replies = history.replies.iter();
    let from = replies.filter_map(|reply| reply["from"].as_str());
    let stops = history
        .twin
        .stops
        .iter()
        .map(|stop| stop.recipient.as_str());
    from.chain(stops).collect()
}

fn replies(history: &History, verdict: &mut Verdict) {
    let mut distinct: HashMap<&str, u64> = HashMap::new();
    for reply in &history.replies {
        if let Some(id) = reply["provider_message_id"].as_str() {
            distinct.insert(id, reply["parts"].as_u64().unwrap_or(1));
        }
    }
    let posts = &history.twin.totals.inbound.posts;
    let given_up: u64 = posts.failed.values().sum();
    let heard = distinct.len() as u64;
    let (callbacks_min, callbacks_max) = match words::inbound(history.provider) {
        Inbound::Once => (heard, heard),
        Inbound::PartByPart => {
            let parts = distinct.values().sum();
            (parts, parts)
        }
        Inbound::OnceOrTwice => (heard, 2 * heard),
    };
    verdict.tell("distinct replies heard", heard);
    if given_up == 0 && callbacks_min == callbacks_max {
        verdict.compare(
            "callbacks that told them",
            callbacks_min,
            "inbound callbacks taken by the ingress",
            posts.ok,
        );
        return;
    }
    verdict.tell("inbound callbacks taken by the ingress", posts.ok);
    // One that was taken and whose answer was lost counts as given up there, and may be heard here.
    if callbacks_max < posts.ok || callbacks_min > posts.ok + given_up {
        verdict.forbid(
            "lost",
            "replies heard and inbound messages taken do not match",
            vec![format!(
                "{heard} heard, {} taken, {given_up} given up",
                posts.ok
            )],
        );
    }
}
