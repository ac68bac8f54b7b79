//! DELETE auth/sessions: ends every session of the caller but the one that asks.

use plinth_gateway::{Done, Endpoint, NoContent, Person, endpoint::delete};

use super::Error;
use crate::{
    Identity,
    accounts::profile::{self, Oneself},
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/auth/sessions", handler)
        .summary("End all your other sessions")
        .description("The one that asks stays. An operator who acts as you is stopped as well.")
}

async fn handler(person: Person) -> Result<Done<NoContent>, Error> {
    let oneself = Oneself::of(person.principal())?;
    let tx = person.change_system().await?;
    profile::end_sessions(&tx, oneself.user, Some(oneself.session), "ended by its owner").await?;
    Ok(person.commit_system(tx, NoContent).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        routes::sessions::testing::{api_key, impersonation},
        testing::{Actor, PASSWORD, apps},
    };

    #[tokio::test]
    async fn all_others_of_this_person_end() {
        for test in apps().await {
            let (owner, stranger) = (test.owner().await, test.owner().await);
            let request = json!({ "email": owner.email, "password": PASSWORD });
            let phone = Actor::of(&test.app.post("/api/v1/auth/login").json(&request).send().await.expect(200));
            let operator = impersonation(&test, &owner).await;
            let me = |token: &str| test.app.get("/api/v1/me").token(token).send();
            for token in [&phone.token, &operator] {
                me(token).await.expect(200);
            }
            test.app.delete("/api/v1/auth/sessions").token(&owner.token).send().await.expect(204);
            for token in [&phone.token, &operator] {
                me(token).await.refused(401, "token_revoked");
            }
            for token in [&owner.token, &stranger.token] {
                me(token).await.expect(200);
            }
        }
    }

    /// What guards an account is changed by the person alone.
    #[tokio::test]
    async fn neither_a_key_nor_an_operator_can_take_the_account_over() {
        for test in apps().await {
            let owner = test.owner().await;
            let session = {
                let page = test.app.get("/api/v1/auth/sessions").token(&owner.token).send().await.expect(200);
                format!("/api/v1/auth/sessions/{}", page["data"][0]["id"].as_str().unwrap())
            };
            let (key, operator) = (api_key(&test, &owner).await, impersonation(&test, &owner).await);
            let proof = json!({ "password": PASSWORD });
            let none = json!({});
            let requests = [
                ("PATCH", "/api/v1/me", json!({ "email": "other@example.com" })),
                ("POST", "/api/v1/auth/verify-email/resend", none.clone()),
                (
                    "POST",
                    "/api/v1/auth/password/change",
                    json!({ "current_password": PASSWORD, "new_password": "another horse" }),
                ),
                ("GET", "/api/v1/auth/sessions", none.clone()),
                ("DELETE", "/api/v1/auth/sessions", none.clone()),
                ("DELETE", session.as_str(), none.clone()),
                ("POST", "/api/v1/auth/mfa/totp", none.clone()),
                ("POST", "/api/v1/auth/mfa/totp/confirm", json!({ "code": "123456" })),
                ("DELETE", "/api/v1/auth/mfa/totp", proof.clone()),
                ("POST", "/api/v1/auth/mfa/recovery-codes", proof),
            ];
            for (token, code) in [(&key, "session_needed"), (&operator, "not_while_impersonating")] {
                test.app.get("/api/v1/me").token(token).send().await.expect(200);
                for (method, path, body) in &requests {
                    let method = method.parse().expect("a method");
                    test.app.request(method, path).token(token).json(body).send().await.refused(403, code);
                }
            }
        }
    }
}
