//! The front desk: who calls is one argument of a handler, and with it come the tenant, the permission and the way to
//! the store. A handler cannot forget to ask, because there is no other door.
//!
//! * [`Visitor`]: anybody.
//! * [`Person`]: anybody who is signed in, whatever they may do and whether they belong to a tenant or not.
//! * [`Caller<P>`]: somebody who holds the permission `P` in a tenant.

use std::{
    marker::PhantomData,
    net::IpAddr,
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, request::Parts};
use plinth_core::{Actor, Cause, Fault, Kind, Permission, Principal, TenantId, World, ports::AuthenticationError};
use plinth_store::{
    Error, Store, SystemTx, TenantTx,
    idempotency::{self, Ticket},
};
use serde::Serialize;

use crate::{
    Edge,
    answer::{Done, POSITION, Reply, entity_tag},
    refuse::Refusal,
};

/// One request and what the layers found out about it.
pub struct Exchange {
    pub(crate) edge: Arc<Edge>,
    pub(crate) request_id: Arc<str>,
    pub(crate) client: IpAddr,
    pub(crate) https: bool,
    pub(crate) caller: Result<Option<Arc<Principal>>, AuthenticationError>,
    pub(crate) if_match: Option<HeaderValue>,
    /// The claim under an Idempotency-Key; taken by the commit that completes it.
    pub(crate) ticket: Mutex<Option<Ticket>>,
    pub(crate) begun: AtomicBool,
}

impl Exchange {
    pub fn store(&self) -> &Store {
        &self.edge.store
    }

    pub fn edge(&self) -> &Arc<Edge> {
        &self.edge
    }

    pub fn world(&self) -> &World {
        self.edge.store.world()
    }

    /// The address that the request came from, proxies aside.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// The caller reached the platform over TLS.
    pub fn https(&self) -> bool {
        self.https
    }

    pub fn cause(&self) -> Cause {
        let principal = self.caller.as_ref().ok().and_then(Option::as_ref);
        Cause {
            actor: principal.map_or(Actor::Anonymous, |principal| principal.actor),
            impersonator: principal.and_then(|principal| principal.impersonator),
            correlation: self.request_id.clone(),
            origin: Some(self.client.to_string().into()),
        }
    }

    /// A change that belongs to no tenant, or to several.
    pub async fn change_system(&self) -> Result<SystemTx, Error> {
        self.begun.store(true, Ordering::Relaxed);
        self.store().change_system(self.cause()).await
    }

    pub async fn read_system(&self) -> Result<SystemTx, Error> {
        self.store().read_system(self.cause()).await
    }

    /// Keeps the changes together with the answer that tells of them.
    pub async fn commit_system<R: Reply>(&self, tx: SystemTx, reply: R) -> Result<Done<R>, Fault> {
        let mut written = reply.write()?;
        if let Some(ticket) = self.take_ticket() {
            let answer = written.to_answer();
            match ticket.tenant() {
                Some(tenant) => idempotency::complete(&tx.in_tenant(tenant), ticket, &answer).await?,
                None => idempotency::complete(&tx, ticket, &answer).await?,
            }
        }
        position(tx.commit().await?, &mut written.headers);
        Ok(Done::new(written))
    }

    async fn commit_tenant<R: Reply>(&self, tx: TenantTx, reply: R) -> Result<Done<R>, Fault> {
        let mut written = reply.write()?;
        if let Some(ticket) = self.take_ticket() {
            idempotency::complete(&tx.scope(), ticket, &written.to_answer()).await?;
        }
        position(tx.commit().await?, &mut written.headers);
        Ok(Done::new(written))
    }

    pub(crate) fn take_ticket(&self) -> Option<Ticket> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Refuses when the caller sent If-Match and the object is no longer the one it read.
    pub fn require_match(&self, current: &impl Serialize) -> Result<(), Stale> {
        let Some(wanted) = &self.if_match else { return Ok(()) };
        let body = serde_json::to_vec(current).unwrap_or_default();
        if tag_matches(wanted, &entity_tag(&body)) { Ok(()) } else { Err(Stale) }
    }
}

/// The object has changed since the caller read it.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the object has changed since you read it; read it again and decide anew")]
pub struct Stale;

/// Whether a list of entity tags, or `*`, names this one.
pub(crate) fn tag_matches(wanted: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(wanted), Ok(tag)) = (wanted.to_str(), tag.to_str()) else { return false };
    wanted.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

fn position(appended: Vec<plinth_store::log::Appended>, headers: &mut HeaderMap) {
    let Some(last) = appended.last() else { return };
    // Before an event is sealed its id stands for its position.
    let text = last.position.map_or_else(|| last.id.to_string(), |position| position.to_string());
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(POSITION, value);
    }
}

fn exchange(parts: &Parts) -> Result<Arc<Exchange>, Response> {
    parts
        .extensions
        .get::<Arc<Exchange>>()
        .cloned()
        .ok_or_else(|| crate::refuse(&Fault::internal("a handler was mounted outside of the layers of the edge")))
}

/// Anybody. A credential that does not count is as good as none.
pub struct Visitor {
    exchange: Arc<Exchange>,
}

impl Visitor {
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        self.exchange.caller.as_ref().ok().and_then(Option::as_ref)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        Ok(Self { exchange: exchange(parts)? })
    }
}

/// Somebody who is signed in.
pub struct Person {
    exchange: Arc<Exchange>,
    principal: Arc<Principal>,
}

impl Person {
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }
}

fn signed_in(exchange: &Exchange) -> Result<Arc<Principal>, Response> {
    match &exchange.caller {
        Ok(Some(principal)) => Ok(principal.clone()),
        Ok(None) => Err(Refusal::new(
            Kind::Unauthenticated,
            "authentication_needed",
            "send Authorization: Bearer with an access token or an API key",
        )
        .into_response()),
        Err(error) => Err(crate::refuse(error)),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let exchange = exchange(parts)?;
        let principal = signed_in(&exchange)?;
        Ok(Self { exchange, principal })
    }
}

/// Somebody who holds the permission `P` in the tenant that the request acts in.
pub struct Caller<P> {
    exchange: Arc<Exchange>,
    principal: Arc<Principal>,
    tenant: TenantId,
    holds: PhantomData<fn() -> P>,
}

impl<P: Permission> Caller<P> {
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Reads in the tenant, from one moment.
    pub async fn read(&self) -> Result<TenantTx, Error> {
        self.exchange.store().read(self.tenant, self.exchange.cause()).await
    }

    /// A change in the tenant. Open it late and commit it soon: others wait for it.
    pub async fn change(&self) -> Result<TenantTx, Error> {
        self.exchange.begun.store(true, Ordering::Relaxed);
        self.exchange.store().change(self.tenant, self.exchange.cause()).await
    }

    /// Keeps the changes together with the answer that tells of them. Nothing is kept without this line.
    pub async fn commit<R: Reply>(&self, tx: TenantTx, reply: R) -> Result<Done<R>, Fault> {
        self.exchange.commit_tenant(tx, reply).await
    }
}

impl<P: Permission, S: Send + Sync> FromRequestParts<S> for Caller<P> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let exchange = exchange(parts)?;
        let principal = signed_in(&exchange)?;
        let Some(tenant) = principal.tenant else {
            return Err(Refusal::new(
                Kind::Forbidden,
                "no_tenant",
                "you belong to no tenant yet: create one with POST /api/v1/tenants or accept an invitation",
            )
            .into_response());
        };
        if principal.must_enrol_mfa {
            return Err(Refusal::new(
                Kind::Forbidden,
                "mfa_enrolment_required",
                "this tenant asks its members for an authenticator app: set it up with POST /api/v1/auth/mfa/totp",
            )
            .into_response());
        }
        if !principal.may::<P>() {
            return Err(
                Refusal::new(Kind::Forbidden, "permission_missing", format!("this needs {}", P::NAME)).into_response()
            );
        }
        Ok(Self { exchange, principal, tenant, holds: PhantomData })
    }
}

impl Deref for Visitor {
    type Target = Exchange;
    fn deref(&self) -> &Exchange {
        &self.exchange
    }
}

impl Deref for Person {
    type Target = Exchange;
    fn deref(&self) -> &Exchange {
        &self.exchange
    }
}

impl<P> Deref for Caller<P> {
    type Target = Exchange;
    fn deref(&self) -> &Exchange {
        &self.exchange
    }
}
