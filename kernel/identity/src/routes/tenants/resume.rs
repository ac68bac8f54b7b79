//! POST tenants/{id}/resume; its tests stand beside `suspend`.

use plinth_core::{TenantId, api::tenants::Tenant};
use plinth_gateway::{Caller, Done, Endpoint, Json, Path, endpoint::post};

use crate::{
    Identity,
    permissions::SuspendTenants,
    tenancy::tenants::life::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/tenants/{id}/resume", handler)
        .summary("Resume a suspended tenant")
        .description("Sessions and API keys that have not ended meanwhile work again.")
}

async fn handler(caller: Caller<SuspendTenants>, Path(id): Path<TenantId>) -> Result<Done<Json<Tenant>>, Error> {
    let tx = caller.change_system().await?;
    let tenant = life::resume(&tx, id).await?;
    Ok(caller.commit_system(tx, Json(tenant)).await?)
}
