//! A new password for whoever reads the mail of the account. Everything that was signed in before is signed out.

use plinth_core::{Fault, FieldError, UserId, api::auth::ResetPassword};
use plinth_gateway::refuses;
use plinth_store::SystemTx;

use super::{attempts, hash, set};
use crate::{
    Identity,
    accounts::{
        one_time::{self, Purpose},
        profile, verify,
    },
    fields::email_key,
    password::{RuleError, check_rules},
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the link was used, is too old, or a newer one was sent; ask for another one")]
    TokenInvalid,
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::TokenInvalid => Invalid "one_time_token_invalid",
} with fields);

impl Error {
    fn password(rule: RuleError) -> Self {
        Self::Invalid(vec![FieldError::new("/password", rule.code(), rule.to_string())])
    }
}

/// A request with the password hashed. Made before a transaction is open: hashing is slow.
pub struct Prepared {
    token: String,
    password: String,
    hash: String,
}

pub async fn prepare(identity: &Identity, request: ResetPassword) -> Result<Prepared, Error> {
    let ResetPassword { token, password } = request;
    // Whose address the password must differ from is known once the token is redeemed.
    check_rules(&password, "", identity.config().password_min_length).map_err(Error::password)?;
    let hash = hash(identity, password.clone()).await?;
    Ok(Prepared { token, password, hash })
}

pub async fn reset(identity: &Identity, tx: &SystemTx, prepared: Prepared) -> Result<(), Error> {
    let redeemed = one_time::redeem(tx, Purpose::ResetPassword, &prepared.token).await?.ok_or(Error::TokenInvalid)?;
    let user = profile::load(tx, redeemed.user).await?;
    let id = UserId::from_uuid(user.id);
    // What was sent to an address proves nothing about an account that has moved to another one.
    if redeemed.email.as_deref().map(email_key) != Some(user.email_key.clone()) {
        return Err(Error::TokenInvalid);
    }
    check_rules(&prepared.password, &user.email, identity.config().password_min_length).map_err(Error::password)?;
    verify::mark_verified(tx, &user).await?;
    attempts::forgive(tx, id).await?;
    set(tx, &user, prepared.hash, "reset").await?;
    profile::end_sessions(tx, id, None, "the password was reset").await?;
    Ok(())
}
