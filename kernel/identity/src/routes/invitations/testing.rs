//! Owners who may invite, and what they send.

use serde_json::{Value, json};

use crate::testing::{Actor, TestApp};

/// An owner who has confirmed their address.
pub async fn host(test: &TestApp) -> Actor {
    let owner = test.owner().await;
    let (_, token) = test.mail_to(&owner.email).await;
    test.app.post("/api/v1/auth/verify-email").json(&json!({ "token": token })).send().await.expect(204);
    owner
}

pub async fn invite(test: &TestApp, token: &str, body: Value) -> plinth_testkit::Reply {
    test.app.post("/api/v1/invitations").token(token).json(&body).send().await
}

/// An invitation that was sent: its id and its token.
pub async fn invited(test: &TestApp, token: &str, email: &str, roles: &[&str]) -> (String, String) {
    let sent = invite(test, token, json!({ "email": email, "roles": roles })).await.expect(201);
    let (purpose, secret) = test.mail_to(email).await;
    assert_eq!(purpose, "invitation");
    (sent["id"].as_str().unwrap().to_owned(), secret)
}

pub async fn accept(test: &TestApp, who: Option<&str>, body: Value) -> plinth_testkit::Reply {
    let request = test.app.post("/api/v1/invitations/accept").json(&body);
    match who {
        Some(token) => request.token(token).send().await,
        None => request.send().await,
    }
}
