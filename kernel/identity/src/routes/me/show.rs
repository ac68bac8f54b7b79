//! GET me: who calls, where, and what they may do.

use std::sync::Arc;

use plinth_core::api::users::Me;
use plinth_gateway::{Endpoint, Failed, Json, Person, endpoint::get};

use crate::Identity;

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/me", handler).summary("Who you are and what you may do")
}

async fn handler(person: Person) -> Result<Json<Arc<Me>>, Failed> {
    Ok(Json(person.principal().profile.clone()))
}
