//! POST auth/mfa/totp/confirm: the first code of a new authenticator app.

use axum::extract::State;
use plinth_core::api::auth::{RecoveryCodes, TotpCode};
use plinth_gateway::{Body, Done, Endpoint, Json, Person, endpoint::post};

use crate::{
    Identity,
    accounts::{
        mfa::{self, Error},
        profile::Oneself,
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/mfa/totp/confirm", handler)
        .summary("Finish setting up an authenticator app")
        .description(
            "From here on signing in asks for a code. The recovery codes in the answer are shown once; each of them stands \
             in for a code of the app once.",
        )
        .takes_credentials()
}

async fn handler(
    person: Person,
    State(identity): State<Identity>,
    Body(request): Body<TotpCode>,
) -> Result<Done<Json<RecoveryCodes>>, Error> {
    let oneself = Oneself::of(person.principal())?;
    let tx = person.change_system().await?;
    let codes = mfa::confirm(&identity, &tx, oneself, &request.code).await?;
    Ok(person.commit_system(tx, Json(codes)).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        routes::{
            mfa::testing::{code, enrol, login},
            sessions::testing::{platform_events, purposes_to},
        },
        testing::{Actor, TestApp, apps},
    };

    async fn confirm(test: &TestApp, owner: &Actor, code: &str) -> plinth_testkit::Reply {
        let request = json!({ "code": code });
        test.app.post("/api/v1/auth/mfa/totp/confirm").token(&owner.token).json(&request).send().await
    }

    #[tokio::test]
    async fn signing_in_asks_for_a_code_and_takes_it_once() {
        for test in apps().await {
            let owner = test.owner().await;
            let app = enrol(&test, &owner).await;
            let me = test.app.get("/api/v1/me").token(&owner.token).send().await.expect(200);
            assert_eq!(me["user"]["mfa_enabled"], true);
            assert_eq!(purposes_to(&test, &owner.email).await[0], "mfa_enabled");
            login(&test, &owner, None).await.refused(401, "mfa_required");
            login(&test, &owner, Some(&app.used)).await.refused(401, "invalid_credentials");
            test.advance(30).await;
            let fresh = code(&test, &app.secret);
            login(&test, &owner, Some(&fresh)).await.expect(200);
            login(&test, &owner, Some(&fresh)).await.refused(401, "invalid_credentials");
        }
    }

    #[tokio::test]
    async fn a_recovery_code_works_once() {
        for test in apps().await {
            let owner = test.owner().await;
            let app = enrol(&test, &owner).await;
            assert_eq!(app.recovery_codes.len(), 10);
            login(&test, &owner, Some(&app.recovery_codes[3])).await.expect(200);
            login(&test, &owner, Some(&app.recovery_codes[3])).await.refused(401, "invalid_credentials");
            login(&test, &owner, Some(&app.recovery_codes[4].to_uppercase())).await.expect(200);
        }
    }

    #[tokio::test]
    async fn a_wrong_code_confirms_nothing() {
        for test in apps().await {
            let owner = test.owner().await;
            confirm(&test, &owner, "123456").await.refused(409, "mfa_not_begun");
            let begun: Value = test.app.post("/api/v1/auth/mfa/totp").token(&owner.token).send().await.expect(201);
            let secret = begun["secret"].as_str().unwrap();
            let old = code(&test, secret);
            test.advance(120).await;
            for wrong in [old.as_str(), "", "12345a"] {
                confirm(&test, &owner, wrong).await.refused(422, "wrong_code");
            }
            login(&test, &owner, None).await.expect(200);
            confirm(&test, &owner, &code(&test, secret)).await.expect(200);
            test.advance(30).await;
            confirm(&test, &owner, &code(&test, secret)).await.refused(409, "mfa_already_enrolled");
            let events = platform_events(&test).await;
            assert_eq!(events.iter().filter(|kind| *kind == "user.mfa_enabled").count(), 1, "{events:?}");
        }
    }
}
