//! Registration: a person, their tenant and its ownership come into being together, or not at all.

use plinth_core::{
    Fault, FieldError, NewEvent, TenantId, UserId,
    api::auth::{NewTenant, Register, SignedIn},
    ports::Mail,
};
use plinth_gateway::refuses;
use plinth_store::{Error as StoreError, SystemTx, mail};
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter};
use serde_json::json;

use super::one_time::{self, Purpose};
use crate::{
    Identity,
    entities::{memberships, tenants, users},
    fields::{Checks, email_key},
    password::check_rules,
    permissions::OWNER,
    sessions::{self, Device},
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("registration is closed on this platform; ask to be invited")]
    Closed,
    #[error("an account with this address exists; sign in, or reset its password")]
    EmailTaken,
    #[error("another tenant has this slug; choose another")]
    SlugTaken,
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::Closed => Forbidden "registration_closed",
    Self::EmailTaken => Conflict "email_taken",
    Self::SlugTaken => Conflict "slug_taken",
} with fields);

/// A request whose fields are in order, with the password hashed. Made before a transaction is open: hashing is slow.
pub struct Prepared {
    request: Register,
    password: String,
}

pub async fn prepare(identity: &Identity, request: Register) -> Result<Prepared, Error> {
    if !identity.config().open_registration {
        return Err(Error::Closed);
    }
    prepare_unasked(identity, request).await
}

/// The same on behalf of the platform, which may register people while registration is closed.
pub async fn prepare_unasked(identity: &Identity, request: Register) -> Result<Prepared, Error> {
    let mut checks = Checks::default();
    checks.email("/email", &request.email).name("/name", &request.name);
    checks.name("/tenant/name", &request.tenant.name).slug("/tenant/slug", &request.tenant.slug);
    if let Err(rule) = check_rules(&request.password, &request.email, identity.config().password_min_length) {
        checks.refuse("/password", rule.code(), rule.to_string());
    }
    checks.done().map_err(Error::Invalid)?;
    let hash = identity.hasher().hash(identity.world().random(), request.password.clone());
    let password = hash.await.map_err(|error| Fault::internal("a password could not be hashed").because(error))?;
    Ok(Prepared { request, password })
}

pub async fn register(
    identity: &Identity,
    tx: &SystemTx,
    prepared: Prepared,
    device: Device,
) -> Result<SignedIn, Error> {
    let Prepared { request, password } = prepared;
    let user = create_user(tx, &request.email, &request.name, Some(password)).await?;
    let (tenant, row) = create_tenant(tx, &request.tenant).await?;
    join(tx, tenant, user.0, &[OWNER.to_owned()]).await?;
    send_verification(identity, tx, user.0, &request.email).await?;
    let opened = sessions::open(identity, tx, user.0, Some(tenant), &["password"], device).await?;
    Ok(SignedIn { user: view::user(&user.1), tenant: Some(view::tenant(&row)?), tokens: opened.tokens })
}

/// A new person. Belongs nowhere yet.
pub async fn create_user(
    tx: &SystemTx,
    email: &str,
    name: &str,
    password: Option<String>,
) -> Result<(UserId, users::Model), Error> {
    let key = email_key(email);
    let taken =
        tx.find::<users::Entity>().filter(users::Column::EmailKey.eq(&key)).one(tx).await.map_err(StoreError::from)?;
    if taken.is_some() {
        return Err(Error::EmailTaken);
    }
    let id: UserId = tx.mint();
    let row = users::Model {
        id: id.uuid(),
        email: email.trim().to_owned(),
        email_key: key,
        name: name.trim().to_owned(),
        locale: None,
        password,
        email_verified_at: None,
        totp_secret: None,
        totp_confirmed_at: None,
        totp_last_step: 0,
        failed_attempts: 0,
        locked_until: None,
        created_at: tx.now().millis(),
    };
    tx.insert(row.clone())
        .await
        .map_err(|error| if error.is_duplicate() { Error::EmailTaken } else { error.into() })?;
    Ok((id, row))
}

/// A new tenant without members.
pub async fn create_tenant(tx: &SystemTx, new: &NewTenant) -> Result<(TenantId, tenants::Model), Error> {
    let taken = tx
        .find::<tenants::Entity>()
        .filter(tenants::Column::Slug.eq(&new.slug))
        .one(tx)
        .await
        .map_err(StoreError::from)?;
    if taken.is_some() {
        return Err(Error::SlugTaken);
    }
    let id: TenantId = tx.mint();
    let row = tenants::Model {
        id: id.uuid(),
        slug: new.slug.clone(),
        name: new.name.trim().to_owned(),
        state: "active".into(),
        state_reason: None,
        erase_at: None,
        limits: "{}".into(),
        settings: "{}".into(),
        created_at: tx.now().millis(),
    };
    tx.insert(row.clone()).await.map_err(|error| if error.is_duplicate() { Error::SlugTaken } else { error.into() })?;
    let told = json!({ "name": row.name, "slug": row.slug });
    tx.in_tenant(id).emit(NewEvent::new("tenant.created", format!("tenant/{id}"), &told));
    Ok((id, row))
}

/// Makes a person a member of a tenant.
pub async fn join(tx: &SystemTx, tenant: TenantId, user: UserId, roles: &[String]) -> Result<(), Error> {
    let id: plinth_core::MemberId = tx.mint();
    let row = memberships::ActiveModel {
        id: Set(id.uuid()),
        tenant: Set(tenant.uuid()),
        user_id: Set(user.uuid()),
        roles: Set(view::write_json(&roles)?),
        joined_at: Set(tx.now().millis()),
    };
    let scope = tx.in_tenant(tenant);
    scope.insert(row).await?;
    scope.emit(NewEvent::new("member.joined", format!("user/{user}"), &json!({ "user": user, "roles": roles })));
    Ok(())
}

/// Asks the owner of an address to say so.
pub async fn send_verification(
    identity: &Identity,
    tx: &SystemTx,
    user: UserId,
    email: &str,
) -> Result<(), StoreError> {
    let token = one_time::make(tx, Purpose::VerifyEmail, user, email, identity.config().email_verification).await?;
    let link = format!("{}/verify-email?token={token}", identity.config().public_url);
    let text = format!(
        "Somebody, probably you, gave this address for an account.\n\nConfirm it here:\n{link}\n\n\
         If it was not you, do nothing: without your confirmation the address does not count.\n"
    );
    let mail = Mail {
        tenant: None,
        to: email.to_owned(),
        subject: "Confirm your address".into(),
        text,
        purpose: Purpose::VerifyEmail.as_str(),
        token: Some(token),
    };
    mail::queue(tx, mail).await
}
