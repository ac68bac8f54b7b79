//! Proof that the person at the keyboard is the account's owner, asked for before a change that weakens the account.
//!
//! The password or a code of the second factor is enough; what is shown has to be right altogether. A wrong proof counts
//! like a failed sign-in, and when it was one too many, the session that guesses ends as well.

use plinth_core::{Fault, UserId, api::auth::Confirm};
use plinth_store::{Error as StoreError, SystemTx};
use sea_orm::{ColumnTrait, QueryFilter};

use super::attempts;
use crate::{
    Identity,
    accounts::{
        login::{self, second_factor},
        profile::{self, Oneself},
    },
    entities::{sessions, users},
    sessions::revoke,
};

/// What was shown, with the password compared already: that is slow and happens before a transaction is open.
pub struct Shown {
    stored: Option<String>,
    password: Option<bool>,
    totp: Option<String>,
}

/// What a proof comes to. A wrong one changes something too: it is counted, so it must be committed.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Proof {
    Right,
    Wrong,
}

pub async fn show(identity: &Identity, user: &users::Model, shown: Confirm) -> Result<Shown, Fault> {
    let Confirm { password, totp } = shown;
    let password = match password {
        None => None,
        Some(candidate) => {
            let verdict = identity.hasher().verify(user.password.as_deref(), candidate).await;
            Some(verdict.map_err(|error| Fault::internal("a password could not be compared").because(error))?.matches)
        }
    };
    Ok(Shown { stored: user.password.clone(), password, totp })
}

impl Shown {
    /// The password was shown and is the right one.
    pub fn knows_password(&self) -> bool {
        self.password == Some(true)
    }
}

pub async fn prove(identity: &Identity, tx: &SystemTx, oneself: Oneself, shown: Shown) -> Result<Proof, Fault> {
    let Some(user) = attempts::begin(tx, oneself.user).await? else { return Ok(Proof::Wrong) };
    // A password that was changed since it was compared has not been shown.
    let password = user.password == shown.stored && shown.password != Some(false);
    let right = password
        && match &shown.totp {
            Some(code) => user.totp_confirmed_at.is_some() && is_second_factor(tx, &user, code).await?,
            None => true,
        };
    if right {
        attempts::forgive(tx, UserId::from_uuid(user.id)).await?;
        return Ok(Proof::Right);
    }
    if attempts::fail(identity, tx, &user).await? {
        end_guessing(tx, oneself).await?;
    }
    Ok(Proof::Wrong)
}

pub async fn is_second_factor(tx: &SystemTx, user: &users::Model, code: &str) -> Result<bool, Fault> {
    second_factor(tx, user, code).await.map_err(|error| match error {
        login::Error::Fault(fault) => fault,
        other => Fault::internal("a second factor could not be judged").because(other),
    })
}

async fn end_guessing(tx: &SystemTx, oneself: Oneself) -> Result<(), StoreError> {
    let session = tx.find::<sessions::Entity>().filter(sessions::Column::Id.eq(oneself.session.uuid())).one(tx).await?;
    match session {
        Some(session) => revoke(tx, &session, "too many wrong proofs").await,
        None => Ok(()),
    }
}

/// The account as it is before the proof is looked at.
pub async fn account(tx: SystemTx, oneself: Oneself) -> Result<users::Model, Fault> {
    profile::load(&tx, oneself.user).await
}
