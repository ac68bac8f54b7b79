//! The authenticator app behind a provider's word. Wrong codes count towards the lock of the account as they do at sign-in
//! with a password: without that a stolen account at a provider could try codes until one fits.

use plinth_core::{NewEvent, SYSTEM_TENANT, UserId, ports::Mail};
use plinth_store::{Error as StoreError, SystemTx, mail};
use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use super::Error;
use crate::{Identity, accounts::login::second_factor, entities::users};

pub enum Verdict {
    /// The person has none set up here.
    NotSetUp,
    Passed,
    /// What was counted must be committed.
    Refused(Error),
}

pub async fn check(
    identity: &Identity,
    tx: &SystemTx,
    user: &users::Model,
    code: Option<&str>,
) -> Result<Verdict, Error> {
    if user.totp_confirmed_at.is_none() {
        return Ok(Verdict::NotSetUp);
    }
    let Some(code) = code else { return Ok(Verdict::Refused(Error::MfaRequired)) };
    // A locked account is answered like a wrong code, also for the right one.
    if user.locked_until.is_some_and(|until| until > tx.now().millis()) {
        return Ok(Verdict::Refused(Error::WrongCode));
    }
    if !second_factor(tx, user, code).await? {
        count_failure(identity, tx, user).await?;
        return Ok(Verdict::Refused(Error::WrongCode));
    }
    set_failures(tx, user, 0, None).await?;
    Ok(Verdict::Passed)
}

async fn count_failure(identity: &Identity, tx: &SystemTx, user: &users::Model) -> Result<(), StoreError> {
    let failed = user.failed_attempts + 1;
    if failed < i64::from(identity.config().lockout_attempts) {
        return set_failures(tx, user, failed, None).await;
    }
    let lockout = identity.config().lockout;
    set_failures(tx, user, 0, Some((tx.now() + lockout).millis())).await?;
    let id = UserId::from_uuid(user.id);
    let told = json!({ "user": id, "attempts": failed });
    tx.in_tenant(SYSTEM_TENANT).emit(NewEvent::new("user.locked", format!("user/{id}"), &told));
    let mail = Mail {
        tenant: None,
        to: user.email.clone(),
        subject: "Your account is locked for a while".into(),
        text: format!(
            "There were {failed} wrong codes of the authenticator app after a sign-in through an identity provider, so your \
             account is locked for {} minutes.\nIf it was not you, somebody can use your account at that provider: change \
             its password there.\n",
            lockout.as_secs() / 60
        ),
        purpose: "account_locked",
        token: None,
    };
    mail::queue(tx, mail).await
}

async fn set_failures(tx: &SystemTx, user: &users::Model, failed: i64, until: Option<i64>) -> Result<(), StoreError> {
    tx.update::<users::Entity>()
        .col_expr(users::Column::FailedAttempts, Expr::value(failed))
        .col_expr(users::Column::LockedUntil, Expr::value(until))
        .filter(users::Column::Id.eq(user.id))
        .exec(tx)
        .await?;
    Ok(())
}
