//! GET auth/identities: the identities at providers that sign the caller in.

use plinth_core::api::{Page, auth::LinkedIdentity};
use plinth_gateway::{Endpoint, Json, Person, endpoint::get};

use super::{person_id, whole};
use crate::{
    Identity,
    accounts::oauth::identities::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/auth/identities", handler)
        .summary("List the identities at providers that sign you in")
        .description("All of them at once, the oldest first.")
}

async fn handler(person: Person) -> Result<Json<Page<LinkedIdentity>>, Error> {
    let user = person_id(&person)?;
    let tx = person.read_system().await?;
    let rows = identities::of(&tx, user).await?;
    Ok(Json(whole(rows.iter().map(identities::view).collect())))
}
