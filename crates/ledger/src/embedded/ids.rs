//! Which message has which id at its provider, in two generations: the older one is dropped whole.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use message::{ConnectionId, Reference};

use crate::id_index::IdName;

/// An id finds its message for at least this long, and at most twice as long.
const KEPT_FOR: Duration = Duration::from_secs(8 * 24 * 3600);

/// The ids of a generation, by connection.
type Generation = HashMap<ConnectionId, HashMap<[u8; 6], Reference>>;

/// Ids of messages, by connection.
pub(super) struct Ids {
    current: Generation,
    previous: Generation,
    since: Instant,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            current: HashMap::new(),
            previous: HashMap::new(),
            since: Instant::now(),
        }
    }
}

impl Ids {
    pub(super) fn enter(
        &mut self,
        connection: &ConnectionId,
        ids: impl IntoIterator<Item = (IdName, Reference)>,
    ) {
        if self.since.elapsed() > KEPT_FOR {
            self.previous = std::mem::take(&mut self.current);
            self.since = Instant::now();
        }
        if !self.current.contains_key(connection) {
            self.current.insert(connection.clone(), HashMap::new());
        }
        if let Some(known) = self.current.get_mut(connection) {
            let ids = ids.into_iter();
            known.extend(ids.map(|(name, reference)| (name.field, reference)));
        }
    }

    pub(super) fn look_up(
        &self,
        connection: &ConnectionId,
        ids: &[&str],
    ) -> Vec<Option<Reference>> {
        let find = |id: &&str| {
            let name = IdName::of(id);
            [&self.current, &self.previous]
                .into_iter()
                .find_map(|ids| ids.get(connection)?.get(&name.field))
                .copied()
        };
        ids.iter().map(find).collect()
    }
}
