//! The same Idempotency-Key is the same request, whatever happens in between.

use plinth_tests::{Kernel, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(an_answer_is_replayed_after_a_restart);

fn team(slug: &str) -> Value {
    json!({ "name": "Team", "slug": slug })
}

async fn an_answer_is_replayed_after_a_restart(mut kernel: Kernel) {
    let owner = kernel.owner().await;
    let create = || owner.post("organizations", &team("first")).key("k1").send();
    let first = create().await.expect(201);
    assert_eq!(first.header("idempotent-replayed"), None);
    let key = || owner.post("api-keys", &json!({ "name": "once", "scopes": ["*"] })).key("k2").send();
    let shown_once = key().await.expect(201).json();
    // An error after the work began is an answer too.
    let taken = || owner.post("organizations", &team("first")).key("k3").send();
    let conflict = taken().await.refused(409, "slug_taken");

    kernel.restart();
    let again = create().await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!((again.json(), again.header("etag")), (first.json(), first.header("etag")));
    assert_eq!(key().await.expect(201).json(), shown_once, "the secret is shown again to whoever has the key");
    assert_eq!(taken().await.refused(409, "slug_taken"), conflict, "the same answer, with the request id of that time");
    let all = owner.get("organizations").send().await.expect(200).json();
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1));

    let other = owner.post("organizations", &team("second")).key("k1").send().await;
    other.refused(422, "idempotency_mismatch");
}

#[tokio::test]
async fn a_key_belongs_to_one_principal_and_one_route() {
    let kernel = Kernel::start();
    let (owner, stranger) = (kernel.owner().await, kernel.other_tenant().await);
    let mine = owner.post("organizations", &team("same")).key("k").send().await.expect(201).json();
    let theirs = stranger.post("organizations", &team("same")).key("k").send().await.expect(201);
    assert_eq!(theirs.header("idempotent-replayed"), None);
    assert_ne!(theirs.json()["id"], mine["id"]);
    owner.post("roles", &json!({ "name": "R", "permissions": ["tenant:read"] })).key("k").send().await.expect(201);
    let program = owner.api_key(&["*"]).await.key;
    let other_credential = kernel.post("organizations", &team("same")).token(program).key("k").send().await;
    assert_eq!(other_credential.header("idempotent-replayed"), None, "another credential is another principal");
}

#[tokio::test]
async fn what_was_refused_before_the_work_began_does_not_use_the_key_up() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let unauthenticated = kernel.post("organizations", &team("late")).key("k").send().await;
    unauthenticated.refused(401, "authentication_needed");
    owner.post("organizations", &json!({ "name": 7 })).key("k").send().await.expect(422);
    owner.post("organizations", &team("late")).key("k").send().await.expect(201);
    for bad in ["", "with space", &"x".repeat(256)] {
        owner.post("organizations", &team("bad")).key(bad).send().await.refused(400, "bad_idempotency_key");
    }
}

#[tokio::test]
async fn requests_at_the_same_moment_make_one_object() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let create = || owner.post("organizations", &team("race")).key("k").send();
    let answers = futures::future::join_all((0..20).map(|_| create())).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(made >= 1);
    for answer in &answers {
        assert!(answer.status == 201 || answer.json()["code"] == "in_progress", "{answer:?}");
    }
    let all = owner.get("organizations").send().await.expect(200).json();
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1));
}
