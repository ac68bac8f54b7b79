//! Sign-ins that are under way: what is kept between the start and the callback, and between the callback and the code of
//! the authenticator app.
//!
//! Rows are found by hashes. The first is over `state`; the second, made when the provider has answered and a second factor
//! is still missing, is over `state` and `code` together, so that a client repeats the request it has made and the state
//! itself stays used up. What must stay secret is sealed and bound to its row.

use std::time::Duration;

use plinth_core::{Fault, Id, UserId, api::auth::NewTenant};
use plinth_store::{Error as StoreError, SystemTx};
use ring::digest;
use sea_orm::{ColumnTrait, QueryFilter};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::{
    entities::oauth_attempts::{Column, Entity, Model},
    oidc,
};

/// Time to sign in at the provider.
const AT_PROVIDER: Duration = Duration::from_mins(10);
/// Time to look up a code.
const FOR_CODE: Duration = Duration::from_mins(5);

/// What the browser came back with.
#[derive(Clone, Copy)]
pub struct Ticket<'a> {
    pub provider: &'a str,
    pub state: &'a str,
    pub code: &'a str,
}

impl Ticket<'_> {
    fn first(&self) -> Vec<u8> {
        hash(&[b"plinth oauth state", self.state.as_bytes()])
    }

    fn second(&self) -> Vec<u8> {
        hash(&[b"plinth oauth second factor", self.state.as_bytes(), self.code.as_bytes()])
    }
}

fn hash(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

/// What the start asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    pub redirect_uri: String,
    /// To be created with a new account.
    pub tenant: Option<NewTenant>,
    /// The account to link, instead of signing in.
    pub link_to: Option<UserId>,
}

/// Who the provider says it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Proof {
    pub issuer: String,
    pub subject: String,
    pub email: Option<String>,
    pub email_verified: bool,
    pub name: Option<String>,
}

impl From<oidc::Identity> for Proof {
    fn from(identity: oidc::Identity) -> Self {
        let oidc::Identity { issuer, subject, email, email_verified, name } = identity;
        Self { issuer, subject, email, email_verified, name }
    }
}

/// A sign-in that was waited for.
pub enum Waiting {
    /// For the provider's code.
    ForProvider { wish: Wish, nonce: String, verifier: String },
    /// For the code of the authenticator app.
    ForCode { wish: Wish, proof: Proof },
}

/// Keeps a start until its callback, and forgets those that nobody came back for.
pub async fn keep_start(tx: &SystemTx, provider: &str, start: &oidc::Start, wish: Wish) -> Result<(), StoreError> {
    tx.delete::<Entity>().filter(Column::ExpiresAt.lte(tx.now().millis())).exec(tx).await?;
    let hash = Ticket { provider, state: &start.state, code: "" }.first();
    let verifier = tx.store().vault().seal(tx, &context("verifier", &hash), start.pkce_verifier.as_bytes()).await?;
    insert(tx, hash, provider, start.nonce.clone(), verifier, wish, AT_PROVIDER).await
}

/// Keeps what the provider said until the code of the authenticator app comes. Repeating it does not prolong it.
pub async fn keep_proof(tx: &SystemTx, ticket: Ticket<'_>, proof: &Proof, wish: Wish) -> Result<(), Error> {
    let hash = ticket.second();
    if find(tx, &hash, ticket.provider).await?.is_some() {
        return Ok(());
    }
    let plain =
        serde_json::to_vec(proof).map_err(|error| Fault::internal("a proof cannot be written").because(error))?;
    let sealed = tx.store().vault().seal(tx, &context("proof", &hash), &plain).await?;
    insert(tx, hash, ticket.provider, String::new(), sealed, wish, FOR_CODE).await?;
    Ok(())
}

/// Forgets what the provider said: it has signed in. False when another request did so a moment ago.
pub async fn spend_proof(tx: &SystemTx, ticket: Ticket<'_>) -> Result<bool, StoreError> {
    let spent = tx.delete::<Entity>().filter(Column::StateHash.eq(ticket.second())).exec(tx).await?;
    Ok(spent.rows_affected == 1)
}

/// The sign-in that a callback belongs to. One that waited for the provider is used up by this. `me` is the person who is
/// signed in while asking; it matters to links only.
pub async fn take(tx: &SystemTx, ticket: Ticket<'_>, me: Result<Option<UserId>, Error>) -> Result<Waiting, Error> {
    let vault = tx.store().vault();
    if let Some(row) = find(tx, &ticket.first(), ticket.provider).await? {
        let wish = wish_of(&row);
        check_linker(&wish, me)?;
        let used = tx.delete::<Entity>().filter(Column::StateHash.eq(row.state_hash.clone())).exec(tx).await;
        if used.map_err(StoreError::from)?.rows_affected == 0 {
            return Err(Error::StateInvalid);
        }
        let plain = vault.open(tx, &context("verifier", &row.state_hash), &row.verifier).await?;
        let verifier =
            String::from_utf8(plain).map_err(|error| Fault::internal("a kept verifier is no text").because(error))?;
        return Ok(Waiting::ForProvider { wish, nonce: row.nonce, verifier });
    }
    let row = find(tx, &ticket.second(), ticket.provider).await?.ok_or(Error::StateInvalid)?;
    let wish = wish_of(&row);
    check_linker(&wish, me)?;
    let plain = vault.open(tx, &context("proof", &row.state_hash), &row.verifier).await?;
    let proof =
        serde_json::from_slice(&plain).map_err(|error| Fault::internal("a kept proof is unreadable").because(error))?;
    Ok(Waiting::ForCode { wish, proof })
}

/// Checked before anything is used up: who forgot to send the token may do so now.
fn check_linker(wish: &Wish, me: Result<Option<UserId>, Error>) -> Result<(), Error> {
    let Some(wanted) = wish.link_to else { return Ok(()) };
    match me? {
        Some(me) if me == wanted => Ok(()),
        Some(_) => Err(Error::LinkOfAnother),
        None => Err(Error::LinkUnsigned),
    }
}

async fn find(tx: &SystemTx, hash: &[u8], provider: &str) -> Result<Option<Model>, StoreError> {
    let row = tx
        .find::<Entity>()
        .filter(Column::StateHash.eq(hash.to_vec()))
        .filter(Column::Provider.eq(provider))
        .filter(Column::ExpiresAt.gt(tx.now().millis()))
        .one(tx)
        .await?;
    Ok(row)
}

async fn insert(
    tx: &SystemTx,
    state_hash: Vec<u8>,
    provider: &str,
    nonce: String,
    verifier: Vec<u8>,
    wish: Wish,
    lifetime: Duration,
) -> Result<(), StoreError> {
    let (tenant_name, tenant_slug) = wish.tenant.map(|tenant| (tenant.name, tenant.slug)).unzip();
    let row = Model {
        state_hash,
        provider: provider.to_owned(),
        nonce,
        verifier,
        redirect_uri: wish.redirect_uri,
        tenant_name,
        tenant_slug,
        link_to: wish.link_to.map(Id::uuid),
        created_at: tx.now().millis(),
        expires_at: (tx.now() + lifetime).millis(),
    };
    tx.insert(row).await
}

fn wish_of(row: &Model) -> Wish {
    let tenant = row.tenant_name.clone().zip(row.tenant_slug.clone());
    Wish {
        redirect_uri: row.redirect_uri.clone(),
        tenant: tenant.map(|(name, slug)| NewTenant { name, slug }),
        link_to: row.link_to.map(UserId::from_uuid),
    }
}

fn context(what: &str, hash: &[u8]) -> String {
    format!("oauth_attempts.{what} {}", data_encoding::HEXLOWER.encode(hash))
}
