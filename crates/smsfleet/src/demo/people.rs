//! Those who write while the mailing runs.

use message::Msisdn;

use super::{expect::Expected, progress::Standing, stage::Account};

/// People who say STOP although this mailing has not reached them yet: those whom a prefetched
/// message must not reach any more. The first of them changes their mind again.
pub struct People {
    stops: Vec<Msisdn>,
    said_stop: usize,
    said_start: bool,
}

/// When the first and the last of them write, as a share of the rows the provider has taken.
const FIRST_STOP_AT: f64 = 0.1;
const LAST_STOP_AT: f64 = 0.5;
const START_AT: f64 = 0.3;

impl People {
    /// A few from the last third of the mailing.
    pub fn who_change_their_minds(expected: &[Vec<Expected>]) -> Self {
        let texted: Vec<Msisdn> = expected
            .iter()
            .flatten()
            .filter_map(|row| match row {
                Expected::Text(number) => Some(*number),
                Expected::Withheld(_) | Expected::Refused => None,
            })
            .collect();
        let last = &texted[texted.len() - texted.len() / 3..];
        let count = (texted.len() / 500).clamp(1, 20).min(last.len());
        let step = last.len().checked_div(count).unwrap_or(1).max(1);
        Self {
            stops: last.iter().step_by(step).take(count).copied().collect(),
            said_stop: 0,
            said_start: false,
        }
    }

    /// Lets those write whose time has come.
    ///
    /// # Errors
    /// If the webhook does not answer at all.
    pub async fn write(&mut self, standing: &Standing, account: &Account) -> anyhow::Result<()> {
        let Account {
            twin, number: ours, ..
        } = account;
        let share = standing.accepted as f64 / standing.rows.max(1) as f64;
        let step = (LAST_STOP_AT - FIRST_STOP_AT) / self.stops.len().max(1) as f64;
        while let Some(number) = self.stops.get(self.said_stop)
            && share >= FIRST_STOP_AT + step * self.said_stop as f64
        {
            twin.send_inbound(&number.e164(), ours, "STOP").await?;
            self.said_stop += 1;
        }
        if let Some(first) = self.stops.first()
            && !self.said_start
            && share >= START_AT
        {
            twin.send_inbound(&first.e164(), ours, "START").await?;
            self.said_start = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_change_their_minds_are_late_in_the_mailing() {
        let number = |n: u64| Msisdn::from_u64(33_639_980_000 + n).expect("a number");
        let expected: Vec<_> = (0..3_000).map(|n| Expected::Text(number(n))).collect();
        let people = People::who_change_their_minds(&[expected]);
        assert_eq!(people.stops.len(), 6);
        assert!(people.stops.iter().all(|who| *who >= number(2_000)));
        assert!(People::who_change_their_minds(&[]).stops.is_empty());
    }
}
