//! What can go wrong between this platform and a provider, told to the operator who has to fix it. Nothing secret is in a
//! message: no code, token or client secret. Text that a provider sent is cut and freed of control characters.

use std::fmt;

/// The address that was being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Issuer,
    Discovery,
    Authorization,
    Token,
    Jwks,
    Userinfo,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Issuer => "issuer",
            Self::Discovery => "discovery document",
            Self::Authorization => "authorization endpoint",
            Self::Token => "token endpoint",
            Self::Jwks => "key set (jwks_uri)",
            Self::Userinfo => "userinfo endpoint",
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("the {endpoint} `{url}` is not a usable address: {reason}")]
    Address { endpoint: Endpoint, url: String, reason: &'static str },
    #[error(
        "the {endpoint} `{url}` is not https; use https, or for a provider on this machine set allow_http_loopback"
    )]
    Insecure { endpoint: Endpoint, url: String },
    #[error(
        "the provider's {endpoint} at {url} cannot be reached: {cause}; check the address, the network and the certificate"
    )]
    Unreachable { endpoint: Endpoint, url: String, cause: String },
    #[error("the provider's {endpoint} at {url} gave no complete answer in time; try again, or check the provider")]
    TimedOut { endpoint: Endpoint, url: String },
    #[error("the provider's {endpoint} at {url} sent more than {limit} bytes; this is not what belongs there")]
    TooLarge { endpoint: Endpoint, url: String, limit: usize },
    #[error(
        "the provider's {endpoint} at {url} redirects to `{to}`; redirects are not followed, configure the final address"
    )]
    Redirected { endpoint: Endpoint, url: String, to: String },
    #[error("the provider's {endpoint} at {url} answered with status {status}")]
    Status { endpoint: Endpoint, url: String, status: u16 },
    #[error(
        "the provider's {endpoint} at {url} answered with something else than the expected JSON (line {line}, column {column})"
    )]
    NotJson { endpoint: Endpoint, url: String, line: usize, column: usize },
    #[error(
        "the provider calls itself `{found}`, the configuration says `{configured}`; they have to be equal, also in the last slash"
    )]
    IssuerMismatch { configured: String, found: String },
    #[error(
        "the answer came from the issuer `{found}` instead of `{configured}`; the sign-in was mixed up or attacked"
    )]
    ResponseIssuer { configured: String, found: String },
    #[error(
        "the provider accepts only these client authentications: {offered}; client_secret_basic, client_secret_post and, without a secret, none are supported"
    )]
    ClientAuthentication { offered: String },
    #[error("the provider refused the code: {error}{description}; {hint}")]
    Refused { error: String, description: String, hint: &'static str },
    #[error(
        "the provider sent no ID token; check that it is an OpenID Connect provider and that the client may use the scope openid"
    )]
    NoIdToken,
    #[error("the provider's ID token is refused: {0}")]
    IdToken(#[from] IdTokenError),
    #[error("the userinfo endpoint speaks of another person than the ID token; the sign-in is refused")]
    UserinfoSubject,
    #[error("the system's random number generator failed")]
    Random,
}

impl OidcError {
    pub(super) fn refused(error: &str, description: Option<&str>) -> Self {
        let hint = match error {
            "invalid_client" | "unauthorized_client" => "check client id, client secret and what the client may do",
            "invalid_grant" => "the code was used, has expired or belongs to another redirect address; sign in again",
            "invalid_scope" => "check the configured scopes",
            _ => "see the provider's documentation",
        };
        let description = description.map_or_else(String::new, |text| format!(" ({})", excerpt(text)));
        Self::Refused { error: excerpt(error), description, hint }
    }
}

/// Why an ID token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    #[error("it is not a signed JWT")]
    Malformed,
    #[error("it is signed with `{0}`; have the provider sign with RS256, ES256 or EdDSA")]
    Algorithm(String),
    #[error("it demands an extension that is not supported")]
    Extension,
    #[error("the provider does not publish the key `{0}` that signed it")]
    UnknownKey(String),
    #[error("its signature is wrong")]
    Signature,
    #[error("its claims are incomplete or of the wrong form")]
    Claims,
    #[error("its issuer is `{0}`")]
    Issuer(String),
    #[error("it was made for another client; check the client id")]
    Audience,
    #[error("it was made for several clients and authorises another one")]
    AuthorizedParty,
    #[error("it has expired; check the clocks of both sides")]
    Expired,
    #[error("it is from the future; check the clocks of both sides")]
    NotYetValid,
    #[error("its nonce is not the one of this sign-in; sign in again")]
    Nonce,
    #[error("it names no subject, or one that is too long")]
    Subject,
}

/// Foreign text for a message: short, and harmless to a terminal.
pub(super) fn excerpt(text: &str) -> String {
    let mut cut: String = text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(200).is_some() {
        cut.push('…');
    }
    cut
}
