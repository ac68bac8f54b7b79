//! Sign-up and sign-in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{IdentityId, SessionId, TenantId, Timestamp, UserId, tenants::Tenant, users::User};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    pub email: String,
    pub password: String,
    pub name: String,
    pub tenant: NewTenant,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    pub name: String,
    /// Lower-case letters, digits and dashes, 3 to 40, unique on this platform.
    pub slug: String,
}

/// A signed-in person with the tokens of the session.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SignedIn {
    pub user: User,
    /// The tenant that the tokens act in; absent for a person who belongs to none.
    pub tenant: Option<Tenant>,
    #[serde(flatten)]
    pub tokens: Tokens,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
    pub token_type: TokenType,
    /// Seconds until the access token expires.
    pub expires_in: u64,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TokenType {
    Bearer,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub email: String,
    pub password: String,
    /// A code of the authenticator app, or a recovery code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<String>,
    /// The slug of the tenant to act in; without it the first membership.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// May be left out by a browser that keeps the token in a cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchTenant {
    pub tenant: TenantId,
}

/// A one-time token from a mail.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneTimeToken {
    pub token: String,
}

/// An address to send a mail to. The answer is the same whether an account exists or not.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailTo {
    pub email: String,
}

/// Said whether a mail is sent or not.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MailRequested {
    pub message: String,
}

/// The token of a link that signs in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeemMagicLink {
    pub token: String,
    /// A code of the authenticator app, or a recovery code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<String>,
    /// The slug of the tenant to act in; without it the first membership.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    pub token: String,
    pub password: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// Not needed by a person who signed up through an identity provider and has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_password: Option<String>,
    pub new_password: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub id: SessionId,
    /// The session that asked.
    pub current: bool,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    /// How the person proved who they are: `password`, `totp`, `magic_link`, `oauth:NAME`, `impersonation`.
    pub methods: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TotpEnrolment {
    /// Base32, for typing by hand.
    pub secret: String,
    /// For a QR code.
    pub otpauth_url: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpCode {
    pub code: String,
}

/// Shown once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryCodes {
    pub recovery_codes: Vec<String>,
}

/// Proof that the person at the keyboard is the account's owner, for changes that weaken it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OauthProvider {
    pub name: String,
    pub display_name: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OauthStart {
    /// Where the provider sends the browser back to: a page of yours that calls `callback`. It lies under the platform's
    /// public address, or on the caller's own machine (`127.0.0.1`, `[::1]`, `localhost`).
    pub redirect_uri: String,
    /// The slug of the tenant to create at a first sign-in; without it a new person gets no tenant of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<NewTenant>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OauthStarted {
    /// Send the browser here.
    pub authorization_url: String,
    pub state: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OauthCallback {
    pub state: String,
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// A code of the authenticator app, or a recovery code: after `mfa_required`, with the same state and code as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<String>,
}

/// An account at an identity provider that signs this person in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LinkedIdentity {
    pub id: IdentityId,
    pub provider: String,
    pub issuer: String,
    pub subject: String,
    pub email: Option<String>,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Impersonate {
    pub user: UserId,
    /// The tenant to act in; the person must belong to it.
    pub tenant: TenantId,
    /// Kept in the audit log and shown to the tenant.
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Impersonation {
    pub session: SessionId,
    pub user: UserId,
    pub tenant: TenantId,
    pub operator: UserId,
    pub reason: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ImpersonationStarted {
    pub impersonation: Impersonation,
    /// Acts as the person until it expires; it cannot be refreshed.
    pub access_token: String,
    pub token_type: TokenType,
    pub expires_in: u64,
}

/// The public keys that verify access tokens (RFC 7517).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Jwks {
    pub keys: Vec<Value>,
}
