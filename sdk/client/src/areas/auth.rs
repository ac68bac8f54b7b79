//! Sign-up and sign-in.
//!
//! What answers with tokens leaves this client as it is: give them to [`Client::adopt`] or [`Client::with_credentials`].

use http::Method;
use plinth_api::{
    Page, SessionId,
    auth::{
        ChangePassword, Confirm, Jwks, Login, MailTo, OauthCallback, OauthProvider, OauthStart, OauthStarted,
        OneTimeToken, RecoveryCodes, Refresh, Register, ResetPassword, Session, SignedIn, SwitchTenant, Tokens,
        TotpCode, TotpEnrolment,
    },
};
use serde::Serialize;

use super::{Call, Verbs};
use crate::{Client, Pages, Query, Reply, RequestBuilder, Result, request::Empty, segment};

#[derive(Debug, Clone, Copy)]
pub struct Auth<'a>(pub(super) &'a Client);

impl Auth<'_> {
    pub fn register(self, request: &Register) -> Call<SignedIn> {
        self.0.post("auth/register", request).anonymous()
    }

    pub fn login(self, request: &Login) -> Call<SignedIn> {
        self.0.post("auth/login", request).anonymous()
    }

    /// Renews this client's own pair; see [`Client::refresh`].
    pub async fn refresh(self) -> Result<()> {
        self.0.refresh().await
    }

    /// Trades in a pair that this client does not keep itself. The client's own must not be traded in behind its back.
    pub fn exchange(self, request: &Refresh) -> Call<Tokens> {
        self.0.post("auth/refresh", request).anonymous()
    }

    /// Ends the session on the server, and with it that of this client and its clones.
    pub async fn logout(self) -> Result<Reply<()>> {
        let generation = self.0.session.pass()?.renewable();
        let reply = self.0.request(Method::POST, "auth/logout").send_empty().await?;
        // A refresh on the way there has begun a new generation; the session is the same.
        if generation.is_some()
            && let Some(generation) = self.0.session.pass().ok().and_then(|pass| pass.renewable())
        {
            self.0.session.sign_out(generation, "logged_out");
        }
        Ok(reply)
    }

    pub fn switch_tenant(self, request: &SwitchTenant) -> Call<SignedIn> {
        self.0.post("auth/switch-tenant", request)
    }

    pub fn verify_email(self, request: &OneTimeToken) -> RequestBuilder<Empty> {
        self.tell("auth/verify-email", request).anonymous()
    }

    pub fn forgot_password(self, request: &MailTo) -> RequestBuilder<Empty> {
        self.tell("auth/password/forgot", request).anonymous()
    }

    pub fn reset_password(self, request: &ResetPassword) -> RequestBuilder<Empty> {
        self.tell("auth/password/reset", request).anonymous()
    }

    pub fn change_password(self, request: &ChangePassword) -> RequestBuilder<Empty> {
        self.tell("auth/password/change", request)
    }

    pub fn send_magic_link(self, request: &MailTo) -> RequestBuilder<Empty> {
        self.tell("auth/magic-link", request).anonymous()
    }

    pub fn redeem_magic_link(self, request: &OneTimeToken) -> Call<SignedIn> {
        self.0.post("auth/magic-link/redeem", request).anonymous()
    }

    pub fn sessions(self, query: impl Into<Query>) -> Call<Page<Session>> {
        self.0.list("auth/sessions", query)
    }

    pub fn all_sessions(self) -> Pages<Session> {
        self.0.pages("auth/sessions", ())
    }

    pub fn revoke_session(self, session: SessionId) -> RequestBuilder<Empty> {
        self.0.delete(&format!("auth/sessions/{session}"))
    }

    pub fn enrol_totp(self) -> Call<TotpEnrolment> {
        self.0.act("auth/mfa/totp")
    }

    pub fn confirm_totp(self, request: &TotpCode) -> Call<RecoveryCodes> {
        self.0.post("auth/mfa/totp/confirm", request)
    }

    pub fn remove_totp(self, proof: &Confirm) -> RequestBuilder<Empty> {
        self.0.delete("auth/mfa/totp").body(proof)
    }

    pub fn oauth_providers(self) -> Call<Page<OauthProvider>> {
        self.0.list("auth/oauth", ()).anonymous()
    }

    pub fn oauth_start(self, provider: &str, request: &OauthStart) -> Call<OauthStarted> {
        self.0.post(&format!("auth/oauth/{}/start", segment(provider)), request)
    }

    pub fn oauth_callback(self, provider: &str, request: &OauthCallback) -> Call<SignedIn> {
        self.0.post(&format!("auth/oauth/{}/callback", segment(provider)), request)
    }

    pub fn jwks(self) -> Call<Jwks> {
        self.0.read("/.well-known/jwks.json").anonymous()
    }

    fn tell(self, path: &str, body: &impl Serialize) -> RequestBuilder<Empty> {
        self.0.request(Method::POST, path).body(body).empty()
    }
}
