//! Sign-in through any OpenID Connect provider that publishes its discovery document.
//!
//! The flow is the authorization code with PKCE, `state` and `nonce`: [`Oidc::start`] gives the address to send the browser
//! to, [`Oidc::finish`] turns the code it comes back with into an [`Identity`]. Between the two the caller keeps `state`,
//! `nonce` and `pkce_verifier` of [`Start`], bound to the browser, and finds them again by `state`, once.
//!
//! Invariants:
//!
//! * Nothing a provider says is believed before its ID token is verified: signature by a published key, with an asymmetric
//!   algorithm; issuer, audience, times and nonce.
//! * A person is `(issuer, subject)`. An e-mail address is a claim about them and never identifies anyone.
//! * Every address is https; plain http is for loopback, and only where the provider's configuration allows it. No redirect
//!   is followed, every answer has a limit in time and in size.

mod discovery;
mod error;
mod http;
mod id_token;
mod jwks;
mod provider;

#[cfg(test)]
mod tests;

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SecureRandom;
use serde::Deserialize;

pub use discovery::Discovery;
pub use error::{Endpoint, IdTokenError, OidcError};
pub use http::harden;
pub use provider::{ClientSecret, Provider};

use discovery::Cache;
use http::Http;
use id_token::{Expected, IdToken};

/// What [`Oidc::start`] gives: `url` for the browser, the rest for the caller to keep until it comes back.
pub struct Start {
    pub url: String,
    pub state: String,
    pub nonce: String,
    pub pkce_verifier: String,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Start(secret)")
    }
}

/// What the browser brought back, and what the caller kept for it.
#[derive(Clone, Copy)]
pub struct Callback<'a> {
    pub code: &'a str,
    /// The `iss` parameter of RFC 9207, where the browser brought one.
    pub iss: Option<&'a str>,
    pub nonce: &'a str,
    pub pkce_verifier: &'a str,
    /// The same as at the start.
    pub redirect_uri: &'a str,
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub issuer: String,
    pub subject: String,
    pub email: Option<String>,
    /// Whether the provider vouches for the address. Without that it may be anybody's.
    pub email_verified: bool,
    pub name: Option<String>,
}

/// Speaks to providers and remembers what they publish. One for the whole process.
pub struct Oidc {
    http: Http,
    cache: Cache,
}

impl Oidc {
    /// `client` has to be built with [`harden`], which turns redirects off: that cannot be done afterwards.
    pub fn new(client: reqwest::Client) -> Self {
        Self { http: Http::new(client), cache: Cache::new() }
    }

    /// Begins a sign-in at the time `now` in unix seconds.
    pub fn start<'a>(
        &'a self,
        provider: &'a Provider,
        redirect_uri: &'a str,
        rng: &dyn SecureRandom,
        now: i64,
    ) -> impl Future<Output = Result<Start, OidcError>> + Send + use<'a> {
        // Drawn before the future exists, so that the future does not hold the generator and can move between threads.
        let drawn = random_texts(rng);
        async move {
            let [state, nonce, pkce_verifier] = drawn?;
            let discovery = self.cache.discovery(&self.http, provider, now).await?;
            let mut url = http::endpoint(Endpoint::Authorization, &discovery.authorization_endpoint, provider)?;
            let challenge = ring::digest::digest(&ring::digest::SHA256, pkce_verifier.as_bytes());
            url.query_pairs_mut()
                .append_pair("response_type", "code")
                .append_pair("client_id", &provider.client_id)
                .append_pair("redirect_uri", redirect_uri)
                .append_pair("scope", &provider.scope())
                .append_pair("state", &state)
                .append_pair("nonce", &nonce)
                .append_pair("code_challenge", &BASE64URL_NOPAD.encode(challenge.as_ref()))
                .append_pair("code_challenge_method", "S256");
            Ok(Start { url: url.into(), state, nonce, pkce_verifier })
        }
    }

    /// Ends a sign-in at the time `now` in unix seconds. The caller has matched `state` already.
    pub async fn finish(&self, provider: &Provider, callback: &Callback<'_>, now: i64) -> Result<Identity, OidcError> {
        let discovery = self.cache.discovery(&self.http, provider, now).await?;
        check_response_issuer(provider, &discovery, callback.iss)?;
        let tokens = self.redeem(provider, &discovery, callback).await?;
        let text = tokens.id_token.ok_or(OidcError::NoIdToken)?;
        let claims = self.verified(provider, &discovery, &text, callback.nonce, now).await?;
        let mut identity = Identity {
            issuer: provider.issuer.clone(),
            subject: claims.sub,
            email: claims.profile.email(),
            email_verified: claims.profile.email_verified,
            name: claims.profile.name,
        };
        if let (None, Some(access_token)) = (&identity.email, tokens.access_token) {
            self.complete(provider, &discovery, &access_token, &mut identity).await?;
        }
        Ok(identity)
    }

    async fn redeem(
        &self,
        provider: &Provider,
        discovery: &Discovery,
        callback: &Callback<'_>,
    ) -> Result<Tokens, OidcError> {
        let url = http::endpoint(Endpoint::Token, &discovery.token_endpoint, provider)?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", callback.code),
            ("redirect_uri", callback.redirect_uri),
            ("code_verifier", callback.pkce_verifier),
        ];
        let mut request = self.http.post(url);
        match provider.authentication(discovery)? {
            provider::Authentication::Basic(user, password) => request = request.basic_auth(user, Some(password)),
            provider::Authentication::Post(secret) => {
                form.extend([("client_id", provider.client_id.as_str()), ("client_secret", secret)]);
            }
            provider::Authentication::Public => form.push(("client_id", &provider.client_id)),
        }
        let answer = self.http.send(Endpoint::Token, request.form(&form)).await?;
        if !answer.status.is_success()
            && let Ok(refusal) = serde_json::from_slice::<Refusal>(&answer.body)
        {
            return Err(OidcError::refused(&refusal.error, refusal.error_description.as_deref()));
        }
        answer.json()
    }

    /// The claims of an ID token. A provider that rotated its keys since they were fetched is asked once more.
    async fn verified(
        &self,
        provider: &Provider,
        discovery: &Discovery,
        text: &str,
        nonce: &str,
        now: i64,
    ) -> Result<id_token::Claims, OidcError> {
        let token = IdToken::parse(text)?;
        let mut keys = self.cache.keys(&self.http, provider, discovery, now).await?;
        if !keys.knows(token.kid(), token.algorithm()) {
            keys = self.cache.fetch_keys(&self.http, provider, discovery, now).await?;
        }
        let expected = Expected { issuer: &provider.issuer, client_id: &provider.client_id, nonce, now };
        Ok(token.verify(&keys, &expected)?)
    }

    /// Some providers keep the e-mail address out of the ID token; then the userinfo endpoint is asked, and has to speak of
    /// the same person.
    async fn complete(
        &self,
        provider: &Provider,
        discovery: &Discovery,
        access_token: &str,
        identity: &mut Identity,
    ) -> Result<(), OidcError> {
        let Some(address) = &discovery.userinfo_endpoint else { return Ok(()) };
        let url = http::endpoint(Endpoint::Userinfo, address, provider)?;
        let answer = self.http.send(Endpoint::Userinfo, self.http.get(url).bearer_auth(access_token)).await?;
        let info: Userinfo = answer.json()?;
        if info.sub != identity.subject {
            return Err(OidcError::UserinfoSubject);
        }
        identity.email = info.profile.email();
        identity.email_verified = info.profile.email_verified;
        identity.name = identity.name.take().or(info.profile.name);
        Ok(())
    }
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

#[derive(Deserialize)]
struct Userinfo {
    sub: String,
    #[serde(flatten)]
    profile: id_token::Profile,
}

/// RFC 9207 keeps an honest provider's code from being brought to an evil one's door.
fn check_response_issuer(provider: &Provider, discovery: &Discovery, found: Option<&str>) -> Result<(), OidcError> {
    match found {
        Some(found) if found == provider.issuer => Ok(()),
        None if !discovery.authorization_response_iss_parameter_supported => Ok(()),
        found => Err(OidcError::ResponseIssuer {
            configured: provider.issuer.clone(),
            found: found.map_or_else(|| "nothing".to_owned(), error::excerpt),
        }),
    }
}

/// State, nonce and verifier, 256 random bits each: 43 characters, which is also the shortest verifier that PKCE allows.
fn random_texts(rng: &dyn SecureRandom) -> Result<[String; 3], OidcError> {
    let mut bytes = [[0; 32]; 3];
    for part in &mut bytes {
        rng.fill(part).map_err(|_| OidcError::Random)?;
    }
    Ok(bytes.map(|part| BASE64URL_NOPAD.encode(&part)))
}
