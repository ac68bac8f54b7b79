//! What a provider publishes about itself, fetched and kept for a while.

use std::sync::Arc;

use quick_cache::sync::Cache as Lru;
use serde::Deserialize;

use super::error::{Endpoint, OidcError, excerpt};
use super::http::{Http, endpoint};
use super::jwks::{KeySet, RawKeySet};
use super::provider::Provider;

/// How long a document or key set is used before it is fetched again, in seconds. A key that is unknown is looked for at
/// once, so this only bounds how long a withdrawn key stays good.
pub(super) const LIFETIME_SECONDS: i64 = 3600;
/// Providers that are remembered at once; others are fetched when they are used.
const CAPACITY: usize = 256;

/// The part of a discovery document that sign-in needs.
#[derive(Debug, Clone, Deserialize)]
pub struct Discovery {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub jwks_uri: String,
    pub userinfo_endpoint: Option<String>,
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// Something that was fetched at a time.
struct Dated<T> {
    value: Arc<T>,
    fetched: i64,
}

impl<T> Clone for Dated<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), fetched: self.fetched }
    }
}

impl<T> Dated<T> {
    /// A clock that was set back makes it stale as well: nobody knows how old it is then.
    fn is_fresh(&self, now: i64) -> bool {
        (self.fetched..self.fetched.saturating_add(LIFETIME_SECONDS)).contains(&now)
    }
}

/// Both are kept under the address they come from and not under a name: a corrected configuration is used at once. The flag
/// is part of it, so that what one provider may fetch over http is not there for another that may not.
type Address = (String, bool);

pub(super) struct Cache {
    documents: Lru<Address, Dated<Discovery>>,
    keys: Lru<Address, Dated<KeySet>>,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { documents: Lru::new(CAPACITY), keys: Lru::new(CAPACITY) }
    }

    pub(super) async fn discovery(
        &self,
        http: &Http,
        provider: &Provider,
        now: i64,
    ) -> Result<Arc<Discovery>, OidcError> {
        let address = (provider.issuer.clone(), provider.allow_http_loopback);
        if let Some(known) = self.documents.get(&address).filter(|known| known.is_fresh(now)) {
            return Ok(known.value);
        }
        let value = Arc::new(fetch(http, provider).await?);
        self.documents.insert(address, Dated { value: Arc::clone(&value), fetched: now });
        Ok(value)
    }

    pub(super) async fn keys(
        &self,
        http: &Http,
        provider: &Provider,
        discovery: &Discovery,
        now: i64,
    ) -> Result<Arc<KeySet>, OidcError> {
        let address = (discovery.jwks_uri.clone(), provider.allow_http_loopback);
        match self.keys.get(&address).filter(|known| known.is_fresh(now)) {
            Some(known) => Ok(known.value),
            None => self.fetch_keys(http, provider, discovery, now).await,
        }
    }

    /// The keys as they are published now.
    pub(super) async fn fetch_keys(
        &self,
        http: &Http,
        provider: &Provider,
        discovery: &Discovery,
        now: i64,
    ) -> Result<Arc<KeySet>, OidcError> {
        let url = endpoint(Endpoint::Jwks, &discovery.jwks_uri, provider)?;
        let raw: RawKeySet = http.send(Endpoint::Jwks, http.get(url)).await?.json()?;
        let value = Arc::new(KeySet::from(raw));
        let address = (discovery.jwks_uri.clone(), provider.allow_http_loopback);
        self.keys.insert(address, Dated { value: Arc::clone(&value), fetched: now });
        Ok(value)
    }
}

async fn fetch(http: &Http, provider: &Provider) -> Result<Discovery, OidcError> {
    let issuer = endpoint(Endpoint::Issuer, &provider.issuer, provider)?;
    if issuer.query().is_some() {
        let reason = "an issuer has no query";
        return Err(OidcError::Address { endpoint: Endpoint::Issuer, url: excerpt(&provider.issuer), reason });
    }
    let address = format!("{}/.well-known/openid-configuration", provider.issuer.trim_end_matches('/'));
    let url = endpoint(Endpoint::Discovery, &address, provider)?;
    let document: Discovery = http.send(Endpoint::Discovery, http.get(url)).await?.json()?;
    if document.issuer != provider.issuer {
        return Err(OidcError::IssuerMismatch {
            configured: provider.issuer.clone(),
            found: excerpt(&document.issuer),
        });
    }
    Ok(document)
}
