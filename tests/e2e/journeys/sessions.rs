//! Where a person is signed in, and how that ends.

use std::time::Duration;

use plinth_api::auth::Refresh;
use plinth_tests::{Kernel, PASSWORD, on_both_databases};
use serde_json::json;

on_both_databases!(sessions_are_listed_and_revoked, refresh_tokens_are_used_once);

async fn sessions_are_listed_and_revoked(kernel: Kernel) {
    let here = kernel.owner().await;
    let there = kernel.login(&here.email, PASSWORD).await;
    let sessions = here.client.auth().sessions(()).await.expect("a list").body.data;
    assert_eq!(sessions.len(), 2);
    let other = sessions.iter().find(|session| !session.current).expect("the other one");
    assert!(other.methods.iter().any(|method| method == "password"), "{other:?}");

    here.client.auth().revoke_session(other.id).await.expect("revoked");
    there.get("me").send().await.refused(401, "token_revoked");
    let refresh = Refresh { refresh_token: Some(there.tokens.refresh_token.clone()) };
    kernel.client().auth().exchange(&refresh).await.expect_err("the session is over");
    here.get("me").send().await.expect(200);

    let stranger = kernel.other_tenant().await;
    let current = sessions.iter().find(|session| session.current).expect("this one");
    stranger.ask("DELETE", &format!("auth/sessions/{}", current.id)).send().await.refused(404, "not_found");

    here.client.auth().logout().await.expect("signed out");
    here.get("me").send().await.refused(401, "token_revoked");
}

async fn refresh_tokens_are_used_once(kernel: Kernel) {
    let owner = kernel.owner().await;
    let refresh =
        |token: &str, key: &str| kernel.post("auth/refresh", &json!({ "refresh_token": token })).key(key).send();
    let old = owner.tokens.refresh_token.as_str();
    let first = refresh(old, "one").await.expect(200).json();
    let lost_reply = refresh(old, "one").await.expect(200).json();
    assert_eq!(first, lost_reply, "the same key gets the same pair");
    let access = first["access_token"].as_str().expect("a token");
    kernel.get("me").token(access).send().await.expect(200);

    kernel.advance(Duration::from_secs(61)).await;
    refresh(old, "one").await.refused(401, "token_reused");
    kernel.get("me").token(access).send().await.refused(401, "token_revoked");
    refresh(first["refresh_token"].as_str().expect("a token"), "two").await.expect(401);
}

#[tokio::test]
async fn an_unused_session_ends_and_a_used_one_goes_on() {
    let kernel = Kernel::start();
    let (idle, busy) = (kernel.owner().await, kernel.owner().await);
    for _ in 0..3 {
        kernel.advance(Duration::from_hours(11 * 24)).await;
        busy.client.me().get().await.expect("the client renews its tokens");
    }
    let refused = idle.client.me().get().await.expect_err("33 days without a sign of life");
    assert!(matches!(refused, plinth_client::Error::SignedOut { .. }), "{refused}");
}
