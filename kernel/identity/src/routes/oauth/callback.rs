//! POST auth/oauth/{provider}/callback: what the browser brought back, for a session.

use axum::{
    extract::State,
    http::{HeaderMap, header},
};
use plinth_core::api::auth::{OauthCallback, SignedIn};
use plinth_gateway::{Body, Done, Endpoint, Json, Path, Visitor, endpoint::post};

use crate::{
    Identity,
    accounts::oauth::{self, Error, Outcome, Ticket},
    routes::cookies,
    sessions::Device,
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/oauth/{provider}/callback", handler)
        .summary("End a sign-in at an identity provider")
        .description(
            "Takes `state`, `code` and, where there is one, `iss` from the address that the browser came back to. A known \
             identity signs its account in; an unknown one is linked to the account that began, or gets an account of its \
             own. `account_exists` asks to sign in first and to link from there. `mfa_required` asks for the same request \
             with `totp` within five minutes: a provider does not stand for the authenticator app. A link is ended with the \
             access token of the person who began it.",
        )
        .takes_credentials()
}

async fn handler(
    visitor: Visitor,
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(request): Body<OauthCallback>,
) -> Result<Done<Json<SignedIn>>, Error> {
    let provider = oauth::provider(&identity, &name)?;
    let ticket = Ticket { provider: &name, state: &request.state, code: &request.code };
    let me = oauth::linking_person(&visitor, headers.contains_key(header::AUTHORIZATION));
    let tx = visitor.change_system().await?;
    let waiting = oauth::take(&tx, ticket, me).await?;
    tx.commit().await?;
    let asked = oauth::verify(&identity, provider, ticket, &request, waiting).await?;
    let device = Device::of(&visitor, &headers);
    let tx = visitor.change_system().await?;
    match oauth::sign_in(&identity, &tx, asked, device).await? {
        Outcome::SignedIn(signed_in) => {
            let refresh_token = signed_in.tokens.refresh_token.clone();
            let done = visitor.commit_system(tx, Json(*signed_in)).await?;
            Ok(cookies::keep(&identity, done, &refresh_token))
        }
        Outcome::Refused(error) => {
            // The failed attempt is counted, and what the provider said is kept; the answer is the refusal.
            tx.commit().await?;
            Err(error)
        }
    }
}
