//! Opens a session: tokens for somebody whose credentials were accepted.

use axum::http::{HeaderMap, header};
use plinth_core::{
    SessionId, TenantId, Timestamp, UserId,
    api::auth::{TokenType, Tokens},
};
use plinth_gateway::Exchange;
use plinth_store::{Error, SystemTx};
use ring::rand::SystemRandom;
use sea_orm::ActiveValue::Set;

use crate::{
    Identity,
    entities::{refresh_tokens, sessions},
    tokens::{Secret, TokenKind},
};

/// Where a sign-in comes from.
#[derive(Debug, Clone, Default)]
pub struct Device {
    pub user_agent: Option<String>,
    pub address: Option<String>,
}

impl Device {
    pub fn of(exchange: &Exchange, headers: &HeaderMap) -> Self {
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Self {
            user_agent: agent.map(|text| text.chars().take(200).collect()),
            address: Some(exchange.client().to_string()),
        }
    }
}

/// A session and its first tokens.
#[derive(Debug)]
pub struct Opened {
    pub session: SessionId,
    pub tokens: Tokens,
}

/// `methods` says how the person proved who they are: `password`, `totp`, `magic_link`, `oauth:NAME`.
pub async fn open(
    identity: &Identity,
    tx: &SystemTx,
    user: UserId,
    tenant: Option<TenantId>,
    methods: &[&str],
    device: Device,
) -> Result<Opened, Error> {
    let now = tx.now();
    let session: SessionId = tx.mint();
    let row = sessions::ActiveModel {
        id: Set(session.uuid()),
        user_id: Set(user.uuid()),
        tenant: Set(tenant.map(|tenant| tenant.uuid())),
        created_at: Set(now.millis()),
        last_seen_at: Set(now.millis()),
        expires_at: Set((now + identity.config().session_idle).millis()),
        user_agent: Set(device.user_agent),
        address: Set(device.address),
        methods: Set(methods.join(" ")),
        ..Default::default()
    };
    tx.insert(row).await?;
    let tokens = issue(identity, tx, session, user, tenant).await?;
    Ok(Opened { session, tokens })
}

/// A new pair for a session.
pub async fn issue(
    identity: &Identity,
    tx: &SystemTx,
    session: SessionId,
    user: UserId,
    tenant: Option<TenantId>,
) -> Result<Tokens, Error> {
    let now = tx.now();
    let refresh = Secret::generate(TokenKind::Refresh, &SystemRandom::new())
        .map_err(|error| Error::Inconsistent(error.to_string()))?;
    let row = refresh_tokens::ActiveModel {
        hash: Set(refresh.hash().as_bytes().to_vec()),
        session: Set(session.uuid()),
        created_at: Set(now.millis()),
        expires_at: Set((now + identity.config().refresh_token).millis()),
        ..Default::default()
    };
    tx.insert(row).await?;
    Ok(Tokens {
        access_token: access_token(identity, now, session, user, tenant, None),
        refresh_token: refresh.expose().to_owned(),
        token_type: TokenType::Bearer,
        expires_in: identity.config().access_token.as_secs(),
    })
}

/// A signed token for a session. `impersonator` is the operator who acts as the person.
pub fn access_token(
    identity: &Identity,
    now: Timestamp,
    session: SessionId,
    user: UserId,
    tenant: Option<TenantId>,
    impersonator: Option<(UserId, std::time::Duration)>,
) -> String {
    let keys = identity.signing();
    let lifetime = impersonator.map_or(identity.config().access_token, |(_, lifetime)| lifetime);
    let jti = identity.world().mint_uuid().simple().to_string();
    let mut claims = keys.claims(user.to_string(), jti, now.seconds(), lifetime.as_secs() as i64);
    claims.sid = Some(session.to_string());
    claims.tid = tenant.map(|tenant| tenant.to_string());
    claims.act = impersonator.map(|(operator, _)| crate::jwt::Actor { sub: operator.to_string() });
    keys.sign(&claims)
}
