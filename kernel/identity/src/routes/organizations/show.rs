//! GET organizations/{id}; its tests stand beside `update`.

use plinth_core::{OrganizationId, api::tenants::Organization};
use plinth_gateway::{Caller, Endpoint, Json, Path, endpoint::get};

use crate::{
    Identity,
    permissions::ReadOrganizations,
    tenancy::organizations::{self, Error},
    view,
};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/organizations/{id}", handler).summary("Show an organisation")
}

async fn handler(
    caller: Caller<ReadOrganizations>,
    Path(id): Path<OrganizationId>,
) -> Result<Json<Organization>, Error> {
    let tx = caller.read().await?;
    Ok(Json(view::organization(&organizations::find(tx.scope(), id).await?)))
}
