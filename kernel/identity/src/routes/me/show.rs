//! GET me: who calls, where, and what they may do.

use plinth_core::api::users::Me;
use plinth_gateway::{Endpoint, Failed, Person, Ready, endpoint::get};

use crate::Identity;

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/me", handler).summary("Who you are and what you may do")
}

async fn handler(person: Person) -> Result<Ready<Me>, Failed> {
    Ok(Ready::new(person.principal().profile.written().clone()))
}
