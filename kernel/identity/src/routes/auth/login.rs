//! POST auth/login: an address and a password for a session.

use axum::{extract::State, http::HeaderMap};
use plinth_core::api::auth::{Login, SignedIn};
use plinth_gateway::{Body, Done, Endpoint, Json, Visitor, endpoint::post};

use crate::{
    Identity,
    accounts::login::{self, Error, Outcome},
    routes::cookies,
    sessions::Device,
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/login", handler)
        .summary("Sign in with a password")
        .description(
            "Says `invalid_credentials` for a wrong password, a locked account and no account alike. \
             `mfa_required` asks for the same request with `totp`.",
        )
        .takes_credentials()
}

async fn handler(
    visitor: Visitor,
    State(identity): State<Identity>,
    headers: HeaderMap,
    Body(request): Body<Login>,
) -> Result<Done<Json<SignedIn>>, Error> {
    let attempt = login::attempt(&identity, visitor.read_system().await?, request).await?;
    let device = Device::of(&visitor, &headers);
    let tx = visitor.change_system().await?;
    match login::login(&identity, &tx, attempt, device).await? {
        Outcome::SignedIn(signed_in) => {
            let refresh_token = signed_in.tokens.refresh_token.clone();
            let done = visitor.commit_system(tx, Json(signed_in)).await?;
            Ok(cookies::keep(&identity, done, &refresh_token))
        }
        Outcome::Refused(error) => {
            // The failed attempt is counted; the answer is the refusal.
            tx.commit().await?;
            Err(error)
        }
    }
}
