//! Invitations: a place in a tenant, offered to an address by mail. The token in the mail is the only one; sending it again
//! makes another and ends the first.
//!
//! Pending is what is neither accepted nor revoked nor too old. Pending invitations count against the tenant's limit of
//! users, so that nobody is turned away who was invited in time.

mod accept;
mod send;

use plinth_core::{
    Fault, FieldError, InvitationId, NewEvent, OrganizationId, Timestamp, UserId,
    api::{
        InvitationKind,
        tenants::{Invitation, InvitationStatus},
    },
};
use plinth_gateway::{Asked, Stale, refuses};
use plinth_store::{Error as StoreError, Keyset, Scope, Slice, list as page};
use sea_orm::{ColumnTrait, Condition, PaginatorTrait, QueryFilter, QuerySelect, sea_query::Expr};
use serde_json::json;

pub use accept::{Error as AcceptError, accept, prepare};
pub use send::{create, resend};

use super::tenants::view_slice;
use crate::{
    access::roles,
    entities::invitations::{Column, Entity, Model},
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such invitation")]
    NotFound,
    #[error("confirm your own address before you invite others: the mail for it was sent when you registered")]
    EmailUnverified,
    #[error("this person belongs to the tenant already")]
    AlreadyMember,
    #[error("this address has a pending invitation; send it again, or revoke it")]
    AlreadyInvited,
    #[error("the tenant may have {0} people, pending invitations included; revoke one, or ask for a higher limit")]
    LimitReached(u32),
    #[error("the invitation is {}; only one that is pending or expired can be sent again", .0)]
    NotOpen(&'static str),
    #[error("the invitation is accepted; remove the member instead")]
    Accepted,
    #[error("you cannot give what you do not have: the roles go beyond your own permissions")]
    BeyondOwn,
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotFound => NotFound "not_found",
    Self::EmailUnverified => Forbidden "email_unverified",
    Self::AlreadyMember => Conflict "already_member",
    Self::AlreadyInvited => Conflict "already_invited",
    Self::LimitReached(_) => Conflict "limit_reached",
    Self::NotOpen(_) => Conflict "invitation_closed",
    Self::Accepted => Conflict "invitation_accepted",
    Self::BeyondOwn => Forbidden "beyond_own_permissions",
    Self::Stale(_) => PreconditionFailed "stale",
} with fields);

impl From<roles::Error> for Error {
    fn from(error: roles::Error) -> Self {
        match error {
            roles::Error::BeyondOwn => Self::BeyondOwn,
            roles::Error::Invalid(fields) => Self::Invalid(fields),
            roles::Error::Fault(fault) => Self::Fault(fault),
            other => Fault::internal("roles cannot be given").because(other).into(),
        }
    }
}

fn status(row: &Model, now: Timestamp) -> InvitationStatus {
    match row {
        Model { accepted_at: Some(_), .. } => InvitationStatus::Accepted,
        Model { revoked_at: Some(_), .. } => InvitationStatus::Revoked,
        _ if row.expires_at <= now.millis() => InvitationStatus::Expired,
        _ => InvitationStatus::Pending,
    }
}

/// The same as a condition.
fn in_status(status: InvitationStatus, now: Timestamp) -> Condition {
    let open = Condition::all().add(Column::AcceptedAt.is_null()).add(Column::RevokedAt.is_null());
    match status {
        InvitationStatus::Accepted => Condition::all().add(Column::AcceptedAt.is_not_null()),
        InvitationStatus::Revoked => {
            Condition::all().add(Column::AcceptedAt.is_null()).add(Column::RevokedAt.is_not_null())
        }
        InvitationStatus::Expired => open.add(Column::ExpiresAt.lte(now.millis())),
        InvitationStatus::Pending => open.add(Column::ExpiresAt.gt(now.millis())),
    }
}

pub fn show(row: &Model, now: Timestamp) -> Result<Invitation, Fault> {
    Ok(Invitation {
        id: InvitationId::from_uuid(row.id),
        email: row.email.clone(),
        roles: view::words("invitations.roles", &row.roles)?,
        organization: row.organization.map(OrganizationId::from_uuid),
        status: status(row, now),
        invited_by: row.invited_by.map(UserId::from_uuid),
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Timestamp::from_millis(row.expires_at),
    })
}

pub async fn list(scope: Scope<'_>, asked: &Asked) -> Result<(Slice<Invitation>, u64), Error> {
    let now = scope.now();
    let mut select = scope.find::<Entity>();
    if let Some(text) = asked.filter("status") {
        let refused = |_| {
            Error::Invalid(vec![FieldError::new(
                "status",
                "unknown_value",
                "one of pending, accepted, revoked and expired",
            )])
        };
        let wanted = serde_json::from_value(json!(text)).map_err(refused)?;
        select = select.filter(in_status(wanted, now));
    }
    if let Some(text) = &asked.search {
        select = select.filter(view::holding(Column::Email, text));
    }
    if let Some(ids) = view::asked_ids::<InvitationKind>(asked) {
        select = select.filter(Column::Id.is_in(ids));
    }
    let by = if asked.sort == "email" { Column::EmailKey } else { Column::CreatedAt };
    let total = select.clone().count(&scope).await.map_err(StoreError::from)?;
    let order = Keyset { by, id: Column::Id, direction: asked.direction };
    let slice = page(&scope, select, order, &asked.start, asked.limit).await?;
    Ok((view_slice(slice, |row| show(&row, now))?, total))
}

pub async fn find(scope: Scope<'_>, id: InvitationId) -> Result<Model, Error> {
    let select = scope.find::<Entity>().filter(Column::Id.eq(id.uuid()));
    select.one(&scope).await.map_err(StoreError::from)?.ok_or(Error::NotFound)
}

/// The same, held until the transaction ends.
pub async fn find_locked(scope: Scope<'_>, id: InvitationId) -> Result<Model, Error> {
    let select = scope.find::<Entity>().filter(Column::Id.eq(id.uuid())).lock_exclusive();
    select.one(&scope).await.map_err(StoreError::from)?.ok_or(Error::NotFound)
}

async fn count_pending(scope: Scope<'_>) -> Result<u64, StoreError> {
    Ok(scope.find::<Entity>().filter(in_status(InvitationStatus::Pending, scope.now())).count(&scope).await?)
}

fn subject(id: InvitationId) -> String {
    format!("invitation/{id}")
}

/// Ends an invitation. A second time changes nothing.
pub async fn revoke(scope: Scope<'_>, row: &Model) -> Result<(), Error> {
    match status(row, scope.now()) {
        InvitationStatus::Accepted => return Err(Error::Accepted),
        InvitationStatus::Revoked => return Ok(()),
        InvitationStatus::Pending | InvitationStatus::Expired => {}
    }
    let revoked = scope.update::<Entity>().col_expr(Column::RevokedAt, Expr::value(Some(scope.now().millis())));
    revoked.filter(Column::Id.eq(row.id)).exec(&scope).await.map_err(StoreError::from)?;
    let id = InvitationId::from_uuid(row.id);
    scope.emit(NewEvent::new("invitation.revoked", subject(id), &json!({ "invitation": id })));
    Ok(())
}
