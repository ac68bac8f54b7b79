//! DELETE auth/mfa/totp: takes the authenticator app away.

use axum::extract::State;
use plinth_core::api::auth::Confirm;
use plinth_gateway::{Body, Done, Endpoint, NoContent, Person, endpoint::delete};

use crate::{
    Identity,
    accounts::{
        mfa::{self, Error},
        passwords::proof::Proof,
        profile::Oneself,
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/auth/mfa/totp", handler)
        .summary("Remove the authenticator app")
        .description(
            "Needs the password, or a code of the app or a recovery code in `totp`. A wrong one counts like a failed \
             sign-in. The recovery codes go with the app, and a mail tells of it.",
        )
        .takes_credentials()
}

async fn handler(
    person: Person,
    State(identity): State<Identity>,
    Body(request): Body<Confirm>,
) -> Result<Done<NoContent>, Error> {
    let oneself = Oneself::of(person.principal())?;
    let shown = mfa::show(&identity, person.read_system().await?, oneself, request).await?;
    let tx = person.change_system().await?;
    match mfa::remove(&identity, &tx, oneself, shown).await? {
        Proof::Right => Ok(person.commit_system(tx, NoContent).await?),
        Proof::Wrong => {
            // The failed attempt is counted; the answer is the refusal.
            tx.commit().await?;
            Err(Error::WrongProof)
        }
    }
}

#[cfg(test)]
mod tests {
    use plinth_testkit::Reply;
    use serde_json::{Value, json};

    use crate::{
        routes::{
            mfa::testing::{code, enrol, login},
            sessions::testing::purposes_to,
        },
        testing::{Actor, PASSWORD, TestApp, apps},
    };

    async fn remove(test: &TestApp, owner: &Actor, proof: &Value) -> Reply {
        test.app.delete("/api/v1/auth/mfa/totp").token(&owner.token).json(proof).send().await
    }

    #[tokio::test]
    async fn the_password_or_a_code_removes_it_and_a_mail_tells() {
        for test in apps().await {
            let owner = test.owner().await;
            remove(&test, &owner, &json!({ "password": PASSWORD })).await.refused(409, "mfa_not_enrolled");
            let first = enrol(&test, &owner).await;
            remove(&test, &owner, &json!({ "password": PASSWORD })).await.expect(204);
            assert_eq!(purposes_to(&test, &owner.email).await[0], "mfa_disabled");
            let me = test.app.get("/api/v1/me").token(&owner.token).send().await.expect(200);
            assert_eq!(me["user"]["mfa_enabled"], false);
            login(&test, &owner, None).await.expect(200);
            let second = enrol(&test, &owner).await;
            let old = json!({ "totp": first.recovery_codes[0] });
            remove(&test, &owner, &old).await.refused(403, "wrong_proof");
            remove(&test, &owner, &json!({ "totp": second.recovery_codes[0] })).await.expect(204);
            let third = enrol(&test, &owner).await;
            remove(&test, &owner, &json!({ "totp": third.used })).await.refused(403, "wrong_proof");
            test.advance(30).await;
            remove(&test, &owner, &json!({ "totp": code(&test, &third.secret) })).await.expect(204);
        }
    }

    #[tokio::test]
    async fn what_is_shown_has_to_be_right_altogether() {
        for test in apps().await {
            let owner = test.owner().await;
            let app = enrol(&test, &owner).await;
            let good = &app.recovery_codes[0];
            remove(&test, &owner, &json!({})).await.refused(422, "invalid");
            for wrong in [
                json!({ "password": "wrong password" }),
                json!({ "totp": "000000x" }),
                json!({ "password": "wrong password", "totp": good }),
                json!({ "password": PASSWORD, "totp": "000000x" }),
            ] {
                remove(&test, &owner, &wrong).await.refused(403, "wrong_proof");
            }
            login(&test, &owner, None).await.refused(401, "mfa_required");
            // A wrong password is no reason to use up the code beside it.
            remove(&test, &owner, &json!({ "password": PASSWORD, "totp": good })).await.expect(204);
        }
    }

    #[tokio::test]
    async fn guessing_ends_the_session_and_locks_the_account() {
        for test in apps().await {
            let owner = test.owner().await;
            let app = enrol(&test, &owner).await;
            for _ in 0..10 {
                remove(&test, &owner, &json!({ "totp": "guess" })).await.refused(403, "wrong_proof");
            }
            remove(&test, &owner, &json!({ "password": PASSWORD })).await.refused(401, "token_revoked");
            login(&test, &owner, Some(&app.recovery_codes[0])).await.refused(401, "invalid_credentials");
            test.advance(16 * 60).await;
            login(&test, &owner, Some(&app.recovery_codes[0])).await.expect(200);
        }
    }
}
