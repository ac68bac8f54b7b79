//! From nothing to a program that works with a key.

use std::time::Duration;

use plinth_api::{
    auth::{Login, OneTimeToken},
    keys::RotateApiKey,
};
use plinth_client::Credentials;
use plinth_tests::{Kernel, PASSWORD, on_both_databases};
use serde_json::json;

on_both_databases!(the_first_five_minutes, keys_rotate_with_overlap_and_end_when_revoked);

async fn the_first_five_minutes(kernel: Kernel) {
    let newcomer = kernel.newcomer().await;
    let me = newcomer.client.me().get().await.expect("signed in by signing up").body;
    assert_eq!(me.roles, ["owner"]);
    for word in ["tenant:erase", "api_keys:write", "members:read"] {
        assert!(me.permissions.iter().any(|held| held == word), "{word} is not among {:?}", me.permissions);
    }
    assert!(!me.user.expect("a person").email_verified);

    let token = OneTimeToken { token: kernel.mail_token(&newcomer.email, "verify_email").await };
    kernel.client().auth().verify_email(&token).await.expect("the token in the mail is good");
    let again = kernel.client().auth().verify_email(&token).await.expect_err("a one-time token is used once");
    assert_eq!(again.code(), Some("one_time_token_invalid"));
    let me = newcomer.client.me().get().await.expect("still signed in").body;
    assert!(me.user.expect("a person").email_verified);

    let signed_in = kernel.login(&newcomer.email.to_uppercase(), PASSWORD).await;
    assert_eq!(signed_in.tenant, newcomer.tenant);

    let created = signed_in.api_key(&["tenant:read", "organizations:write"]).await;
    assert!(created.key.starts_with("plk_") && created.key.starts_with(&created.api_key.prefix));
    let program = kernel.client().with_credentials(Credentials::api_key(&created.key));
    let me = program.me().get().await.expect("the key works").body;
    assert_eq!(me.api_key, Some(created.api_key.id));
    assert_eq!(me.tenant.expect("the key acts in a tenant").id, newcomer.tenant());
    let made =
        kernel.post("organizations", &json!({ "name": "Team", "slug": "team" })).token(&created.key).send().await;
    assert_eq!(made.expect(201).json()["slug"], "team");
    let beyond = kernel.get("api-keys").token(&created.key).send().await;
    beyond.refused(403, "permission_missing");

    let listed = signed_in.client.api_keys().get(created.api_key.id).await.expect("the key is listed").body;
    assert_eq!(listed.name, created.api_key.name);
    let text = kernel.get(&format!("api-keys/{}", created.api_key.id)).token(signed_in.access()).send().await.text();
    assert!(!text.contains(&created.key), "the key is shown once only: {text}");
}

async fn keys_rotate_with_overlap_and_end_when_revoked(kernel: Kernel) {
    let owner = kernel.owner().await;
    let first = owner.api_key(&["*"]).await;
    let works = async |key: &str| kernel.get("me").token(key).send().await.status;
    assert_eq!(works(&first.key).await, 200);

    let rotation = RotateApiKey { overlap_seconds: Some(3600) };
    let second = owner.client.api_keys().rotate(first.api_key.id, &rotation).await.expect("rotated").body;
    assert_ne!(first.key, second.key);
    assert_eq!((works(&first.key).await, works(&second.key).await), (200, 200), "both work during the overlap");
    kernel.advance(Duration::from_secs(3601)).await;
    assert_eq!((works(&first.key).await, works(&second.key).await), (401, 200), "the old one ends with the overlap");

    // The access token has expired with the moved clock; the client renews it by itself.
    let rotation = RotateApiKey { overlap_seconds: Some(0) };
    let third = owner.client.api_keys().rotate(first.api_key.id, &rotation).await.expect("rotated").body;
    assert_eq!((works(&second.key).await, works(&third.key).await), (401, 200), "no overlap, no delay");

    owner.client.api_keys().revoke(first.api_key.id).await.expect("revoked");
    kernel.get("me").token(&third.key).send().await.refused(401, "token_revoked");
    let revoked = owner.client.api_keys().get(first.api_key.id).await.expect("still listed").body;
    assert!(revoked.revoked_at.is_some());
}

#[tokio::test]
async fn a_key_expires_and_its_use_is_counted() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let soon = kernel.client().operations().clock().await.expect("a clock").body.now + Duration::from_mins(10);
    let request = json!({ "name": "short", "scopes": ["tenant:read"], "expires_at": soon });
    let created = owner.post("api-keys", &request).send().await.expect(201).json();
    let key = created["key"].as_str().expect("a key").to_owned();
    for _ in 0..3 {
        kernel.get("me").token(&key).send().await.expect(200);
    }
    kernel.get("api-keys").token(&key).send().await.expect(403);
    kernel.advance(Duration::from_secs(601)).await;
    kernel.get("me").token(&key).send().await.refused(401, "token_expired");

    let id = created["id"].as_str().expect("an id");
    let usage = owner.client.request(plinth_client::Method::GET, format!("api-keys/{id}/usage"));
    let usage = usage.send::<plinth_api::keys::KeyUsageReport>().await.expect("a report").body;
    let calls =
        |route: &str| usage.rows.iter().filter(|row| row.route.ends_with(route)).map(|row| row.calls).sum::<u64>();
    assert_eq!((calls("/me"), calls("/api-keys")), (3, 1), "{:?}", usage.rows);
    let refused: u64 = usage.rows.iter().map(|row| row.client_errors).sum();
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn a_second_registration_with_the_address_or_the_slug_is_refused() {
    let kernel = Kernel::start();
    let first = kernel.owner().await;
    let slug = first.client.tenants().get(first.tenant()).await.expect("one's own tenant").body.slug;
    let register = async |email: &str, slug: &str| {
        let tenant = json!({ "name": "T", "slug": slug });
        let body = json!({ "email": email, "password": PASSWORD, "name": "N", "tenant": tenant });
        kernel.post("auth/register", &body).send().await
    };
    register(&first.email, "another").await.refused(409, "email_taken");
    register("another@example.com", &slug).await.refused(409, "slug_taken");
    register("another@example.com", "another").await.expect(201);
    let wrong = Login { email: first.email.clone(), password: "wrong".into(), totp: None, tenant: None };
    let refused = kernel.client().auth().login(&wrong).await.expect_err("a wrong password");
    assert_eq!(refused.code(), Some("invalid_credentials"));
}
