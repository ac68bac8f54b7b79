//! A forgotten password: a mail with a link that sets a new one, if there is an account.

use plinth_core::{Fault, FieldError, UserId, ports::Mail};
use plinth_gateway::refuses;
use plinth_store::{Error as StoreError, SystemTx, mail};
use sea_orm::{ColumnTrait, QueryFilter};

use crate::{
    Identity,
    accounts::one_time::{self, Purpose},
    entities::users,
    fields::{Checks, email_key},
};

/// What can be wrong with a request for a mail to an address. That there is no account is not among it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {} with fields);

pub fn check(email: &str) -> Result<(), Error> {
    let mut checks = Checks::default();
    checks.email("/email", email);
    checks.done().map_err(Error::Invalid)
}

/// The account with an address.
pub async fn account(tx: &SystemTx, email: &str) -> Result<Option<users::Model>, StoreError> {
    Ok(tx.find::<users::Entity>().filter(users::Column::EmailKey.eq(email_key(email))).one(tx).await?)
}

/// Emits no event: the position of an event goes out with the answer and would tell that there is an account.
pub async fn forgot(identity: &Identity, tx: &SystemTx, email: &str) -> Result<(), StoreError> {
    let Some(user) = account(tx, email).await? else { return Ok(()) };
    let lifetime = identity.config().password_reset;
    let token = one_time::make(tx, Purpose::ResetPassword, UserId::from_uuid(user.id), &user.email, lifetime).await?;
    let link = format!("{}/reset-password?token={token}", identity.config().public_url);
    let minutes = lifetime.as_secs().div_ceil(60);
    let text = format!(
        "Somebody, probably you, has forgotten the password of your account.\n\n\
         Set a new one here, within {minutes} minutes:\n{link}\n\n\
         If it was not you, do nothing: your password stays as it is.\n"
    );
    let mail = Mail {
        tenant: None,
        to: user.email,
        subject: "Set a new password".into(),
        text,
        purpose: Purpose::ResetPassword.as_str(),
        token: Some(token),
    };
    mail::queue(tx, mail).await
}
