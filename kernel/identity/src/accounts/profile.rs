//! A person's own account: who may change it, what it says of them, where they are signed in.
//!
//! What guards an account (password, second factor, address, sessions) is changed by the person alone, from a session of
//! their own. A leaked API key cannot take the account over, and neither can an operator who acts as the person.

use plinth_core::{
    Actor, Fault, FieldError, NewEvent, Principal, SYSTEM_TENANT, SessionId, Timestamp, UserId,
    api::{
        Patch,
        auth::Session,
        users::{Me, UpdateMe},
    },
    ports::Mail,
};
use plinth_gateway::{Stale, refuses};
use plinth_store::{Error as StoreError, Invalidation, SystemTx, mail};
use sea_orm::{ColumnTrait, QueryFilter, Select, sea_query::Expr};
use serde_json::json;

use super::verify;
use crate::{
    Identity,
    entities::{sessions, users},
    fields::Checks,
    sessions::revoke,
    view,
};

/// Somebody in a session of their own.
#[derive(Debug, Clone, Copy)]
pub struct Oneself {
    pub user: UserId,
    pub session: SessionId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOneself {
    #[error("an API key cannot do this; sign in as a person")]
    SessionNeeded,
    #[error("this belongs to the person alone; end the impersonation and let them do it")]
    Impersonating,
}

impl Oneself {
    pub fn of(principal: &Principal) -> Result<Self, NotOneself> {
        let (Actor::User(user), Some(session)) = (principal.actor, principal.session) else {
            return Err(NotOneself::SessionNeeded);
        };
        if principal.impersonator.is_some() {
            return Err(NotOneself::Impersonating);
        }
        Ok(Self { user, session })
    }
}

/// The account of somebody who is known to have one.
pub async fn load(tx: &SystemTx, user: UserId) -> Result<users::Model, Fault> {
    let row =
        tx.find::<users::Entity>().filter(users::Column::Id.eq(user.uuid())).one(tx).await.map_err(StoreError::from)?;
    row.ok_or_else(|| Fault::internal(format!("{user} has a session or a token and no account")))
}

/// Tells a person what happened to their account.
pub async fn notify(
    tx: &SystemTx,
    to: &str,
    purpose: &'static str,
    subject: &str,
    text: &str,
) -> Result<(), StoreError> {
    let mail = Mail { tenant: None, to: to.into(), subject: subject.into(), text: text.into(), purpose, token: None };
    mail::queue(tx, mail).await
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    NotOneself(#[from] NotOneself),
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotOneself(NotOneself::SessionNeeded) => Forbidden "session_needed",
    Self::NotOneself(NotOneself::Impersonating) => Forbidden "not_while_impersonating",
    Self::Stale(_) => PreconditionFailed "stale",
} with fields);

pub fn check(change: &UpdateMe) -> Result<(), Error> {
    let mut checks = Checks::default();
    match &change.name {
        Patch::Value(name) => drop(checks.name("/name", name)),
        Patch::Null => drop(checks.refuse("/name", "required", "a name can be changed and not removed")),
        Patch::Absent => {}
    }
    if let Patch::Value(locale) = &change.locale {
        checks.locale("/locale", locale);
    }
    match &change.email {
        Patch::Value(email) => drop(checks.email("/email", email)),
        Patch::Null => drop(checks.refuse("/email", "required", "an address can be changed and not removed")),
        Patch::Absent => {}
    }
    checks.done().map_err(Error::Invalid)
}

/// Changes what can be changed at once, and asks the owner of a new address.
pub async fn update(
    identity: &Identity,
    tx: &SystemTx,
    mut user: users::Model,
    change: UpdateMe,
) -> Result<users::Model, Error> {
    let before = (user.name.clone(), user.locale.clone());
    if let Patch::Value(name) = change.name {
        name.trim().clone_into(&mut user.name);
    }
    change.locale.apply(&mut user.locale);
    if before != (user.name.clone(), user.locale.clone()) {
        keep(tx, &user).await?;
    }
    if let Patch::Value(email) = change.email {
        verify::ask_for(identity, tx, &user, email.trim()).await?;
    }
    Ok(user)
}

async fn keep(tx: &SystemTx, user: &users::Model) -> Result<(), StoreError> {
    let id = UserId::from_uuid(user.id);
    tx.update::<users::Entity>()
        .col_expr(users::Column::Name, Expr::value(user.name.clone()))
        .col_expr(users::Column::Locale, Expr::value(user.locale.clone()))
        .filter(users::Column::Id.eq(user.id))
        .exec(tx)
        .await?;
    tx.in_tenant(SYSTEM_TENANT).emit(NewEvent::new("user.updated", format!("user/{id}"), &json!({ "user": id })));
    tx.invalidate(Invalidation::User(id));
    Ok(())
}

/// The caller's profile with the account as it is now.
pub fn me(principal: &Principal, user: &users::Model) -> Me {
    Me { user: Some(view::user(user)), ..Me::clone(&principal.profile) }
}

/// The sessions of a person that can still be used.
pub fn open_sessions(tx: &SystemTx, user: UserId) -> Select<sessions::Entity> {
    tx.find::<sessions::Entity>()
        .filter(sessions::Column::UserId.eq(user.uuid()))
        .filter(sessions::Column::RevokedAt.is_null())
        .filter(sessions::Column::ExpiresAt.gt(tx.now().millis()))
}

/// Ends every session of a person, or every other one.
pub async fn end_sessions(tx: &SystemTx, user: UserId, keep: Option<SessionId>, why: &str) -> Result<(), StoreError> {
    for session in open_sessions(tx, user).all(tx).await? {
        if keep.is_none_or(|kept| kept.uuid() != session.id) {
            revoke(tx, &session, why).await?;
        }
    }
    Ok(())
}

pub fn session(row: &sessions::Model, current: SessionId) -> Session {
    Session {
        id: SessionId::from_uuid(row.id),
        current: row.id == current.uuid(),
        created_at: Timestamp::from_millis(row.created_at),
        last_seen_at: Timestamp::from_millis(row.last_seen_at),
        expires_at: Timestamp::from_millis(row.expires_at),
        user_agent: row.user_agent.clone(),
        address: row.address.clone(),
        methods: row.methods.split_whitespace().map(str::to_owned).collect(),
    }
}
