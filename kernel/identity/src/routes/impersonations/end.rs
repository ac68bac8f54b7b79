//! DELETE impersonations/{session}: the end of acting as somebody else.

use plinth_core::SessionId;
use plinth_gateway::{Done, Endpoint, NoContent, Path, Person, endpoint::delete};

use crate::{
    Identity,
    access::impersonation::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/impersonations/{session}", handler).summary("End an impersonation").description(
        "For the operator who began it, with the token of either side, and for everybody who holds \
             `impersonations:write`. Its token stops working at once.",
    )
}

async fn handler(person: Person, Path(session): Path<SessionId>) -> Result<Done<NoContent>, Error> {
    let tx = person.change_system().await?;
    let (row, shown) = impersonation::find(&tx, person.principal(), session).await?;
    person.require_match(&shown)?;
    impersonation::end(&tx, &row, &shown).await?;
    Ok(person.commit_system(tx, NoContent).await?)
}
