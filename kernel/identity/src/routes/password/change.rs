//! POST auth/password/change: another password, by somebody who knows the present one.

use axum::extract::State;
use plinth_core::api::auth::ChangePassword;
use plinth_gateway::{Body, Done, Endpoint, NoContent, Person, endpoint::post};

use crate::{
    Identity,
    accounts::{
        passwords::{
            change::{self, Error},
            proof::Proof,
        },
        profile::Oneself,
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/password/change", handler)
        .summary("Change your password")
        .description(
            "Every other session ends; this one stays. A wrong current password counts like a failed sign-in. Whoever signed \
             up through an identity provider and has no password yet leaves `current_password` out.",
        )
        .takes_credentials()
}

async fn handler(
    person: Person,
    State(identity): State<Identity>,
    Body(request): Body<ChangePassword>,
) -> Result<Done<NoContent>, Error> {
    let oneself = Oneself::of(person.principal())?;
    let prepared = change::prepare(&identity, person.read_system().await?, oneself, request).await?;
    let tx = person.change_system().await?;
    match change::change(&identity, &tx, oneself, prepared).await? {
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
    use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
    use serde_json::json;

    use crate::{
        entities::users,
        testing::{Actor, PASSWORD, TestApp, apps},
    };

    const NEW: &str = "another horse battery";

    async fn change(test: &TestApp, actor: &Actor, current: &str) -> Reply {
        let request = json!({ "current_password": current, "new_password": NEW });
        test.app.post("/api/v1/auth/password/change").token(&actor.token).json(&request).send().await
    }

    async fn login(test: &TestApp, owner: &Actor, password: &str) -> Reply {
        let request = json!({ "email": owner.email, "password": password });
        test.app.post("/api/v1/auth/login").json(&request).send().await
    }

    #[tokio::test]
    async fn the_other_sessions_end_and_this_one_stays() {
        for test in apps().await {
            let owner = test.owner().await;
            let other = Actor::of(&login(&test, &owner, PASSWORD).await.expect(200));
            change(&test, &owner, PASSWORD).await.expect(204);
            test.app.get("/api/v1/me").token(&owner.token).send().await.expect(200);
            test.app.get("/api/v1/me").token(&other.token).send().await.refused(401, "token_revoked");
            assert_eq!(test.mail_to(&owner.email).await.0, "password_changed");
            login(&test, &owner, PASSWORD).await.refused(401, "invalid_credentials");
            login(&test, &owner, NEW).await.expect(200);
        }
    }

    #[tokio::test]
    async fn guessing_locks_the_account_and_ends_the_session() {
        for test in apps().await {
            let owner = test.owner().await;
            for _ in 0..9 {
                change(&test, &owner, "wrong password").await.refused(403, "wrong_proof");
            }
            let other = Actor::of(&login(&test, &owner, PASSWORD).await.expect(200));
            for _ in 0..10 {
                change(&test, &owner, "wrong password").await.refused(403, "wrong_proof");
            }
            assert_eq!(test.mail_to(&owner.email).await.0, "account_locked");
            change(&test, &owner, PASSWORD).await.refused(401, "token_revoked");
            login(&test, &owner, PASSWORD).await.refused(401, "invalid_credentials");
            change(&test, &other, PASSWORD).await.refused(403, "wrong_proof");
            test.advance(16 * 60).await;
            login(&test, &owner, PASSWORD).await.expect(200);
        }
    }

    #[tokio::test]
    async fn guesses_at_the_same_moment_all_count() {
        for test in apps().await {
            let owner = test.owner().await;
            let request = json!({ "current_password": "wrong password", "new_password": NEW });
            let guesses: Vec<_> = (0..10)
                .map(|_| test.app.post("/api/v1/auth/password/change").token(&owner.token).json(&request).send())
                .map(tokio::spawn)
                .collect();
            for guess in guesses {
                guess.await.unwrap().refused(403, "wrong_proof");
            }
            assert_eq!(test.mail_to(&owner.email).await.0, "account_locked");
            login(&test, &owner, PASSWORD).await.refused(401, "invalid_credentials");
        }
    }

    #[tokio::test]
    async fn everything_wrong_is_told_at_once() {
        for test in apps().await {
            let owner = test.owner().await;
            let request = json!({ "new_password": "short" });
            let change = test.app.post("/api/v1/auth/password/change").token(&owner.token).json(&request);
            let problem = change.send().await.refused(422, "invalid");
            let pointers: Vec<_> =
                problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
            assert_eq!(pointers, ["/current_password", "/new_password"]);
        }
    }

    #[tokio::test]
    async fn whoever_has_no_password_sets_the_first_one() {
        for test in apps().await {
            let owner = test.owner().await;
            let tx = test.database.store.change_system(plinth_core::Cause::system("test")).await.unwrap();
            let without =
                tx.update::<users::Entity>().col_expr(users::Column::Password, Expr::value(Option::<String>::None));
            without.filter(users::Column::Email.eq(&owner.email)).exec(&tx).await.unwrap();
            tx.commit().await.unwrap();
            let request = json!({ "new_password": NEW });
            let first = || test.app.post("/api/v1/auth/password/change").token(&owner.token).json(&request).send();
            first().await.expect(204);
            login(&test, &owner, NEW).await.expect(200);
            first().await.refused(422, "invalid");
        }
    }
}
