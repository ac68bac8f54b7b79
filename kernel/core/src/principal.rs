//! Who calls, and in whose name a change is made.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use plinth_api::{KeyId, ServiceAccountId, SessionId, TenantId, Timestamp, UserId, users::Me};
use ring::digest;
use serde::Serialize;

use crate::{Permission, PermissionSet, SYSTEM_TENANT};

/// Who did it, as the event log keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    User(UserId),
    ServiceAccount(ServiceAccountId),
    /// The kernel itself: timers, clean-up, administration from the command line.
    System,
    Anonymous,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::ServiceAccount(id) => id.fmt(f),
            Self::System => f.write_str("system"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

/// Shared between the holder of a key and the kernel.
#[derive(Clone)]
pub struct SigningSecret(pub Arc<[u8]>);

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// An authenticated caller: a session or an API key, resolved to what it may do. Shared and never changed; a change of
/// roles makes a new one.
#[derive(Debug)]
pub struct Principal {
    pub actor: Actor,
    /// The tenant that the request acts in.
    pub tenant: Option<TenantId>,
    /// Belongs to the system tenant, whichever tenant the request acts in.
    pub operator: bool,
    pub session: Option<SessionId>,
    pub key: Option<KeyId>,
    /// The operator behind an impersonation.
    pub impersonator: Option<UserId>,
    pub grants: PermissionSet,
    /// The ceiling of an API key; a session has none.
    pub scopes: Option<PermissionSet>,
    /// The tenant asks for a second factor that this person has not set up: nothing but setting it up is allowed.
    pub must_enrol_mfa: bool,
    /// Requests per minute of the tenant, where it has a limit of its own.
    pub tenant_rate: Option<u32>,
    /// What requests must be signed with, where the key demands it.
    pub signing: Option<SigningSecret>,
    /// When the credential ends.
    pub expires_at: Option<Timestamp>,
    pub profile: Profile,
}

/// What the caller is told about itself. Written down once, since it is asked for more than anything else.
#[derive(Debug)]
pub struct Profile {
    me: Me,
    written: OnceLock<Representation>,
}

/// An object as it is sent, with its entity tag.
#[derive(Debug, Clone)]
pub struct Representation {
    pub json: Arc<[u8]>,
    pub tag: Arc<str>,
}

impl Representation {
    pub fn of(value: &impl Serialize) -> Self {
        let json: Arc<[u8]> = serde_json::to_vec(value).unwrap_or_default().into();
        Self { tag: entity_tag(&json).into(), json }
    }
}

/// Tells one representation from another.
pub fn entity_tag(body: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, body);
    let mut text = String::with_capacity(34);
    text.push('"');
    data_encoding::HEXLOWER.encode_append(&hash.as_ref()[..16], &mut text);
    text.push('"');
    text
}

impl Profile {
    pub fn new(me: Me) -> Self {
        Self { me, written: OnceLock::new() }
    }

    pub fn written(&self) -> &Representation {
        self.written.get_or_init(|| Representation::of(&self.me))
    }

    pub fn change(&mut self, change: impl FnOnce(&mut Me)) {
        change(&mut self.me);
        self.written = OnceLock::new();
    }
}

impl Deref for Profile {
    type Target = Me;
    fn deref(&self) -> &Me {
        &self.me
    }
}

impl Principal {
    pub fn may<P: Permission>(&self) -> bool {
        (!P::OPERATOR || self.operator) && self.holds(P::NAME)
    }

    /// Holds this word or pattern, under the ceiling of the key.
    pub fn holds(&self, permission: &str) -> bool {
        self.grants.allows(permission) && self.scopes.as_ref().is_none_or(|scopes| scopes.allows(permission))
    }

    /// May hand `wanted` on to somebody else.
    pub fn may_give(&self, wanted: &PermissionSet) -> bool {
        self.grants.includes(wanted) && self.scopes.as_ref().is_none_or(|scopes| scopes.includes(wanted))
    }

    /// An operator at work in a customer's tenant.
    pub fn is_visiting(&self) -> bool {
        self.operator && self.tenant.is_some_and(|tenant| tenant != SYSTEM_TENANT)
    }

    /// Tells two callers apart: for idempotency and rate limits.
    pub fn fingerprint(&self) -> u128 {
        match (self.key, self.actor) {
            (Some(key), _) => key.uuid().as_u128(),
            (None, Actor::User(user)) => user.uuid().as_u128(),
            (None, Actor::ServiceAccount(account)) => account.uuid().as_u128(),
            (None, Actor::System | Actor::Anonymous) => 0,
        }
    }
}

/// Why a change is made: kept with every event of it.
#[derive(Debug, Clone)]
pub struct Cause {
    pub actor: Actor,
    pub impersonator: Option<UserId>,
    /// The request that began it.
    pub correlation: Arc<str>,
    /// Where it came from: an address, or `cli`.
    pub origin: Option<Arc<str>>,
}

impl Cause {
    pub fn system(correlation: &str) -> Self {
        Self { actor: Actor::System, impersonator: None, correlation: correlation.into(), origin: None }
    }
}
