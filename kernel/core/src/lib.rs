//! The vocabulary of the kernel: who calls, what time it is, what happened, what went wrong, and the ports through which
//! rooms reach what they must not know. No I/O.

mod clock;
mod event;
pub mod page;
mod permission;
pub mod ports;
mod principal;
mod problem;
mod world;

pub use clock::{Clock, ManualClock, SystemClock};
pub use event::{Event, NewEvent};
pub use permission::{Permission, PermissionInfo, PermissionSet};
pub use plinth_api as api;
pub use plinth_api::{
    EventId, FieldError, Id, IdentityId, InvitationId, KeyId, Kind as IdKind, MailId, MemberId, OrganizationId,
    ParseIdError, RoleId, ServiceAccountId, SessionId, TenantId, Timestamp, UserId,
};
pub use principal::{Actor, Cause, Principal, Profile, Representation, SigningSecret, entity_tag};
pub use problem::{Fault, Kind, Problem};
pub use world::World;

/// The tenant that the platform's own people belong to. Its id is fixed so that no query is needed to recognise an
/// operator.
pub const SYSTEM_TENANT: TenantId = TenantId::from_uuid(uuid::Uuid::from_u128(1));
