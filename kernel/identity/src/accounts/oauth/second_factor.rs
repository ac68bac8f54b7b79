//! The authenticator app behind a provider's word. Wrong codes count towards the lock of the account as they do at sign-in
//! with a password: without that a stolen account at a provider could try codes until one fits.

use plinth_core::UserId;
use plinth_store::SystemTx;

use super::Error;
use crate::{
    Identity,
    accounts::{login::second_factor, passwords::attempts},
    entities::users,
};

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
    let id = UserId::from_uuid(user.id);
    // A locked account is answered like a wrong code, also for the right one.
    let Some(user) = attempts::begin(tx, id).await? else { return Ok(Verdict::Refused(Error::WrongCode)) };
    if !second_factor(tx, &user, code).await? {
        attempts::fail(identity, tx, &user).await?;
        return Ok(Verdict::Refused(Error::WrongCode));
    }
    attempts::forgive(tx, id).await?;
    Ok(Verdict::Passed)
}
