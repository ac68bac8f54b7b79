//! Sending an invitation, and sending it again.

use std::time::Duration;

use plinth_core::{
    Actor, Fault, FieldError, InvitationId, NewEvent, OrganizationId, Principal,
    api::tenants::{CreateInvitation, Invitation, InvitationStatus},
    ports::Mail,
};
use plinth_store::{Error as StoreError, Scope, SystemTx, mail};
use sea_orm::{ActiveValue::Set, ColumnTrait, PaginatorTrait, QueryFilter};
use serde_json::json;

use super::{Entity, Error, Model, count_pending, in_status, show, status, subject};
use crate::{
    Identity,
    access::roles::assignable,
    entities::{
        invitations::{ActiveModel, Column},
        memberships, tenants, users,
    },
    fields::{Checks, email_key},
    tenancy::{organizations, tenants as tenancy},
    tokens::{Secret, TokenKind},
    view,
};

/// Invites an address. The tenant's row is held by the first thing that this does.
pub async fn create(
    identity: &Identity,
    tx: &SystemTx,
    scope: Scope<'_>,
    principal: &Principal,
    request: CreateInvitation,
) -> Result<Invitation, Error> {
    let mut checks = Checks::default();
    checks.email("/email", &request.email);
    checks.done().map_err(Error::Invalid)?;
    let tenant = tenancy::own_locked(scope).await?;
    require_own_address(tx, scope, principal).await?;
    let roles = assignable(scope, principal, "/roles", &request.roles).await?;
    if let Some(organization) = request.organization {
        check_organization(scope, organization).await?;
    }
    let key = email_key(&request.email);
    require_place(tx, scope, &tenant, &key, None).await?;
    let token = make_token(tx)?;
    let id: InvitationId = tx.mint();
    let row = Model {
        id: id.uuid(),
        tenant: tenant.id,
        email: request.email.trim().to_owned(),
        email_key: key,
        roles: view::write_json(&roles)?,
        organization: request.organization.map(OrganizationId::uuid),
        token_hash: token.hash().as_bytes().to_vec(),
        invited_by: if let Actor::User(user) = principal.actor { Some(user.uuid()) } else { None },
        created_at: tx.now().millis(),
        expires_at: (tx.now() + identity.config().invitation).millis(),
        accepted_at: None,
        revoked_at: None,
    };
    scope.insert(row.clone()).await?;
    let told = json!({ "invitation": id, "roles": roles, "organization": request.organization });
    scope.emit(NewEvent::new("invitation.created", subject(id), &told));
    send(identity, scope, principal, &tenant, &row, &token).await?;
    Ok(show(&row, tx.now())?)
}

/// Sends an open invitation again, with a new token and a new life. The tenant's row and the invitation's are held.
pub async fn resend(
    identity: &Identity,
    tx: &SystemTx,
    scope: Scope<'_>,
    principal: &Principal,
    tenant: &tenants::Model,
    mut row: Model,
) -> Result<Invitation, Error> {
    match status(&row, tx.now()) {
        InvitationStatus::Pending | InvitationStatus::Expired => {}
        InvitationStatus::Accepted => return Err(Error::NotOpen("accepted")),
        InvitationStatus::Revoked => return Err(Error::NotOpen("revoked")),
    }
    require_own_address(tx, scope, principal).await?;
    // Whoever sends it again gives the roles again.
    assignable(scope, principal, "/roles", &view::words("invitations.roles", &row.roles)?).await?;
    require_place(tx, scope, tenant, &row.email_key, Some(&row)).await?;
    let token = make_token(tx)?;
    row.token_hash = token.hash().as_bytes().to_vec();
    row.expires_at = (tx.now() + identity.config().invitation).millis();
    let change =
        ActiveModel { token_hash: Set(row.token_hash.clone()), expires_at: Set(row.expires_at), ..Default::default() };
    let sent = scope.update::<Entity>().set(change).filter(Column::Id.eq(row.id)).exec(tx).await;
    sent.map_err(StoreError::from)?;
    let id = InvitationId::from_uuid(row.id);
    scope.emit(NewEvent::new("invitation.resent", subject(id), &json!({ "invitation": id })));
    send(identity, scope, principal, tenant, &row, &token).await?;
    Ok(show(&row, tx.now())?)
}

/// Nobody has others written to before they have shown that they can be written to themselves. A machine stands for the
/// tenant, so one of the tenant's owners must have.
async fn require_own_address(tx: &SystemTx, scope: Scope<'_>, principal: &Principal) -> Result<(), Error> {
    let people = match principal.actor {
        Actor::User(user) => vec![user],
        _ => tenancy::owners(scope).await?,
    };
    let verified = tx
        .find::<users::Entity>()
        .filter(users::Column::Id.is_in(people.iter().map(|user| user.uuid())))
        .filter(users::Column::EmailVerifiedAt.is_not_null())
        .count(tx)
        .await
        .map_err(StoreError::from)?;
    if verified > 0 { Ok(()) } else { Err(Error::EmailUnverified) }
}

async fn check_organization(scope: Scope<'_>, organization: OrganizationId) -> Result<(), Error> {
    match organizations::find(scope, organization).await {
        Ok(_) => Ok(()),
        Err(organizations::Error::NotFound) => {
            let message = "the id of an organisation; GET /api/v1/organizations lists them";
            Err(Error::Invalid(vec![FieldError::new("/organization", "unknown_organization", message)]))
        }
        Err(organizations::Error::Fault(fault)) => Err(fault.into()),
        Err(other) => Err(Fault::internal("an organisation cannot be looked up").because(other).into()),
    }
}

/// The address is neither a member's nor invited by something else than `again`, and the tenant has room for it.
async fn require_place(
    tx: &SystemTx,
    scope: Scope<'_>,
    tenant: &tenants::Model,
    key: &str,
    again: Option<&Model>,
) -> Result<(), Error> {
    let person =
        tx.find::<users::Entity>().filter(users::Column::EmailKey.eq(key)).one(tx).await.map_err(StoreError::from)?;
    if let Some(person) = person {
        let place =
            scope.find::<memberships::Entity>().filter(memberships::Column::UserId.eq(person.id)).count(tx).await;
        if place.map_err(StoreError::from)? > 0 {
            return Err(Error::AlreadyMember);
        }
    }
    let mut others = scope.find::<Entity>().filter(Column::EmailKey.eq(key));
    if let Some(row) = again {
        others = others.filter(Column::Id.ne(row.id));
    }
    let others =
        others.filter(in_status(InvitationStatus::Pending, tx.now())).count(tx).await.map_err(StoreError::from)?;
    if others > 0 {
        return Err(Error::AlreadyInvited);
    }
    let counted = again.is_some_and(|row| status(row, tx.now()) == InvitationStatus::Pending);
    let Some(most) = view::limits(tenant)?.users else { return Ok(()) };
    let members = scope.find::<memberships::Entity>().count(tx).await.map_err(StoreError::from)?;
    let taken = members + count_pending(scope).await? - u64::from(counted);
    if taken < u64::from(most) { Ok(()) } else { Err(Error::LimitReached(most)) }
}

fn make_token(tx: &SystemTx) -> Result<Secret, Fault> {
    Secret::generate(TokenKind::Invitation, tx.store().world().random())
        .map_err(|error| Fault::internal("a token could not be made").because(error))
}

async fn send(
    identity: &Identity,
    scope: Scope<'_>,
    principal: &Principal,
    tenant: &tenants::Model,
    row: &Model,
    token: &Secret,
) -> Result<(), StoreError> {
    let host = principal.profile.user.as_ref().map_or("Somebody", |user| &user.name);
    let link = format!("{}/accept-invitation?token={}", identity.config().public_url, token.expose());
    let text = format!(
        "{host} invites you to join {}.\n\nAccept within {}:\n{link}\n\n\
         If you do not know what this is about, do nothing: without your answer nothing happens.\n",
        tenant.name,
        in_words(identity.config().invitation)
    );
    let mail = Mail {
        tenant: Some(scope.tenant()),
        to: row.email.clone(),
        subject: format!("You are invited to {}", tenant.name),
        text,
        purpose: "invitation",
        token: Some(token.expose().to_owned()),
    };
    mail::queue(&scope, mail).await
}

fn in_words(time: Duration) -> String {
    let hours = time.as_secs().div_ceil(3600);
    if hours >= 48 {
        format!("{} days", hours / 24)
    } else {
        format!("{hours} hour{}", if hours == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_told_in_whole_units() {
        let words = |hours: u64| in_words(Duration::from_secs(hours * 3600));
        assert_eq!((words(1), words(24), words(168)), ("1 hour".into(), "24 hours".into(), "7 days".into()));
    }
}
