//! Sign-in through identity providers: from their answer to an account here.
//!
//! * A person is known by `(issuer, subject)`. An address that a provider names signs in an account only if the operator
//!   trusts the provider with addresses, the provider calls the address verified, and its owner has verified it here too:
//!   otherwise whoever registers an address first, here or there, would own the other's account.
//! * `state` is stored as a hash and used once. Nothing of the database is held while a provider is asked: one transaction
//!   uses the state up, then the provider is called, then a second transaction signs in.
//! * A provider's word stands for a password, never for the second factor: who has an authenticator app set up here is
//!   asked for its code. Who has none is let in as the provider says.
//! * A link to an account is finished by the person who began it and by nobody else, so that a link that somebody is lured
//!   into leads nowhere.

mod attempt;
mod decide;
pub mod identities;
mod redirect;
mod second_factor;
mod sign_in;
mod start;

use plinth_core::{Fault, FieldError, UserId};
use plinth_gateway::{Visitor, refuses};

use crate::{
    Identity, ProviderConfig,
    accounts::{login, register},
    oidc::OidcError,
};

pub use attempt::{Ticket, take};
pub use sign_in::{Outcome, sign_in, verify};
pub use start::{begin, keep};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no identity provider has this name; GET /api/v1/auth/oauth lists those there are")]
    UnknownProvider,
    #[error("this sign-in is not known, was used before or took too long; start again")]
    StateInvalid,
    #[error("the provider's answer was not accepted; start again")]
    Refused,
    #[error("the identity provider cannot be used at the moment")]
    ProviderUnavailable(#[source] OidcError),
    #[error("send the code of the authenticator app, or a recovery code, in totp, with the same state and code")]
    MfaRequired,
    #[error("the code of the authenticator app is wrong")]
    WrongCode,
    #[error("an account with this address exists; sign in to it and link the provider from there")]
    AccountExists,
    #[error("another account is linked to this identity; unlink it there first")]
    IdentityTaken,
    #[error(
        "the provider tells no usable e-mail address; allow it there, or register with a password and link the provider"
    )]
    EmailNeeded,
    #[error("registration is closed on this platform; ask to be invited")]
    Closed,
    #[error("another tenant has this slug; start again with another")]
    SlugTaken,
    #[error("this sign-in links an account: send the access token of the person who started it")]
    LinkUnsigned,
    #[error("somebody else started to link this identity; sign in as that person")]
    LinkOfAnother,
    #[error("who acts as somebody else cannot change how that person signs in")]
    Impersonated,
    #[error("the access token in Authorization is not valid; renew it to link an account, or leave it out to sign in")]
    TokenInvalid,
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::UnknownProvider => NotFound "not_found",
    Self::StateInvalid => Unauthenticated "oauth_state_invalid",
    Self::Refused => Unauthenticated "provider_refused",
    Self::ProviderUnavailable(_) => Unavailable "provider_unavailable",
    Self::MfaRequired => Unauthenticated "mfa_required",
    Self::WrongCode => Unauthenticated "invalid_credentials",
    Self::AccountExists => Conflict "account_exists",
    Self::IdentityTaken => Conflict "identity_taken",
    Self::EmailNeeded => Conflict "email_needed",
    Self::Closed => Forbidden "registration_closed",
    Self::SlugTaken => Conflict "slug_taken",
    Self::LinkUnsigned => Unauthenticated "authentication_needed",
    Self::LinkOfAnother => Forbidden "link_of_another",
    Self::Impersonated => Forbidden "impersonated",
    // Clients renew their token at this code and try again; a token that is bad for another reason fails at the renewal.
    Self::TokenInvalid => Unauthenticated "token_expired",
} with fields);

impl From<register::Error> for Error {
    fn from(error: register::Error) -> Self {
        match error {
            register::Error::Closed => Self::Closed,
            // Somebody registered the address a moment ago.
            register::Error::EmailTaken => Self::AccountExists,
            register::Error::SlugTaken => Self::SlugTaken,
            register::Error::Invalid(fields) => Self::Invalid(fields),
            register::Error::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl From<login::Error> for Error {
    fn from(error: login::Error) -> Self {
        match error {
            login::Error::MfaRequired => Self::MfaRequired,
            login::Error::InvalidCredentials => Self::WrongCode,
            login::Error::Fault(fault) => Self::Fault(fault),
            login::Error::NoSuchTenant => Self::Fault(Fault::internal("a sign-in through a provider names no tenant")),
        }
    }
}

impl Error {
    /// What a provider's failure means to the person at the browser. The operator finds the whole of it in the log.
    fn of_provider(name: &str, error: OidcError) -> Self {
        let answer_refused = match &error {
            OidcError::ResponseIssuer { .. }
            | OidcError::NoIdToken
            | OidcError::IdToken(_)
            | OidcError::UserinfoSubject => true,
            OidcError::Refused { error, .. } => error == "invalid_grant",
            _ => false,
        };
        if !answer_refused {
            return Self::ProviderUnavailable(error);
        }
        tracing::warn!(provider = name, %error, "the answer of an identity provider was refused");
        Self::Refused
    }
}

/// A provider by the name that the configuration gives it.
pub fn provider<'i>(identity: &'i Identity, name: &str) -> Result<&'i ProviderConfig, Error> {
    identity.config().providers.get(name).ok_or(Error::UnknownProvider)
}

/// Whom a sign-in through a provider links to: the person of the session that asks. A credential that does not count is
/// refused instead of overlooked, since without it the same request would make another account.
pub fn linking_person(visitor: &Visitor, shows_credential: bool) -> Result<Option<UserId>, Error> {
    let Some(principal) = visitor.principal() else {
        return if shows_credential { Err(Error::TokenInvalid) } else { Ok(None) };
    };
    if principal.impersonator.is_some() {
        return Err(Error::Impersonated);
    }
    Ok(match (principal.session, principal.actor) {
        (Some(_), plinth_core::Actor::User(user)) => Some(user),
        _ => None,
    })
}
