//! Another password, chosen by somebody who is signed in and knows the present one.

use plinth_core::{
    Fault, FieldError,
    api::auth::{ChangePassword, Confirm},
};
use plinth_gateway::refuses;
use plinth_store::SystemTx;

use super::{
    hash,
    proof::{self, Proof, Shown, prove},
    set,
};
use crate::{
    Identity,
    accounts::profile::{self, NotOneself, Oneself},
    fields::Checks,
    password::check_rules,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    NotOneself(#[from] NotOneself),
    #[error("the current password is wrong, or the account is locked for a while after too many wrong ones")]
    WrongProof,
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotOneself(NotOneself::SessionNeeded) => Forbidden "session_needed",
    Self::NotOneself(NotOneself::Impersonating) => Forbidden "not_while_impersonating",
    Self::WrongProof => Forbidden "wrong_proof",
} with fields);

/// A request with the present password compared and the new one hashed.
pub struct Prepared {
    shown: Shown,
    /// None where the proof is wrong already, so that a guess costs one hash and not two.
    hash: Option<String>,
}

pub async fn prepare(
    identity: &Identity,
    tx: SystemTx,
    oneself: Oneself,
    request: ChangePassword,
) -> Result<Prepared, Error> {
    let user = proof::account(tx, oneself).await?;
    let mut checks = Checks::default();
    if user.password.is_some() && request.current_password.is_none() {
        checks.refuse("/current_password", "missing_field", "the password that you have now");
    }
    if let Err(rule) = check_rules(&request.new_password, &user.email, identity.config().password_min_length) {
        checks.refuse("/new_password", rule.code(), rule.to_string());
    }
    checks.done().map_err(Error::Invalid)?;
    let shown = Confirm { password: request.current_password, totp: None };
    let shown = proof::show(identity, &user, shown).await?;
    let expected = user.password.is_none() || shown.knows_password();
    let hash = if expected { Some(hash(identity, request.new_password).await?) } else { None };
    Ok(Prepared { shown, hash })
}

pub async fn change(identity: &Identity, tx: &SystemTx, oneself: Oneself, prepared: Prepared) -> Result<Proof, Error> {
    let Prepared { shown, hash } = prepared;
    let proof = prove(identity, tx, oneself, shown).await?;
    let (Proof::Right, Some(hash)) = (&proof, hash) else { return Ok(Proof::Wrong) };
    let user = profile::load(tx, oneself.user).await?;
    set(tx, &user, hash, "change").await?;
    profile::end_sessions(tx, oneself.user, Some(oneself.session), "the password was changed").await?;
    Ok(proof)
}
