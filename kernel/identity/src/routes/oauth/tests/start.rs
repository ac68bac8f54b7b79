//! What can be begun, and how often it comes back.

use serde_json::json;

use super::{NOBODY, REDIRECT_URI, rooms, rooms_with};

#[tokio::test]
async fn providers_are_listed_without_their_secrets() {
    for room in rooms().await {
        let list = room.test.app.get("/api/v1/auth/oauth").send().await.expect(200);
        let shown = json!([{ "name": "fake", "display_name": "Fake" }, { "name": "other", "display_name": "Other" }]);
        assert_eq!(list["data"], shown);
    }
}

#[tokio::test]
async fn a_start_is_refused_with_all_that_is_wrong_with_it() {
    for room in rooms().await {
        let request = json!({ "redirect_uri": "https://evil.example/", "tenant": { "name": "", "slug": "No" } });
        let problem = room.post("fake/start", NOBODY, &request).await.refused(422, "invalid");
        let pointers: Vec<_> =
            problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
        assert_eq!(pointers, ["/redirect_uri", "/tenant/name", "/tenant/slug"]);
        let unknown = json!({ "redirect_uri": REDIRECT_URI, "tennant": {} });
        room.post("fake/start", NOBODY, &unknown).await.refused(422, "invalid");
        let request = json!({ "redirect_uri": REDIRECT_URI });
        room.post("nobody/start", NOBODY, &request).await.refused(404, "not_found");
        room.post("fake/start", "garbage", &request).await.refused(401, "token_expired");
        assert_eq!(room.fake.hits("/.well-known/openid-configuration"), 0, "nothing was asked of the provider");
    }
}

#[tokio::test]
async fn a_page_under_the_public_address_may_be_come_back_to() {
    for room in rooms_with(|config| config.public_url = "https://plinth.example/app".into()).await {
        let request = json!({ "redirect_uri": "https://plinth.example/signed-in" });
        let started = room.post("fake/start", NOBODY, &request).await.expect(200);
        let address = started["authorization_url"].as_str().unwrap();
        assert!(address.contains("redirect_uri=https%3A%2F%2Fplinth.example%2Fsigned-in"), "{address}");
    }
}

#[tokio::test]
async fn a_state_works_once_at_its_provider_for_ten_minutes() {
    for room in rooms().await {
        room.person("s1", "ann@example.com", true);
        let asked = room.fake.hits("/token");
        let back = room.start(NOBODY, None).await;
        room.post("other/callback", NOBODY, &back).await.refused(401, "oauth_state_invalid");
        room.callback(NOBODY, &back).await.expect(200);
        room.callback(NOBODY, &back).await.refused(401, "oauth_state_invalid");
        let made_up = json!({ "state": "made up", "code": back["code"] });
        room.callback(NOBODY, &made_up).await.refused(401, "oauth_state_invalid");

        let late = room.start(NOBODY, None).await;
        room.test.advance(601).await;
        room.callback(NOBODY, &late).await.refused(401, "oauth_state_invalid");
        assert_eq!(room.fake.hits("/token"), asked + 1, "a callback that is refused does not reach the provider");
    }
}

#[tokio::test]
async fn a_repeated_callback_under_one_key_is_one_sign_in() {
    for room in rooms().await {
        room.person("s1", "ann@example.com", true);
        let back = room.start(NOBODY, None).await;
        let send = || {
            room.test.app.post("/api/v1/auth/oauth/fake/callback").json(&back).header("idempotency-key", "k1").send()
        };
        let (first, second) = (send().await, send().await);
        assert_eq!(second.header("idempotent-replayed"), Some("true"));
        assert_eq!(first.expect(200), second.expect(200));
    }
}

#[tokio::test]
async fn what_a_provider_gets_wrong_is_told_apart_from_what_it_cannot_do() {
    for room in rooms().await {
        room.person("s1", "ann@example.com", true);
        let mut wrong_code = room.start(NOBODY, None).await;
        wrong_code["code"] = json!("another");
        room.callback(NOBODY, &wrong_code).await.refused(401, "provider_refused");

        let mut mixed_up = room.start(NOBODY, None).await;
        mixed_up["iss"] = json!("https://evil.example");
        room.callback(NOBODY, &mixed_up).await.refused(401, "provider_refused");

        let honest = room.fake.set().claims.clone();
        let other_nonce = room.start(NOBODY, None).await;
        room.fake.set().claims["nonce"] = json!("another");
        room.callback(NOBODY, &other_nonce).await.refused(401, "provider_refused");
        room.fake.set().claims = honest;

        let back = room.start(NOBODY, None).await;
        room.fake.set().replaced.insert("/token", (500, Vec::new(), "down".into()));
        let problem = room.callback(NOBODY, &back).await.refused(503, "provider_unavailable");
        assert_eq!(problem["detail"], json!(null), "what is wrong at the provider is for the operator's log");
        room.fake.set().replaced.clear();
        room.sign_in().await.expect(200);
    }
}
