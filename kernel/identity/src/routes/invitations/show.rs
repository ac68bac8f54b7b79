//! GET invitations/{id}; its tests stand beside `revoke`.

use plinth_core::{InvitationId, api::tenants::Invitation};
use plinth_gateway::{Caller, Endpoint, Json, Path, endpoint::get};

use crate::{
    Identity,
    permissions::ReadMembers,
    tenancy::invitations::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/invitations/{id}", handler).summary("Show an invitation")
}

async fn handler(caller: Caller<ReadMembers>, Path(id): Path<InvitationId>) -> Result<Json<Invitation>, Error> {
    let tx = caller.read().await?;
    let row = invitations::find(tx.scope(), id).await?;
    Ok(Json(invitations::show(&row, tx.scope().now())?))
}
