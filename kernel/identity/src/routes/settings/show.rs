//! GET settings; its tests stand beside `update`.

use plinth_core::api::tenants::Settings;
use plinth_gateway::{Caller, Endpoint, Failed, Json, endpoint::get};

use crate::{Identity, permissions::ReadTenant, tenancy::tenants::own, view};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/settings", handler).summary("Show the tenant's settings").description("What is not set is left out.")
}

async fn handler(caller: Caller<ReadTenant>) -> Result<Json<Settings>, Failed> {
    let tx = caller.read().await?;
    Ok(Json(view::settings(&own(tx.scope()).await?)?))
}
