//! Sign-in with a link from a mail, in place of the password. It does not stand in for the second factor.

use plinth_core::{
    Fault, NewEvent, SYSTEM_TENANT, TenantId, UserId,
    api::auth::{RedeemMagicLink, SignedIn},
    ports::Mail,
};
use plinth_gateway::refuses;
use plinth_store::{Error as StoreError, SystemTx, mail};
use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use super::{
    login::{self, choose_tenant},
    one_time::{self, Purpose},
    passwords::{attempts, forgot::account, proof::is_second_factor},
    profile, verify,
};
use crate::{
    Identity,
    entities::{one_time_tokens, users},
    fields::email_key,
    sessions::{self, Device},
    tokens::Secret,
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the link was used, is too old, or a newer one was sent; ask for another one")]
    TokenInvalid,
    #[error("send the code of the authenticator app, or a recovery code, in totp")]
    MfaRequired,
    #[error("the code is wrong, or the account is locked for a while after too many wrong ones")]
    WrongCode,
    #[error("you do not belong to a tenant with this slug")]
    NoSuchTenant,
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::TokenInvalid => Unauthenticated "one_time_token_invalid",
    Self::MfaRequired => Unauthenticated "mfa_required",
    Self::WrongCode => Unauthenticated "invalid_credentials",
    Self::NoSuchTenant => Forbidden "no_such_tenant",
});

impl From<login::Error> for Error {
    fn from(error: login::Error) -> Self {
        match error {
            login::Error::InvalidCredentials => Self::WrongCode,
            login::Error::MfaRequired => Self::MfaRequired,
            login::Error::NoSuchTenant => Self::NoSuchTenant,
            login::Error::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// Emits no event: the position of an event goes out with the answer and would tell that there is an account.
pub async fn request(identity: &Identity, tx: &SystemTx, email: &str) -> Result<(), StoreError> {
    let Some(user) = account(tx, email).await? else { return Ok(()) };
    let lifetime = identity.config().magic_link;
    let token = one_time::make(tx, Purpose::MagicLink, UserId::from_uuid(user.id), &user.email, lifetime).await?;
    let link = format!("{}/magic-link?token={token}", identity.config().public_url);
    let minutes = lifetime.as_secs().div_ceil(60);
    let text = format!(
        "Sign in with this link, within {minutes} minutes:\n{link}\n\n\
         If you did not ask for it, do nothing, and give the link to nobody.\n"
    );
    let mail = Mail {
        tenant: None,
        to: user.email,
        subject: "Your link to sign in".into(),
        text,
        purpose: Purpose::MagicLink.as_str(),
        token: Some(token),
    };
    mail::queue(tx, mail).await
}

/// What a link comes to. A wrong code changes something too: it is counted, so it must be committed.
pub enum Outcome {
    SignedIn(Box<SignedIn>),
    WrongCode,
}

/// With an error nothing is to be committed, so that the link can be used once more.
pub async fn redeem(
    identity: &Identity,
    tx: &SystemTx,
    request: RedeemMagicLink,
    device: Device,
) -> Result<Outcome, Error> {
    let redeemed = one_time::redeem(tx, Purpose::MagicLink, &request.token).await?.ok_or(Error::TokenInvalid)?;
    let mut user = profile::load(tx, redeemed.user).await?;
    let id = UserId::from_uuid(user.id);
    if redeemed.email.as_deref().map(email_key) != Some(user.email_key.clone()) {
        return Err(Error::TokenInvalid);
    }
    let mut methods = vec!["magic_link"];
    if user.totp_confirmed_at.is_some() {
        let code = request.totp.as_deref().ok_or(Error::MfaRequired)?;
        if !code_is_right(identity, tx, id, code).await? {
            give_back(tx, &request.token).await?;
            return Ok(Outcome::WrongCode);
        }
        methods.push("totp");
    }
    attempts::forgive(tx, id).await?;
    verify::mark_verified(tx, &user).await?;
    user.email_verified_at.get_or_insert(tx.now().millis());
    let signed_in = open(identity, tx, &user, request.tenant.as_deref(), &methods, device).await?;
    Ok(Outcome::SignedIn(Box::new(signed_in)))
}

async fn code_is_right(identity: &Identity, tx: &SystemTx, user: UserId, code: &str) -> Result<bool, Error> {
    let Some(user) = attempts::begin(tx, user).await? else { return Ok(false) };
    let right = is_second_factor(tx, &user, code).await?;
    if !right {
        attempts::fail(identity, tx, &user).await?;
    }
    Ok(right)
}

/// A mistyped code does not cost the link. How many may be tried is limited for the account.
async fn give_back(tx: &SystemTx, token: &str) -> Result<(), StoreError> {
    use one_time_tokens::{Column, Entity};
    let Ok(presented) = Secret::parse(token) else { return Ok(()) };
    tx.update::<Entity>()
        .col_expr(Column::UsedAt, Expr::value(Option::<i64>::None))
        .filter(Column::Hash.eq(presented.hash().as_bytes().to_vec()))
        .exec(tx)
        .await?;
    Ok(())
}

async fn open(
    identity: &Identity,
    tx: &SystemTx,
    user: &users::Model,
    tenant: Option<&str>,
    methods: &[&str],
    device: Device,
) -> Result<SignedIn, Error> {
    let id = UserId::from_uuid(user.id);
    let tenant = choose_tenant(tx, id, tenant).await?;
    let home = tenant.as_ref().map(|tenant| TenantId::from_uuid(tenant.id));
    let opened = sessions::open(identity, tx, id, home, methods, device).await?;
    let told = json!({ "user": id, "session": opened.session, "methods": methods });
    tx.in_tenant(home.unwrap_or(SYSTEM_TENANT)).emit(NewEvent::new("user.signed_in", format!("user/{id}"), &told));
    let tenant = tenant.as_ref().map(view::tenant).transpose()?;
    Ok(SignedIn { user: view::user(user), tenant, tokens: opened.tokens })
}
