//! The first half: an address at the provider to send the browser to.

use plinth_core::{
    UserId,
    api::auth::{OauthStart, OauthStarted},
};
use plinth_store::{Error as StoreError, SystemTx};

use super::{
    Error,
    attempt::{self, Wish},
    provider, redirect,
};
use crate::{Identity, fields::Checks, oidc};

/// A start that the provider's published addresses were asked for, and that is not kept yet.
pub struct Begun {
    start: oidc::Start,
    wish: Wish,
}

/// Asks the provider where its door is, so no transaction may be open.
pub async fn begin(
    identity: &Identity,
    name: &str,
    request: OauthStart,
    link_to: Option<UserId>,
) -> Result<Begun, Error> {
    let config = provider(identity, name)?;
    let mut checks = Checks::default();
    if let Some(message) = redirect::refusal(&identity.config().public_url, &request.redirect_uri) {
        checks.refuse("/redirect_uri", "foreign_redirect", message);
    }
    if let Some(tenant) = &request.tenant {
        checks.name("/tenant/name", &tenant.name).slug("/tenant/slug", &tenant.slug);
        if link_to.is_some() {
            checks.refuse("/tenant", "contradiction", "leave it out: an account that is linked exists already");
        }
    }
    checks.done().map_err(Error::Invalid)?;
    let world = identity.world();
    let start = identity.oidc().start(&config.provider, &request.redirect_uri, world.random(), world.now().seconds());
    let start = start.await.map_err(|error| Error::of_provider(name, error))?;
    Ok(Begun { start, wish: Wish { redirect_uri: request.redirect_uri, tenant: request.tenant, link_to } })
}

/// Remembers the start until the browser comes back.
pub async fn keep(tx: &SystemTx, name: &str, begun: Begun) -> Result<OauthStarted, StoreError> {
    let Begun { start, wish } = begun;
    attempt::keep_start(tx, name, &start, wish).await?;
    Ok(OauthStarted { authorization_url: start.url, state: start.state })
}
