//! What is shown while the mailings run: a bar on a terminal, a line every second anywhere else.
//! All of it goes to standard error, so that standard output holds the report alone.

use std::{
    collections::VecDeque,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ledger::Counts;
use message::MessageState;

use crate::output::figure;

/// How a mailing stands. Every figure counts messages that came at least so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Rows handed over to intake.
    pub rows: u64,
    /// Rows that have an end, refused ones included.
    pub ended: u64,
    /// Taken by the provider.
    pub accepted: u64,
    /// Passed on to the carrier.
    pub sent: u64,
    /// On the handset.
    pub delivered: u64,
    /// Ended badly: undelivered, failed, rejected, expired.
    pub failed: u64,
    /// Doubts.
    pub in_doubt: u64,
    /// Withheld because the recipient opted out.
    pub opted_out: u64,
}

impl Standing {
    /// Reads it off the ledger's counters.
    #[must_use]
    pub fn of(rows: u64, counts: &Counts) -> Self {
        use MessageState as S;
        let sum = |states: &[S]| states.iter().map(|state| counts.of(*state)).sum::<u64>();
        let books = counts.books();
        Self {
            rows,
            ended: books.terminal + books.invalid,
            accepted: sum(&[
                S::Accepted,
                S::Sent,
                S::Delivered,
                S::Undelivered,
                S::Failed,
                S::Expired,
            ]),
            sent: sum(&[S::Sent, S::Delivered, S::Undelivered]),
            delivered: counts.of(S::Delivered),
            failed: sum(&[
                S::Undelivered,
                S::Failed,
                S::Rejected,
                S::Expired,
                S::ExpiredBeforeSend,
            ]),
            in_doubt: counts.of(S::InDoubt),
            opted_out: counts.of(S::Suppressed),
        }
    }

    /// Counts another provider's messages in.
    pub fn add(&mut self, other: &Self) {
        let Self {
            rows,
            ended,
            accepted,
            sent,
            delivered,
            failed,
            in_doubt,
            opted_out,
        } = other;
        self.rows += rows;
        self.ended += ended;
        self.accepted += accepted;
        self.sent += sent;
        self.delivered += delivered;
        self.failed += failed;
        self.in_doubt += in_doubt;
        self.opted_out += opted_out;
    }

    fn line(&self, pace: &Pace) -> String {
        let mut line = format!(
            "accepted {}  sent {}  delivered {}  failed {}  opted out {}",
            figure(self.accepted),
            figure(self.sent),
            figure(self.delivered),
            figure(self.failed),
            figure(self.opted_out)
        );
        if self.in_doubt > 0 {
            line.push_str(&format!("  in doubt {}", figure(self.in_doubt)));
        }
        line.push_str(&format!("  {} msg/s", figure(pace.accepted_per_second)));
        if let Some(left) = pace.left {
            line.push_str(&format!("  ETA {} s", left.as_secs().max(1)));
        }
        line
    }
}

/// How fast it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pace {
    accepted_per_second: u64,
    left: Option<Duration>,
}

/// The last seconds, from which the pace is worked out.
#[derive(Debug, Default)]
struct Window(VecDeque<(Instant, Standing)>);

/// How far back the pace looks.
const WINDOW: Duration = Duration::from_secs(3);

impl Window {
    fn note(&mut self, now: Instant, standing: Standing) -> Pace {
        self.0.push_back((now, standing));
        while self.0.len() > 2 && self.0.get(1).is_some_and(|(at, _)| now - *at >= WINDOW) {
            self.0.pop_front();
        }
        let Some((since, first)) = self.0.front() else {
            return Pace::default();
        };
        let seconds = (now - *since).as_secs_f64();
        if seconds < 0.2 {
            return Pace::default();
        }
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let ending = per_second(standing.ended, first.ended);
        let left = (ending > 0.0 && standing.ended < standing.rows)
            .then(|| Duration::from_secs_f64((standing.rows - standing.ended) as f64 / ending));
        Pace {
            accepted_per_second: per_second(standing.accepted, first.accepted).round() as u64,
            left,
        }
    }
}

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// A bar that is drawn over itself, with or without colours.
    Bar {
        /// Whether colours are wanted.
        coloured: bool,
    },
    /// Lines.
    Lines,
    /// Nothing: tests.
    Nothing,
}

/// A mailing's progress on its display.
#[derive(Debug)]
pub struct Progress {
    display: Display,
    bar: ProgressBar,
    window: Window,
    started: Instant,
    next_line: Instant,
}

const LINE_EVERY: Duration = Duration::from_secs(1);

impl Display {
    /// A bar where somebody looks at one.
    #[must_use]
    pub fn for_this_terminal() -> Self {
        if std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        {
            // <https://no-color.org>: any value but the empty one.
            let coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            Self::Bar { coloured }
        } else {
            Self::Lines
        }
    }

    /// Says something beside the progress.
    pub fn say(self, text: &str) {
        if self != Self::Nothing {
            eprintln!("{text}");
        }
    }

    /// Starts to show the progress of `rows` rows.
    #[must_use]
    pub fn start(self, rows: u64) -> Progress {
        let bar = match self {
            Self::Bar { coloured } => {
                let template = match coloured {
                    true => "{bar:24.green/black.bright} {percent:>3} %  {msg}",
                    false => "{bar:24} {percent:>3} %  {msg}",
                };
                let bar = ProgressBar::with_draw_target(Some(rows), ProgressDrawTarget::stderr());
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style.progress_chars("━━─"));
                }
                bar
            }
            Self::Lines | Self::Nothing => ProgressBar::hidden(),
        };
        let started = Instant::now();
        Progress {
            display: self,
            bar,
            window: Window::default(),
            started,
            next_line: started + LINE_EVERY,
        }
    }
}

impl Progress {
    /// Shows how it stands now.
    pub fn show(&mut self, standing: Standing) {
        let now = Instant::now();
        let pace = self.window.note(now, standing);
        match self.display {
            Display::Bar { .. } => {
                self.bar.set_position(standing.ended);
                self.bar.set_message(standing.line(&pace));
            }
            Display::Lines if now >= self.next_line => {
                self.next_line += LINE_EVERY;
                self.line(now, standing, &pace);
            }
            Display::Lines | Display::Nothing => {}
        }
    }

    /// Shows how it ended and leaves the display.
    pub fn end(&mut self, standing: Standing) {
        let pace = Pace::default();
        match self.display {
            Display::Bar { .. } => self.bar.finish_and_clear(),
            Display::Lines => self.line(Instant::now(), standing, &pace),
            Display::Nothing => {}
        }
    }

    fn line(&self, now: Instant, standing: Standing, pace: &Pace) {
        let seconds = (now - self.started).as_secs();
        eprintln!("{seconds:>4} s  {}", standing.line(pace));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(ended: u64) -> Standing {
        Standing {
            rows: 1_000,
            ended,
            accepted: ended,
            ..Standing::default()
        }
    }

    #[test]
    fn the_pace_is_that_of_the_last_seconds() {
        let mut window = Window::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(window.note(at(0), standing(0)), Pace::default());
        for second in 1..=10 {
            window.note(at(second), standing(second * 10));
        }
        let pace = window.note(at(11), standing(200));
        assert_eq!(pace.accepted_per_second, 40, "(200 - 80) / 3");
        assert_eq!(pace.left, Some(Duration::from_secs(20)));
    }

    #[test]
    fn a_message_counts_in_every_figure_it_has_come_past() {
        let mut counts = Counts::default();
        for (state, n) in [
            (MessageState::Queued, 1),
            (MessageState::Accepted, 2),
            (MessageState::Sent, 4),
            (MessageState::Delivered, 8),
            (MessageState::Undelivered, 16),
            (MessageState::Suppressed, 32),
            (MessageState::Invalid, 64),
        ] {
            counts.add(state, n);
        }
        let standing = Standing::of(127, &counts);
        assert_eq!(
            (standing.accepted, standing.sent, standing.delivered),
            (30, 28, 8)
        );
        assert_eq!(
            (standing.failed, standing.opted_out, standing.ended),
            (16, 32, 120)
        );
        let line = standing.line(&Pace {
            accepted_per_second: 1_000,
            left: None,
        });
        assert_eq!(
            line,
            "accepted 30  sent 28  delivered 8  failed 16  opted out 32  1,000 msg/s"
        );
    }
}
