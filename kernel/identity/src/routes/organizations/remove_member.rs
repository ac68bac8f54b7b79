//! DELETE organizations/{id}/members/{user}; its tests stand beside `set_member`.

use plinth_core::{OrganizationId, UserId};
use plinth_gateway::{Caller, Done, Endpoint, NoContent, Path, endpoint::delete};

use crate::{
    Identity,
    permissions::ReadOrganizations,
    tenancy::{
        organizations::{self, Error, members},
        tenants::own_locked,
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/organizations/{id}/members/{user}", handler).summary("Take somebody out of an organisation").description(
        "Whoever holds organizations:write may, a manager of the organisation, and everybody for themselves. The person stays \
         in the tenant.",
    )
}

async fn handler(
    caller: Caller<ReadOrganizations>,
    Path((id, user)): Path<(OrganizationId, UserId)>,
) -> Result<Done<NoContent>, Error> {
    let tx = caller.change().await?;
    own_locked(tx.scope()).await?;
    organizations::find(tx.scope(), id).await?;
    if let Some(member) = members::find(tx.scope(), id, user).await? {
        caller.require_match(&member)?;
    }
    members::remove(tx.scope(), caller.principal(), id, user).await?;
    Ok(caller.commit(tx, NoContent).await?)
}
