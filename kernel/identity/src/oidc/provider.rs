//! The configuration of one provider, and what follows from it.

use std::fmt;

use super::discovery::Discovery;
use super::error::{OidcError, excerpt};

/// A client secret; never printed.
#[derive(Clone)]
pub struct ClientSecret(String);

impl ClientSecret {
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// One provider as it is configured.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Exactly as the provider writes it in its ID tokens, with or without the last slash.
    pub issuer: String,
    pub client_id: String,
    /// `None` for a public client, which PKCE alone protects.
    pub client_secret: Option<ClientSecret>,
    /// What to ask for beside `openid`, such as `email` and `profile`.
    pub scopes: Vec<String>,
    /// Lets a provider on this machine be used over plain http.
    pub allow_http_loopback: bool,
}

/// How the client shows to the token endpoint who it is.
pub(super) enum Authentication<'a> {
    /// User and password of HTTP Basic, already form-encoded as RFC 6749 section 2.3.1 wants them.
    Basic(String, String),
    Post(&'a str),
    Public,
}

impl Provider {
    pub(super) fn scope(&self) -> String {
        let others = self.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid");
        std::iter::once("openid").chain(others).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn authentication(&self, discovery: &Discovery) -> Result<Authentication<'_>, OidcError> {
        let offered = discovery.token_endpoint_auth_methods_supported.as_deref();
        // What a provider that says nothing means, by the specification.
        let offers = |method: &str| {
            offered.map_or(method == "client_secret_basic", |offered| offered.iter().any(|one| one == method))
        };
        let Some(ClientSecret(secret)) = &self.client_secret else {
            // Many providers serve public clients without listing "none", so the token endpoint decides.
            return Ok(Authentication::Public);
        };
        if offers("client_secret_basic") {
            Ok(Authentication::Basic(form_encoded(&self.client_id), form_encoded(secret)))
        } else if offers("client_secret_post") {
            Ok(Authentication::Post(secret))
        } else {
            let offered = excerpt(&offered.unwrap_or_default().join(", "));
            Err(OidcError::ClientAuthentication { offered })
        }
    }
}

fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
