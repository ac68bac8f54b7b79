//! Tests of keys that demand signed requests, through the front door.

use plinth_gateway::signature::{HEADER, SignedRequest, TOLERANCE_SECONDS, sign};
use plinth_testkit::Reply;
use serde_json::json;

use super::testing::{Key, key};
use crate::testing::{TestApp, apps};

const PATH: &str = "/api/v1/roles";

async fn signed_key(test: &TestApp) -> Key {
    let owner = test.owner().await;
    key(test, &owner.token, json!({ "scopes": ["*"], "signed_requests": true })).await
}

fn signature(test: &TestApp, secret: &str, method: &str, path_and_query: &str, body: &str) -> String {
    let signed = SignedRequest { method, path_and_query, body: body.as_bytes() };
    sign(secret.as_bytes(), &signed, test.database.world.now().seconds())
}

/// A list of roles with this signature.
async fn list(test: &TestApp, key: &Key, signature: Option<&str>) -> Reply {
    let mut call = test.app.get(PATH).token(&key.text);
    if let Some(signature) = signature {
        call = call.header(HEADER, signature);
    }
    call.send().await
}

fn secret(key: &Key) -> &str {
    key.signing_secret.as_deref().expect("a key that signs has a secret")
}

#[tokio::test]
async fn a_request_needs_a_signature_and_the_right_one() {
    for test in apps().await {
        let key = signed_key(&test).await;
        list(&test, &key, None).await.refused(401, "signature_needed");
        list(&test, &key, Some("nonsense")).await.refused(401, "signature_invalid");
        let right = signature(&test, secret(&key), "GET", PATH, "");
        // Twice: what is remembered of a key does not make its signature needless.
        for _ in 0..2 {
            list(&test, &key, Some(&right)).await.expect(200);
            list(&test, &key, None).await.refused(401, "signature_needed");
        }
        let other = signed_key(&test).await;
        for wrong in [
            signature(&test, secret(&other), "GET", PATH, ""),
            signature(&test, secret(&key), "POST", PATH, ""),
            signature(&test, secret(&key), "GET", "/api/v1/users", ""),
            signature(&test, secret(&key), "GET", "/api/v1/roles?limit=1", ""),
        ] {
            list(&test, &key, Some(&wrong)).await.refused(401, "signature_invalid");
        }
    }
}

#[tokio::test]
async fn an_old_signature_is_refused() {
    for test in apps().await {
        let key = signed_key(&test).await;
        let right = signature(&test, secret(&key), "GET", PATH, "");
        list(&test, &key, Some(&right)).await.expect(200);
        test.advance(TOLERANCE_SECONDS as u64 + 2).await;
        list(&test, &key, Some(&right)).await.refused(401, "signature_invalid");
        let fresh = signature(&test, secret(&key), "GET", PATH, "");
        list(&test, &key, Some(&fresh)).await.expect(200);
    }
}

#[tokio::test]
async fn a_body_that_was_tampered_with_is_refused() {
    for test in apps().await {
        let key = signed_key(&test).await;
        let body = json!({ "name": "Auditor", "permissions": ["roles:read"] });
        let signature = signature(&test, secret(&key), "POST", PATH, &body.to_string());
        let send = |body: &serde_json::Value| {
            test.app.post(PATH).token(&key.text).header(HEADER, &signature).json(body).send()
        };
        let tampered = json!({ "name": "Auditor", "permissions": ["roles:*"] });
        send(&tampered).await.refused(401, "signature_invalid");
        send(&body).await.expect(201);
    }
}

#[tokio::test]
async fn both_texts_sign_with_one_secret_until_a_rotation_leaves_no_overlap() {
    for test in apps().await {
        let owner = test.owner().await;
        let old = key(&test, &owner.token, json!({ "scopes": ["*"], "signed_requests": true })).await;
        let rotate = |overlap: u32| {
            let call = test.app.post(&format!("/api/v1/api-keys/{}/rotate", old.id)).token(&owner.token);
            call.json(&json!({ "overlap_seconds": overlap })).send()
        };
        let new = Key::of(&rotate(600).await.expect(200));
        assert_eq!(new.signing_secret, None, "the secret stays");
        let with_old_secret = signature(&test, secret(&old), "GET", PATH, "");
        for key in [&old, &new] {
            list(&test, key, Some(&with_old_secret)).await.expect(200);
            list(&test, key, None).await.refused(401, "signature_needed");
        }
        let last = Key::of(&rotate(0).await.expect(200));
        let with_new_secret = signature(&test, secret(&last), "GET", PATH, "");
        list(&test, &last, Some(&with_old_secret)).await.refused(401, "signature_invalid");
        list(&test, &last, Some(&with_new_secret)).await.expect(200);
        list(&test, &new, Some(&with_new_secret)).await.refused(401, "token_invalid");
    }
}
