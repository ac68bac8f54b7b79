//! POST auth/mfa/recovery-codes: new recovery codes in place of the old ones.

use axum::extract::State;
use plinth_core::api::auth::{Confirm, RecoveryCodes};
use plinth_gateway::{Body, Done, Endpoint, Json, Person, endpoint::post};

use crate::{
    Identity,
    accounts::{
        mfa::{self, Error},
        profile::Oneself,
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/mfa/recovery-codes", handler)
        .summary("Replace the recovery codes")
        .description(
            "Needs the password, or a code of the app or a recovery code in `totp`. The new codes are shown once; the old \
             ones stop working.",
        )
        .takes_credentials()
}

async fn handler(
    person: Person,
    State(identity): State<Identity>,
    Body(request): Body<Confirm>,
) -> Result<Done<Json<RecoveryCodes>>, Error> {
    let oneself = Oneself::of(person.principal())?;
    let shown = mfa::show(&identity, person.read_system().await?, oneself, request).await?;
    let tx = person.change_system().await?;
    if let Some(codes) = mfa::renew_codes(&identity, &tx, oneself, shown).await? {
        return Ok(person.commit_system(tx, Json(codes)).await?);
    }
    // The failed attempt is counted; the answer is the refusal.
    tx.commit().await?;
    Err(Error::WrongProof)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        routes::{
            mfa::testing::{enrol, login, read_codes},
            sessions::testing::purposes_to,
        },
        testing::{PASSWORD, apps},
    };

    #[tokio::test]
    async fn the_new_codes_count_and_the_old_ones_do_not() {
        for test in apps().await {
            let owner = test.owner().await;
            let renew =
                |proof: Value| test.app.post("/api/v1/auth/mfa/recovery-codes").token(&owner.token).json(&proof).send();
            renew(json!({ "password": PASSWORD })).await.refused(409, "mfa_not_enrolled");
            let app = enrol(&test, &owner).await;
            renew(json!({ "password": "wrong password" })).await.refused(403, "wrong_proof");
            let codes = read_codes(&renew(json!({ "password": PASSWORD })).await.expect(200));
            assert_eq!(purposes_to(&test, &owner.email).await[0], "recovery_codes_replaced");
            login(&test, &owner, Some(&app.recovery_codes[0])).await.refused(401, "invalid_credentials");
            login(&test, &owner, Some(&codes[0])).await.expect(200);
            let last = read_codes(&renew(json!({ "totp": codes[1] })).await.expect(200));
            login(&test, &owner, Some(&codes[2])).await.refused(401, "invalid_credentials");
            login(&test, &owner, Some(&last[0])).await.expect(200);
        }
    }
}
