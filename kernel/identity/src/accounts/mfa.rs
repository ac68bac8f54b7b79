//! The second factor of an account: set up, confirmed, removed; and the recovery codes that stand in for it.
//!
//! A secret guards nothing before a code of it was shown: otherwise a mistake while setting it up would lock its owner
//! out. Taking the second factor away needs a proof, since that is what a thief of a session would do first.

use plinth_core::{
    Fault, FieldError, NewEvent, SYSTEM_TENANT, UserId,
    api::auth::{Confirm, RecoveryCodes, TotpEnrolment},
};
use plinth_gateway::refuses;
use plinth_store::{Error as StoreError, Invalidation, SystemTx};
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter, sea_query::SimpleExpr};
use serde_json::json;

use super::{
    login::totp_context,
    passwords::proof::{self, Proof, Shown, prove},
    profile::{self, NotOneself, Oneself},
};
use crate::{
    Identity,
    entities::{
        recovery_codes,
        users::{self, Column},
    },
    totp,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    NotOneself(#[from] NotOneself),
    #[error("an authenticator app is set up already; remove it before you set up another one")]
    AlreadyEnrolled,
    #[error("no authenticator app is waiting for its first code; begin with POST /api/v1/auth/mfa/totp")]
    NotBegun,
    #[error("no authenticator app is set up")]
    NotEnrolled,
    #[error("the code is wrong or has expired; wait for the next one and check the clock of the device")]
    WrongCode,
    #[error("the password or the code is wrong, or the account is locked for a while after too many wrong ones")]
    WrongProof,
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotOneself(NotOneself::SessionNeeded) => Forbidden "session_needed",
    Self::NotOneself(NotOneself::Impersonating) => Forbidden "not_while_impersonating",
    Self::AlreadyEnrolled => Conflict "mfa_already_enrolled",
    Self::NotBegun => Conflict "mfa_not_begun",
    Self::NotEnrolled => Conflict "mfa_not_enrolled",
    Self::WrongCode => Invalid "wrong_code",
    Self::WrongProof => Forbidden "wrong_proof",
} with fields);

fn failed(error: totp::TotpError) -> Fault {
    Fault::internal("a second factor cannot be made").because(error)
}

/// Makes a secret that waits for its first code. An earlier one that was never confirmed is forgotten.
pub async fn enrol(identity: &Identity, tx: &SystemTx, oneself: Oneself) -> Result<TotpEnrolment, Error> {
    let user = profile::load(tx, oneself.user).await?;
    if user.totp_confirmed_at.is_some() {
        return Err(Error::AlreadyEnrolled);
    }
    // The colon divides issuer and account in what the app is shown.
    let plain = |name: &str| name.replace(':', "");
    let enrolment =
        totp::enrol(identity.world().random(), &plain(&issuer(identity)), &plain(&user.email)).map_err(failed)?;
    let sealed = tx.store().vault().seal(tx, &totp_context(oneself.user), &enrolment.secret).await?;
    let waiting = Factor { secret: Some(sealed), confirmed_at: None, last_step: 0 };
    if !write(tx, oneself.user, waiting, Column::TotpConfirmedAt.is_null()).await? {
        return Err(Error::AlreadyEnrolled);
    }
    emit(tx, oneself.user, "user.mfa_enrolment_begun");
    Ok(TotpEnrolment { secret: enrolment.secret_base32, otpauth_url: enrolment.url })
}

/// Tells this platform from others in the list of an app.
fn issuer(identity: &Identity) -> String {
    let url = url::Url::parse(&identity.config().public_url).ok();
    let host = url.as_ref().and_then(url::Url::host_str);
    host.map_or_else(|| "Plinth".to_owned(), |host| format!("Plinth {host}"))
}

/// The first code shows that the app has the secret; from here on it is asked for.
pub async fn confirm(identity: &Identity, tx: &SystemTx, oneself: Oneself, code: &str) -> Result<RecoveryCodes, Error> {
    let user = profile::load(tx, oneself.user).await?;
    if user.totp_confirmed_at.is_some() {
        return Err(Error::AlreadyEnrolled);
    }
    let sealed = user.totp_secret.as_ref().ok_or(Error::NotBegun)?;
    let secret = tx.store().vault().open(tx, &totp_context(oneself.user), sealed).await?;
    let step =
        totp::verify(&secret, code, tx.now().seconds(), Some(user.totp_last_step)).map_err(|_| Error::WrongCode)?;
    let confirmed = Factor { secret: Some(sealed.clone()), confirmed_at: Some(tx.now().millis()), last_step: step };
    if !write(tx, oneself.user, confirmed, Column::TotpConfirmedAt.is_null()).await? {
        return Err(Error::AlreadyEnrolled);
    }
    let codes = replace_codes(identity, tx, oneself.user).await?;
    emit(tx, oneself.user, "user.mfa_enabled");
    let text = "Signing in to your account asks for a code of an authenticator app from now on. Keep the recovery codes \
                where you find them without your phone.\n\n\
                If it was not you, set a new password now and turn to whoever runs this platform.\n";
    profile::notify(tx, &user.email, "mfa_enabled", "An authenticator app protects your account", text).await?;
    Ok(codes)
}

/// Compares what was shown. Done before a transaction is open: comparing a password is slow.
pub async fn show(identity: &Identity, tx: SystemTx, oneself: Oneself, shown: Confirm) -> Result<Shown, Error> {
    if shown.password.is_none() && shown.totp.is_none() {
        let missing = FieldError::new("/password", "missing_field", "send your password, or a code in totp");
        return Err(Error::Invalid(vec![missing]));
    }
    let user = proof::account(tx, oneself).await?;
    if user.totp_confirmed_at.is_none() {
        return Err(Error::NotEnrolled);
    }
    Ok(proof::show(identity, &user, shown).await?)
}

/// Takes the second factor away.
pub async fn remove(identity: &Identity, tx: &SystemTx, oneself: Oneself, shown: Shown) -> Result<Proof, Error> {
    if prove(identity, tx, oneself, shown).await? == Proof::Wrong {
        return Ok(Proof::Wrong);
    }
    let user = enrolled(tx, oneself).await?;
    let none = Factor { secret: None, confirmed_at: None, last_step: 0 };
    write(tx, oneself.user, none, Column::TotpConfirmedAt.is_not_null()).await?;
    forget_codes(tx, oneself.user).await?;
    emit(tx, oneself.user, "user.mfa_disabled");
    let text = "Signing in to your account asks for no code of an authenticator app any more.\n\n\
                If it was not you, set a new password now and set the app up again.\n";
    profile::notify(tx, &user.email, "mfa_disabled", "Your account lost its authenticator app", text).await?;
    Ok(Proof::Right)
}

/// New recovery codes; the old ones stop working. None when the proof is wrong.
pub async fn renew_codes(
    identity: &Identity,
    tx: &SystemTx,
    oneself: Oneself,
    shown: Shown,
) -> Result<Option<RecoveryCodes>, Error> {
    if prove(identity, tx, oneself, shown).await? == Proof::Wrong {
        return Ok(None);
    }
    let user = enrolled(tx, oneself).await?;
    let codes = replace_codes(identity, tx, oneself.user).await?;
    emit(tx, oneself.user, "user.recovery_codes_replaced");
    let text = "New recovery codes were made for your account; the old ones stopped working.\n\n\
                If it was not you, set a new password now and make new codes again.\n";
    profile::notify(tx, &user.email, "recovery_codes_replaced", "Your recovery codes were replaced", text).await?;
    Ok(Some(codes))
}

/// The account, if it still has the second factor: another session may have removed it meanwhile.
async fn enrolled(tx: &SystemTx, oneself: Oneself) -> Result<users::Model, Error> {
    let user = profile::load(tx, oneself.user).await?;
    if user.totp_confirmed_at.is_some() { Ok(user) } else { Err(Error::NotEnrolled) }
}

/// What an account keeps of its second factor.
struct Factor {
    secret: Option<Vec<u8>>,
    confirmed_at: Option<i64>,
    last_step: i64,
}

/// Writes where the account is still as the change was decided on; says whether it was.
async fn write(tx: &SystemTx, user: UserId, factor: Factor, still: SimpleExpr) -> Result<bool, StoreError> {
    let row = users::ActiveModel {
        totp_secret: Set(factor.secret),
        totp_confirmed_at: Set(factor.confirmed_at),
        totp_last_step: Set(factor.last_step),
        ..Default::default()
    };
    let written =
        tx.update::<users::Entity>().set(row).filter(Column::Id.eq(user.uuid())).filter(still).exec(tx).await?;
    tx.invalidate(Invalidation::User(user));
    Ok(written.rows_affected == 1)
}

async fn replace_codes(identity: &Identity, tx: &SystemTx, user: UserId) -> Result<RecoveryCodes, Error> {
    let made = totp::RecoveryCodes::generate(identity.world().random()).map_err(failed)?;
    forget_codes(tx, user).await?;
    for hash in &made.hashes {
        let row = recovery_codes::Model { user_id: user.uuid(), hash: hash.to_vec(), used_at: None };
        tx.insert(row).await?;
    }
    Ok(RecoveryCodes { recovery_codes: made.codes })
}

async fn forget_codes(tx: &SystemTx, user: UserId) -> Result<(), StoreError> {
    use recovery_codes::{Column, Entity};
    tx.delete::<Entity>().filter(Column::UserId.eq(user.uuid())).exec(tx).await?;
    Ok(())
}

fn emit(tx: &SystemTx, user: UserId, kind: &'static str) {
    tx.in_tenant(SYSTEM_TENANT).emit(NewEvent::new(kind, format!("user/{user}"), &json!({ "user": user })));
}
