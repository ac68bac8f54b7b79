//! Who the client speaks as.

use std::fmt;

use plinth_api::auth::Tokens;

#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody: sign-up, sign-in, health.
    #[default]
    Anonymous,
    /// A signed-in person. The client renews the pair before it expires.
    Tokens { access: String, refresh: String },
    /// An access token that cannot be renewed, such as that of an impersonation.
    AccessToken(String),
    /// A machine. Keys that demand signed requests come with a signing secret.
    ApiKey { key: String, signing_secret: Option<String> },
}

impl Credentials {
    pub fn api_key(key: impl Into<String>) -> Self {
        Self::ApiKey { key: key.into(), signing_secret: None }
    }
}

impl From<&Tokens> for Credentials {
    fn from(tokens: &Tokens) -> Self {
        Self::Tokens { access: tokens.access_token.clone(), refresh: tokens.refresh_token.clone() }
    }
}

/// Secrets stay out of logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Tokens { .. } => "Tokens(..)",
            Self::AccessToken(_) => "AccessToken(..)",
            Self::ApiKey { signing_secret: None, .. } => "ApiKey(..)",
            Self::ApiKey { signing_secret: Some(_), .. } => "ApiKey(.., signed)",
        })
    }
}
