//! Which key holds what. The part in braces decides the slot: one per batch, per organisation, per
//! group of limits, and one for the fleet.
//!
//! | key | type | holds | ends |
//! |---|---|---|---|
//! | `{b:<batch>}:m` | hash | record, digest, counters, sequence, connections; of rows 100 n to 100 n + 99 what they share, `s<n>`, `r<n>`, `t<n>` (`columns.rs`) | a month after expiry |
//! | `{b:<batch>}:<n>` | hash | those of them that went their own way, packed (`entry.rs`) | with the batch |
//! | `{o:<org>}:d:<distribution>` | hash | state, created | with its last batch |
//! | `{o:<org>}:db:<distribution>` | zset | its batches in order | with its last batch |
//! | `{o:<org>}:ds`, `:dx` | zset | distributions by age, by end | with the last of them |
//! | `{o:<org>}:t:<window>` | string | conversations of that window | two windows |
//! | `{o:<org>}:t:<window>:<level>:<shard>` | string | which numbers were texted (`reply_index.rs`) | two windows |
//! | `{o:<org>}:out:<set>` | set | who is out, as integers: numbers | never |
//! | `{o:<org>}:outs:<set>` | set | who is out towards one sender only: names of number and sender | never |
//! | `{o:<org>}:std:<shard>` | hash | number → latest change | never |
//! | `{o:<org>}:sst:<shard>` | hash | number → latest changes towards single senders | never |
//! | `{o:<org>}:seen:<id>` | string | an inbound message | a week |
//! | `{o:<org>}:parts:<name>` | hash | parts of an inbound message | a day after the last |
//! | `{o:<org>}:refused` | zset | refused batches by time | a month |
//! | `{o:<org>}:c`, `:co`, `:cd` | hash, zset, hash | connections, their order, their ends | never |
//! | `{o:<org>}:s` | string | settings of the organisation | never |
//! | `{c:<connection>}` | string | its organisation | never |
//! | `{i:<connection>}:<window>` | string | ids entered in that window | three windows |
//! | `{i:<connection>}:<window>:<level>:<shard>` | string | provider ids and their messages (`id_index.rs`) | three windows |
//! | `{l:<group>}:<limit>` | hash | a limit's cell (`gcra.rs`) | when idle, unless its rate was set |
//! | `{fleet}:q`, `:qx`, `:qv`, `:qs` | hash, zset, string, hash | queues, their ends, version, states | entries end |
//! | `{fleet}:qw`, `:qc` | hash, zset | weights of queues, versions in which queues changed | with the entries; when many |
//! | `{fleet}:w` | zset | workers by the end of their lease | when nobody renews it |

use message::{BatchKey, ConnectionId, DistributionId, OrganizationId};

use crate::{LedgerError, LimitScope};

/// Makes keys.
pub(super) struct Keys {
    prefix: String,
}

/// The keys of the list of queues.
pub(super) struct QueueKeys {
    pub(super) entries: String,
    pub(super) ends: String,
    pub(super) version: String,
    pub(super) states: String,
    pub(super) weights: String,
    pub(super) changes: String,
}

/// A shard of the evidence of an organisation's opt-outs.
pub(super) struct OptOutKeys {
    pub(super) standings: String,
    pub(super) towards_senders: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Result<Self, LedgerError> {
        if prefix.contains(['{', '}']) {
            return Err(LedgerError::Unusable(
                "the key prefix contains a brace, which would decide the slot of every key".into(),
            ));
        }
        Ok(Self {
            prefix: prefix.to_owned(),
        })
    }

    pub(super) fn batch(&self, batch: BatchKey) -> String {
        format!("{}{{b:{batch}}}:m", self.prefix)
    }

    pub(super) fn bucket(&self, batch: BatchKey, bucket: u32) -> String {
        format!("{}{{b:{batch}}}:{bucket}", self.prefix)
    }

    /// A key in an organisation's slot.
    pub(super) fn of(&self, organization: &OrganizationId, what: &str) -> String {
        format!("{}{{o:{organization}}}:{what}", self.prefix)
    }

    pub(super) fn distribution(
        &self,
        organization: &OrganizationId,
        distribution: &DistributionId,
    ) -> (String, String) {
        (
            self.of(organization, &format!("d:{distribution}")),
            self.of(organization, &format!("db:{distribution}")),
        )
    }

    pub(super) fn opt_outs(&self, organization: &OrganizationId, shard: u64) -> OptOutKeys {
        let key = |what| self.of(organization, &format!("{what}:{shard}"));
        OptOutKeys {
            standings: key("std"),
            towards_senders: key("sst"),
        }
    }

    pub(super) fn out(&self, organization: &OrganizationId, set: u64) -> String {
        format!("{}{{o:{organization}}}:out:{set}", self.prefix)
    }

    pub(super) fn out_towards_senders(&self, organization: &OrganizationId, set: u64) -> String {
        format!("{}{{o:{organization}}}:outs:{set}", self.prefix)
    }

    pub(super) fn connection(&self, id: &ConnectionId) -> String {
        format!("{}{{c:{id}}}", self.prefix)
    }

    /// A key in the slot of a connection's ids.
    pub(super) fn ids(&self, connection: &ConnectionId, what: &str) -> String {
        format!("{}{{i:{connection}}}:{what}", self.prefix)
    }

    pub(super) fn limit(&self, scope: &LimitScope) -> String {
        format!("{}{{l:{}}}:{}", self.prefix, scope.group, scope.name)
    }

    pub(super) fn queues(&self) -> QueueKeys {
        let key = |what| format!("{}{{fleet}}:{what}", self.prefix);
        QueueKeys {
            entries: key("q"),
            ends: key("qx"),
            version: key("qv"),
            states: key("qs"),
            weights: key("qw"),
            changes: key("qc"),
        }
    }

    /// Who works.
    pub(super) fn workers(&self) -> String {
        format!("{}{{fleet}}:w", self.prefix)
    }
}
