//! A distribution that was cancelled while one of its batches was on its way in.

use backing::news::statuses;
use ledger::{BatchRecord, DistributionState, Row};
use message::MessageState;

use crate::{
    hand_on::ROWS_PER_CALL,
    patience::Halt,
    service::{Intake, now},
};

impl Intake {
    pub(crate) async fn is_cancelled(&self, record: &BatchRecord) -> Result<bool, Halt> {
        let distribution = self
            .patience
            .until("look up distribution", || {
                self.ledger
                    .distribution(&record.organization_id, &record.distribution_id)
            })
            .await?;
        Ok(distribution.is_some_and(|it| it.state == DistributionState::Cancelled))
    }

    /// The distribution was cancelled between registering and writing: its rows end as cancelled
    /// and are told, those that the ledger entered as cancelled by itself included.
    pub(crate) async fn cancel(&self, record: &BatchRecord) -> Result<(), Halt> {
        self.patience
            .until("cancel rows", || self.ledger.cancel_rows(record.key, now()))
            .await?;
        let mut first = 0;
        loop {
            let rows = self
                .patience
                .until("read rows", || {
                    self.ledger.rows(record.key, first, ROWS_PER_CALL)
                })
                .await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            first = last.row + 1;
            // Nothing is said here about rows that went another way.
            let cancelled = |row: &Row| row.state == MessageState::Cancelled;
            let rows = rows.into_iter().filter(cancelled);
            self.publish(statuses(record.into(), rows, now())).await?;
        }
    }
}
