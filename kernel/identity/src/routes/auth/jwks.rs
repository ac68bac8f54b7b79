//! GET /.well-known/jwks.json: the keys that verify access tokens.

use axum::extract::State;
use plinth_core::api::auth::Jwks;
use plinth_gateway::{Endpoint, Failed, Json, endpoint::get};

use crate::Identity;

pub fn endpoint() -> Endpoint<Identity> {
    get("/.well-known/jwks.json", handler)
        .summary("The public keys of access tokens")
        .description("The next key is published before it signs, and old ones stay until their last token has expired.")
}

async fn handler(State(identity): State<Identity>) -> Result<Json<Jwks>, Failed> {
    let keys = identity.signing().jwks();
    Ok(Json(Jwks { keys: keys["keys"].as_array().cloned().unwrap_or_default() }))
}
