//! POST auth/mfa/totp: begins to set up an authenticator app.

use axum::extract::State;
use plinth_core::api::auth::TotpEnrolment;
use plinth_gateway::{Created, Done, Endpoint, Person, endpoint::post};

use crate::{
    Identity,
    accounts::{
        mfa::{self, Error},
        profile::Oneself,
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/mfa/totp", handler)
        .summary("Begin to set up an authenticator app")
        .description(
            "Gives a new secret, once. It counts when POST /api/v1/auth/mfa/totp/confirm has seen a code of it; until then \
             signing in goes on without.",
        )
        .takes_credentials()
}

async fn handler(person: Person, State(identity): State<Identity>) -> Result<Done<Created<TotpEnrolment>>, Error> {
    let oneself = Oneself::of(person.principal())?;
    let tx = person.change_system().await?;
    let enrolment = mfa::enrol(&identity, &tx, oneself).await?;
    Ok(person.commit_system(tx, Created(enrolment)).await?)
}

#[cfg(test)]
mod tests {
    use sea_orm::{ColumnTrait, QueryFilter};

    use crate::{
        entities::users,
        routes::mfa::testing::{enrol, login},
        testing::apps,
    };

    #[tokio::test]
    async fn an_unconfirmed_secret_guards_nothing_and_is_kept_sealed() {
        for test in apps().await {
            let owner = test.owner().await;
            let begin = || test.app.post("/api/v1/auth/mfa/totp").token(&owner.token).send();
            let first = begin().await.expect(201);
            let second = begin().await.expect(201);
            assert_ne!(first["secret"], second["secret"]);
            let url = second["otpauth_url"].as_str().unwrap();
            assert!(url.starts_with("otpauth://totp/Plinth%20127.0.0.1:"), "{url}");
            login(&test, &owner, None).await.expect(200);
            let tx = test.database.store.read_system(plinth_core::Cause::system("test")).await.unwrap();
            let row = tx
                .find::<users::Entity>()
                .filter(users::Column::Email.eq(&owner.email))
                .one(&tx)
                .await
                .unwrap()
                .unwrap();
            let secret = data_encoding::BASE32_NOPAD.decode(second["secret"].as_str().unwrap().as_bytes()).unwrap();
            let kept = row.totp_secret.unwrap();
            assert!(!kept.windows(secret.len()).any(|window| window == secret), "the secret is stored in clear");
        }
    }

    #[tokio::test]
    async fn there_is_one_app_at_a_time() {
        for test in apps().await {
            let owner = test.owner().await;
            enrol(&test, &owner).await;
            let again = test.app.post("/api/v1/auth/mfa/totp").token(&owner.token);
            again.send().await.refused(409, "mfa_already_enrolled");
        }
    }
}
