//! What only `serve --dev` answers: mails that wait for a channel, and a clock that can be moved.

use std::time::Duration;

use axum::extract::State;
use plinth_core::{
    Cause,
    api::operations::{ClockReading, MoveClock, Outbox},
};
use plinth_gateway::{
    Body, Failed, Json, Mounted, Visitor,
    endpoint::{get, post},
};
use plinth_identity::Identity;
use plinth_store::mail;

use super::background;

pub fn mount(mounted: &mut Mounted, identity: &Identity) {
    mounted.add(
        "development",
        identity,
        vec![
            get("/api/v1/dev/outbox", outbox).summary("The newest 200 mails"),
            get("/api/v1/dev/clock", clock).summary("The time that the kernel goes by"),
            post("/api/v1/dev/clock", advance)
                .summary("Move the clock forward")
                .description("Whatever is due by then is done before the answer."),
        ],
    );
}

async fn outbox(_: Visitor, State(identity): State<Identity>) -> Result<Json<Outbox>, Failed> {
    let tx = identity.store().read_system(Cause::system("development")).await?;
    Ok(Json(Outbox { data: mail::newest(&tx, 200).await? }))
}

async fn clock(_: Visitor, State(identity): State<Identity>) -> Result<Json<ClockReading>, Failed> {
    Ok(Json(ClockReading { now: identity.world().now() }))
}

async fn advance(
    visitor: Visitor,
    State(identity): State<Identity>,
    Body(request): Body<MoveClock>,
) -> Result<Json<ClockReading>, Failed> {
    identity.world().advance(Duration::from_secs(request.advance_seconds));
    background::once(&identity, visitor.edge(), true).await;
    Ok(Json(ClockReading { now: identity.world().now() }))
}
