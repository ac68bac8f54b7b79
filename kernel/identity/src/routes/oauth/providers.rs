//! GET auth/oauth: which identity providers sign people in.

use axum::extract::State;
use plinth_core::api::{Page, auth::OauthProvider};
use plinth_gateway::{Endpoint, Failed, Json, endpoint::get};

use super::whole;
use crate::Identity;

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/auth/oauth", handler)
        .summary("List the identity providers that sign people in")
        .description("All of them at once, in the order of their names, for the buttons of a sign-in page.")
}

async fn handler(State(identity): State<Identity>) -> Result<Json<Page<OauthProvider>>, Failed> {
    let providers = identity.config().providers.iter();
    let shown =
        providers.map(|(name, config)| OauthProvider { name: name.clone(), display_name: config.display_name.clone() });
    Ok(Json(whole(shown.collect())))
}
