//! Who is behind a credential. The edge asks; the room of identities answers.

use std::{borrow::Cow, sync::Arc};

use async_trait::async_trait;

use crate::{Fault, Kind, Principal, Problem, TenantId};

/// What a request shows of itself to be let in.
#[derive(Debug, Clone, Copy)]
pub struct Credential<'a> {
    /// The text behind `Bearer`.
    pub token: &'a str,
    /// An operator asks to act in this tenant.
    pub act_in: Option<TenantId>,
}

#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// The answer when it is already known; never waits.
    fn cached(&self, credential: Credential<'_>) -> Option<Arc<Principal>>;

    async fn authenticate(&self, credential: Credential<'_>) -> Result<Arc<Principal>, AuthenticationError>;
}

#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    #[error("this key demands signed requests: send Plinth-Signature: t=…,v1=… over time, method, path and body")]
    SignatureNeeded,
    #[error("the signature does not match the request, or is older than five minutes")]
    SignatureInvalid,
    #[error("the token is not valid")]
    Invalid,
    #[error("the token has expired; refresh it or sign in again")]
    Expired,
    #[error("the session or key was revoked; sign in again")]
    Revoked,
    #[error("the tenant is suspended")]
    TenantSuspended,
    /// Said for an unknown tenant and for one that the caller may not enter.
    #[error("the tenant in Plinth-Tenant does not exist")]
    NoSuchTenant,
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Problem for AuthenticationError {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid | Self::Expired | Self::Revoked | Self::SignatureNeeded | Self::SignatureInvalid => {
                Kind::Unauthenticated
            }
            Self::TenantSuspended => Kind::Forbidden,
            Self::NoSuchTenant => Kind::NotFound,
            Self::Fault(fault) => fault.kind(),
        }
    }

    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::SignatureNeeded => "signature_needed".into(),
            Self::SignatureInvalid => "signature_invalid".into(),
            Self::Invalid => "token_invalid".into(),
            Self::Expired => "token_expired".into(),
            Self::Revoked => "token_revoked".into(),
            Self::TenantSuspended => "tenant_suspended".into(),
            Self::NoSuchTenant => "not_found".into(),
            Self::Fault(fault) => fault.code(),
        }
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        if let Self::Fault(fault) = self { fault.retry_after_seconds() } else { None }
    }
}
