//! The headers of a dead letter.

use bus::Outgoing;

/// `letter` with the headers that everything on its way to `sms.dead` carries: why it is dead, who
/// says so in which version, and the queue to which it may be published again. No queue for what
/// can not be redriven, because it is cut short, say.
#[must_use]
pub fn dead_letter<'q>(
    letter: Outgoing,
    reason: &str,
    stage: &str,
    queue: impl Into<Option<&'q str>>,
) -> Outgoing {
    let letter = letter
        .with_header("reason", reason)
        .with_header("stage", stage)
        // The fleet is released as one: this crate's version is every service's.
        .with_header("version", env!("CARGO_PKG_VERSION"));
    match queue.into() {
        Some(queue) => letter.with_header("queue", queue),
        None => letter,
    }
}

#[cfg(test)]
mod tests {
    use bus::Route;

    use super::*;

    #[test]
    fn a_dead_letter_says_why_by_whom_and_where_it_came_from() {
        let letter = Outgoing::new(Route::Dead, "m1", "{}");
        let labelled = dead_letter(letter.clone(), "malformed", "batch-intake", "sms.batches");
        let names: Vec<_> = labelled.headers.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["reason", "stage", "version", "queue"]);
        let cut = dead_letter(letter, "too_large", "batch-intake", None);
        assert!(cut.headers.iter().all(|(name, _)| name != "queue"));
    }
}
