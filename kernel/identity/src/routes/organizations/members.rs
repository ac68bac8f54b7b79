//! GET organizations/{id}/members; its tests stand beside `set_member`.

use plinth_core::{OrganizationId, api::tenants::OrganizationMember};
use plinth_gateway::{Caller, Endpoint, ListSpec, Listing, Paged, Path, endpoint::get};

use crate::{
    Identity,
    permissions::ReadOrganizations,
    tenancy::organizations::{Error, members},
};

struct Members;

impl ListSpec for Members {
    const SORTS: &'static [&'static str] = &["joined_at"];
    const FILTERS: &'static [&'static str] = &["role"];
    const SEARCH: bool = true;
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/organizations/{id}/members", handler)
        .summary("List who belongs to an organisation")
        .description("`role` is manager or member; `ids` takes ids of people; `q` looks in names and addresses.")
}

async fn handler(
    caller: Caller<ReadOrganizations>,
    Path(id): Path<OrganizationId>,
    listing: Listing<Members>,
) -> Result<Paged<OrganizationMember>, Error> {
    let tx = caller.read().await?;
    let (slice, total) = members::list(tx.scope(), id, &listing.0).await?;
    Ok(Paged::new(slice, &listing.0, Some(total)))
}
