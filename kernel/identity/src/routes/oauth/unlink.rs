//! DELETE auth/identities/{id}: an identity at a provider that is to sign the caller in no longer.

use axum::extract::State;
use plinth_core::IdentityId;
use plinth_gateway::{Done, Endpoint, NoContent, Path, Person, endpoint::delete};

use super::person_id;
use crate::{
    Identity,
    accounts::oauth::identities::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/auth/identities/{id}", handler)
        .summary("Unlink an identity at a provider")
        .description("Refused with `last_way_to_sign_in` when neither a password nor another identity would be left.")
}

async fn handler(
    person: Person,
    State(identity): State<Identity>,
    Path(id): Path<IdentityId>,
) -> Result<Done<NoContent>, Error> {
    let user = person_id(&person)?;
    if person.principal().impersonator.is_some() {
        return Err(Error::Impersonated);
    }
    let tx = person.change_system().await?;
    identities::unlink(&identity, &tx, user, id, |current| person.require_match(current)).await?;
    Ok(person.commit_system(tx, NoContent).await?)
}
