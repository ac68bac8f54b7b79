//! Whose account an identity at a provider opens.

use plinth_core::UserId;
use plinth_store::{Error as StoreError, SystemTx};
use sea_orm::{ColumnTrait, QueryFilter};

use super::{
    Error,
    attempt::{Proof, Wish},
};
use crate::{
    Identity, ProviderConfig,
    entities::{linked_identities, users},
    fields::{Checks, email_key},
};

/// What is to be done with an identity.
#[derive(Debug)]
pub enum Decision {
    /// It is linked to this account.
    Known(Box<users::Model>),
    /// It is to be linked to this account.
    Link(Box<users::Model>),
    /// It gets an account of its own under this address.
    Create { email: String },
}

pub async fn decide(
    identity: &Identity,
    tx: &SystemTx,
    provider: &ProviderConfig,
    proof: &Proof,
    wish: &Wish,
) -> Result<Decision, Error> {
    let linked = tx
        .find::<linked_identities::Entity>()
        .filter(linked_identities::Column::Issuer.eq(&proof.issuer))
        .filter(linked_identities::Column::Subject.eq(&proof.subject))
        .one(tx)
        .await
        .map_err(StoreError::from)?;
    if let Some(linked) = linked {
        let owner = UserId::from_uuid(linked.user_id);
        if wish.link_to.is_some_and(|wanted| wanted != owner) {
            return Err(Error::IdentityTaken);
        }
        return Ok(Decision::Known(Box::new(by_id(tx, owner).await?)));
    }
    if let Some(wanted) = wish.link_to {
        return Ok(Decision::Link(Box::new(by_id(tx, wanted).await?)));
    }
    by_address(identity, tx, provider, proof).await
}

/// The account was there when the sign-in began, or when the identity was linked.
async fn by_id(tx: &SystemTx, user: UserId) -> Result<users::Model, Error> {
    let row = tx.find::<users::Entity>().filter(users::Column::Id.eq(user.uuid())).one(tx).await;
    row.map_err(StoreError::from)?.ok_or(Error::StateInvalid)
}

async fn by_address(
    identity: &Identity,
    tx: &SystemTx,
    provider: &ProviderConfig,
    proof: &Proof,
) -> Result<Decision, Error> {
    let email = proof.email.as_deref().filter(|email| is_usable(email));
    if let Some(email) = email {
        let found = tx.find::<users::Entity>().filter(users::Column::EmailKey.eq(email_key(email))).one(tx).await;
        if let Some(user) = found.map_err(StoreError::from)? {
            let vouched = provider.trust_email && proof.email_verified && user.email_verified_at.is_some();
            return if vouched { Ok(Decision::Link(Box::new(user))) } else { Err(Error::AccountExists) };
        }
    }
    if !identity.config().open_registration {
        return Err(Error::Closed);
    }
    let email = email.ok_or(Error::EmailNeeded)?.to_owned();
    Ok(Decision::Create { email })
}

fn is_usable(email: &str) -> bool {
    let mut checks = Checks::default();
    checks.email("/email", email);
    checks.done().is_ok()
}
