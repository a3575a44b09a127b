//! Who changed what: one log line per change, on a target of its own so that it can be kept apart.

use message::OrganizationId;

use crate::tokens::Caller;

/// What an operator can do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    HandOverBatch,
    Pause,
    Resume,
    Cancel,
    OptOut,
    OptIn,
    AddConnection,
    DeleteConnection,
    LimitConnection,
    SetOrganization,
    Redrive,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::HandOverBatch => "hand_over_batch",
            Self::Pause => "pause_distribution",
            Self::Resume => "resume_distribution",
            Self::Cancel => "cancel_distribution",
            Self::OptOut => "opt_out",
            Self::OptIn => "opt_in",
            Self::AddConnection => "add_connection",
            Self::DeleteConnection => "delete_connection",
            Self::LimitConnection => "limit_connection",
            Self::SetOrganization => "set_organization",
            Self::Redrive => "redrive_dead_letters",
        }
    }
}

/// Writes the line. `which` is an id or a masked number, never a full one.
pub(crate) fn audit(
    caller: &Caller,
    action: Action,
    organization: Option<&OrganizationId>,
    which: &dyn std::fmt::Display,
) {
    tracing::info!(
        target: "audit",
        who = &*caller.name,
        action = action.as_str(),
        organization = organization.map(OrganizationId::as_str),
        which = %which,
    );
}
