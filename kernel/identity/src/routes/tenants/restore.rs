//! POST tenants/{id}/restore; its tests stand beside `erase`.

use plinth_core::{TenantId, api::tenants::Tenant};
use plinth_gateway::{Caller, Done, Endpoint, Json, Path, endpoint::post};

use crate::{
    Identity,
    permissions::EraseTenant,
    tenancy::tenants::life::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/tenants/{id}/restore", handler)
        .summary("Call an erasure off")
        .description("Until the grace has ended. The tenant is active or suspended again, as it was before.")
}

async fn handler(caller: Caller<EraseTenant>, Path(id): Path<TenantId>) -> Result<Done<Json<Tenant>>, Error> {
    life::may_erase(caller.principal(), caller.tenant(), id)?;
    let tx = caller.change_system().await?;
    let tenant = life::restore(&tx, id).await?;
    Ok(caller.commit_system(tx, Json(tenant)).await?)
}
