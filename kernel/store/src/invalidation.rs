//! "What you remember of this is old": told to every node when a change is committed.

use plinth_core::{KeyId, ServiceAccountId, SessionId, TenantId, UserId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invalidation {
    Session(SessionId),
    Key(KeyId),
    /// Profile, password or state of a person.
    User(UserId),
    /// Roles or state of a machine identity.
    ServiceAccount(ServiceAccountId),
    /// State, limits, settings, roles or members of a tenant.
    Tenant(TenantId),
    SigningKeys,
    /// Messages may have been missed: forget all.
    Everything,
}

/// What hears of a change before the answer to it goes out.
pub(crate) type Listener = Box<dyn Fn(Invalidation) + Send + Sync>;
