//! A room with one endpoint for each thing that the layers must cope with, and people who are known by their token.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::extract::State;
use plinth_core::{
    Actor, Fault, NewEvent, PermissionSet, Principal, Profile, SigningSecret, TenantId, UserId,
    api::users::Me,
    permissions,
    ports::{Authenticate, AuthenticationError, Credential},
};
use plinth_gateway::{
    Body, Caller, Created, Done, EdgeConfig, Endpoint, Failed, Json, Mounted, Path, Stale, Visitor,
    endpoint::{get, patch, post},
    refuses,
};
use plinth_testkit::{App, TestDatabase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use uuid::Uuid;

permissions! {
    ReadThings = "things:read", "See things";
    WriteThings = "things:write", "Change things";
}

#[derive(Clone)]
pub struct Room {
    /// How often work was done, whoever waited for it.
    pub done: Arc<AtomicU32>,
    pub begun: Arc<AtomicU32>,
    /// Slow work waits here until the test lets it go on.
    pub gate: Arc<Semaphore>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thing {
    pub name: String,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this name is refused")]
    Refused,
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::Refused => Conflict "refused",
    Self::Stale(_) => PreconditionFailed "stale",
});

fn endpoints() -> Vec<Endpoint<Room>> {
    vec![
        get("/things", show).summary("Show a thing"),
        post("/things", make).summary("Make a thing"),
        patch("/things", change).summary("Change a thing"),
        post("/things/{id}/slow", slow).summary("Take long"),
        get("/panic", panics).summary("Panic"),
        post("/panic", panics).summary("Panic while changing"),
        get("/sleep", sleeps).summary("Take longer than a request may"),
        post("/sign-in", sign_in).summary("Take a password").takes_credentials(),
    ]
}

async fn show(_: Caller<ReadThings>) -> Result<Json<Thing>, Failed> {
    Ok(Json(Thing { name: "lamp".into() }))
}

async fn make(
    caller: Caller<WriteThings>,
    State(room): State<Room>,
    Body(thing): Body<Thing>,
) -> Result<Done<Created<Thing>>, Error> {
    let tx = caller.change().await.map_err(Fault::from)?;
    room.begun.fetch_add(1, Ordering::SeqCst);
    if thing.name == "refused" {
        return Err(Error::Refused);
    }
    if thing.name == "weather" {
        return Err(Fault::unavailable("the weather is bad").into());
    }
    tx.scope().emit(NewEvent::new("thing.made", format!("thing/{}", thing.name), &thing));
    let done = caller.commit(tx, Created(thing)).await?;
    room.done.fetch_add(1, Ordering::SeqCst);
    Ok(done)
}

async fn change(caller: Caller<WriteThings>, Body(thing): Body<Thing>) -> Result<Json<Thing>, Error> {
    caller.require_match(&Thing { name: "lamp".into() })?;
    Ok(Json(thing))
}

async fn slow(
    caller: Caller<WriteThings>,
    State(room): State<Room>,
    Path(id): Path<UserId>,
) -> Result<Done<Created<Thing>>, Error> {
    room.begun.fetch_add(1, Ordering::SeqCst);
    let permit = room.gate.acquire().await.map_err(|_| Fault::internal("the gate is closed"))?;
    permit.forget();
    let tx = caller.change().await.map_err(Fault::from)?;
    tx.scope().emit(NewEvent::new("thing.made", format!("thing/{id}"), &()));
    let done = caller.commit(tx, Created(Thing { name: id.to_string() })).await?;
    room.done.fetch_add(1, Ordering::SeqCst);
    Ok(done)
}

async fn panics(_: Visitor) -> Result<Json<Thing>, Failed> {
    panic!("a secret that must not leave the house")
}

async fn sleeps(_: Visitor) -> Result<Json<Thing>, Failed> {
    tokio::time::sleep(Duration::from_secs(3600)).await;
    Ok(Json(Thing { name: "late".into() }))
}

async fn sign_in(_: Visitor, Body(thing): Body<Thing>) -> Result<Json<Thing>, Failed> {
    Ok(Json(thing))
}

/// Knows people by tokens such as `1.things:read`: a number, and what they may do.
struct People;

impl People {
    fn know(credential: Credential<'_>) -> Result<Arc<Principal>, AuthenticationError> {
        let (number, grants) = credential.token.split_once('.').ok_or(AuthenticationError::Invalid)?;
        let (grants, signed) = grants.strip_suffix("+signed").map_or((grants, false), |grants| (grants, true));
        let number: u128 = number.parse().map_err(|_| AuthenticationError::Invalid)?;
        let profile = Me {
            user: None,
            tenant: None,
            roles: Vec::new(),
            permissions: Vec::new(),
            api_key: None,
            service_account: None,
            impersonator: None,
        };
        Ok(Arc::new(Principal {
            actor: Actor::User(UserId::from_uuid(Uuid::from_u128(number))),
            // Two people share a tenant.
            tenant: Some(TenantId::from_uuid(Uuid::from_u128(100 + number / 2))),
            operator: false,
            session: None,
            key: None,
            impersonator: None,
            grants: grants.split(',').collect::<PermissionSet>(),
            scopes: None,
            must_enrol_mfa: false,
            tenant_rate: None,
            signing: signed.then(|| SigningSecret(b"secret".as_slice().into())),
            expires_at: None,
            profile: Profile::new(profile),
        }))
    }
}

#[async_trait]
impl Authenticate for People {
    fn cached(&self, _: Credential<'_>) -> Option<Arc<Principal>> {
        None
    }

    async fn authenticate(&self, credential: Credential<'_>) -> Result<Arc<Principal>, AuthenticationError> {
        Self::know(credential)
    }
}

pub struct Test {
    pub app: App,
    pub room: Room,
    pub database: TestDatabase,
}

pub async fn start(change: impl FnOnce(&mut EdgeConfig)) -> Test {
    over(plinth_testkit::sqlite().await, change)
}

pub fn over(database: TestDatabase, change: impl FnOnce(&mut EdgeConfig)) -> Test {
    let room = Room { done: Arc::default(), begun: Arc::default(), gate: Arc::new(Semaphore::new(0)) };
    let mut mounted = Mounted::default();
    mounted.add("things", &room, endpoints());
    mounted.add("lists", &database.store.clone(), crate::lists::endpoints());
    let mut config = App::config();
    change(&mut config);
    let app = App::with_config(database.store.clone(), Arc::new(People), mounted, config);
    Test { app, room, database }
}

pub const WRITER: &str = "1.things:write,things:read";
