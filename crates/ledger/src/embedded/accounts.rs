//! Organisations and their connections, in the process.

use std::collections::HashMap;

use message::{
    Connection, ConnectionId, OrganizationId, Timestamp, connection::OrganizationSettings,
};

/// Connections in their order, and what was decided about organisations.
#[derive(Default)]
pub(super) struct Accounts {
    connections: HashMap<OrganizationId, Vec<Connection>>,
    owners: HashMap<ConnectionId, OrganizationId>,
    settings: HashMap<OrganizationId, OrganizationSettings>,
}

impl Accounts {
    /// Adds a connection; one that is there already stays as it is.
    pub(super) fn add(&mut self, connection: &Connection) {
        if self.owners.contains_key(&connection.id) {
            return;
        }
        let organization = &connection.organization_id;
        self.owners
            .insert(connection.id.clone(), organization.clone());
        self.connections
            .entry(organization.clone())
            .or_default()
            .push(connection.clone());
    }

    pub(super) fn of(&self, organization: &OrganizationId) -> Vec<Connection> {
        self.connections
            .get(organization)
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn get(&self, id: &ConnectionId) -> Option<Connection> {
        let theirs = self.connections.get(self.owners.get(id)?)?;
        theirs
            .iter()
            .find(|connection| connection.id == *id)
            .cloned()
    }

    pub(super) fn delete(
        &mut self,
        organization: &OrganizationId,
        id: &ConnectionId,
        at: Timestamp,
    ) -> bool {
        let mut theirs = self.connections.get_mut(organization).into_iter().flatten();
        let active = theirs.find(|connection| connection.id == *id && connection.is_active());
        active
            .map(|connection| connection.deleted_at = Some(at))
            .is_some()
    }

    pub(super) fn settings(&self, organization: &OrganizationId) -> OrganizationSettings {
        self.settings.get(organization).cloned().unwrap_or_default()
    }

    pub(super) fn set_settings(
        &mut self,
        organization: &OrganizationId,
        settings: &OrganizationSettings,
    ) {
        self.settings.insert(organization.clone(), settings.clone());
    }
}
