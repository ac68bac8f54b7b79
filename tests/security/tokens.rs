//! Tokens that were forged, bent, stolen, mixed up or kept for too long.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use plinth_tests::{Actor, Kernel};
use ring::{
    hmac, rand,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};

/// A token taken apart.
struct Parts {
    header: Value,
    claims: Value,
    signature: Vec<u8>,
}

impl Parts {
    fn of(token: &str) -> Self {
        let parts: Vec<Vec<u8>> =
            token.split('.').map(|part| BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64url")).collect();
        let json = |bytes: &[u8]| serde_json::from_slice(bytes).expect("JSON");
        Self { header: json(&parts[0]), claims: json(&parts[1]), signature: parts[2].clone() }
    }

    fn signed_part(header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        format!("{}.{}", encode(header), encode(claims))
    }

    /// With other parts and the old signature.
    fn with(&self, header: &Value, claims: &Value) -> String {
        format!("{}.{}", Self::signed_part(header, claims), BASE64URL_NOPAD.encode(&self.signature))
    }

    fn signed(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let part = Self::signed_part(header, claims);
        let signature = sign(part.as_bytes());
        format!("{part}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

fn changed(value: &Value, name: &str, to: impl Into<Value>) -> Value {
    let mut changed = value.clone();
    changed[name] = to.into();
    changed
}

async fn refused(kernel: &Kernel, token: &str) {
    let answer = kernel.get("me").token(token).send().await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (401, Some("token_invalid")),
        "{token}: {}",
        answer.text()
    );
}

#[tokio::test]
async fn a_token_that_was_changed_is_no_token() {
    let kernel = Kernel::start();
    let (owner, victim) = (kernel.owner().await, kernel.other_tenant().await);
    let (own, other) = (Parts::of(owner.access()), Parts::of(victim.access()));
    let Parts { header, claims, .. } = &own;
    for (name, value) in claims.as_object().expect("claims") {
        let taken = other.claims[name.as_str()].clone();
        let forged = if taken == *value { json!("something else") } else { taken };
        refused(&kernel, &own.with(header, &changed(claims, name, forged))).await;
    }
    refused(&kernel, &own.with(header, &changed(claims, "exp", 4_000_000_000_u64))).await;
    refused(&kernel, &own.with(header, &changed(claims, "roles", json!(["owner"])))).await;
    // Another's claims under one's own signature, and the other way round.
    refused(&kernel, &own.with(header, &other.claims)).await;
    refused(&kernel, &other.with(header, claims)).await;
    for place in [0, 31, 63] {
        let mut signature = own.signature.clone();
        signature[place] ^= 1;
        refused(&kernel, &Parts { signature, ..Parts::of(owner.access()) }.with(header, claims)).await;
    }
    owner.get("me").send().await.expect(200);
}

#[tokio::test]
async fn the_algorithm_is_not_negotiated() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let Parts { header, claims, .. } = Parts::of(owner.access());
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let header = changed(&header, "alg", none);
        refused(&kernel, &Parts::signed(&header, &claims, |_| Vec::new())).await;
        refused(&kernel, &format!("{}.", Parts::signed_part(&header, &claims))).await;
        refused(&kernel, &Parts::signed_part(&header, &claims)).await;
    }
    // The public key, which anybody can read, as the secret of an HMAC; in every form it is written in.
    let jwk = kernel.client().auth().jwks().await.expect("published").body.keys.remove(0);
    let x = jwk["x"].as_str().expect("x").to_owned();
    let public = BASE64URL_NOPAD.decode(x.as_bytes()).expect("base64url");
    for secret in [public, x.into_bytes(), jwk.to_string().into_bytes()] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        for alg in ["HS256", "EdDSA"] {
            let header = changed(&header, "alg", alg);
            refused(&kernel, &Parts::signed(&header, &claims, |part| hmac::sign(&key, part).as_ref().to_vec())).await;
        }
    }
}

#[tokio::test]
async fn only_the_kernels_own_keys_sign() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let Parts { header, claims, .. } = Parts::of(owner.access());
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&rand::SystemRandom::new()).expect("randomness");
    let mine = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key");
    let sign = |part: &[u8]| mine.sign(part).as_ref().to_vec();
    let x = BASE64URL_NOPAD.encode(mine.public_key().as_ref());
    let own_jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "mine", "alg": "EdDSA" });
    let headers = [
        header.clone(),
        changed(&header, "kid", "mine"),
        changed(&header, "kid", "../../../../dev/null"),
        changed(&header, "kid", "' or 1=1 --"),
        changed(&header, "kid", Value::Null),
        changed(&header, "kid", 7),
        changed(&header, "jwk", own_jwk.clone()),
        changed(&changed(&header, "jwk", own_jwk), "kid", "mine"),
        changed(&header, "jku", "https://evil.example/jwks.json"),
        changed(&header, "x5u", "https://evil.example/cert.pem"),
        changed(&header, "crit", json!(["exp"])),
        changed(&header, "typ", "JWT"),
        json!({ "alg": "EdDSA" }),
        json!([]),
    ];
    for header in headers {
        refused(&kernel, &Parts::signed(&header, &claims, sign)).await;
    }
    // A good token of another platform is none here.
    let elsewhere = Kernel::start();
    refused(&elsewhere, owner.access()).await;
}

#[tokio::test]
async fn what_is_no_token_at_all_is_refused_in_the_same_way() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let key = owner.api_key(&["*"]).await.key;
    let last = key.chars().last().expect("a letter");
    let mistyped = format!("{}{}", &key[..key.len() - 1], if last == '0' { '1' } else { '0' });
    let truncated = &key[..key.len() - 1];
    let long = "a".repeat(20_000);
    for token in ["x", "a.b.c", "..", "a.b.c.d", "plk_", "null", truncated, &mistyped, &key.to_uppercase(), &long] {
        refused(&kernel, token).await;
    }
    for value in ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "bearerx", owner.access(), "Bearer\ta"] {
        kernel.get("me").header("authorization", value).send().await.refused(401, "token_invalid");
    }
    kernel.get("me").header("authorization", format!("BEARER  {key} ")).send().await.expect(200);
    // Where a proxy would write it into its log, a token counts for nothing.
    let in_query = kernel.get(&format!("me?access_token={}&token={key}", owner.access())).send().await;
    in_query.refused(401, "authentication_needed");
    kernel.get("me").header("x-api-key", &key).send().await.refused(401, "authentication_needed");
}

#[tokio::test]
async fn a_token_of_one_kind_is_none_of_another() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    refused(&kernel, &owner.tokens.refresh_token).await;
    let refresh = async |token: &str| kernel.post("auth/refresh", &json!({ "refresh_token": token })).send().await;
    refresh(owner.access()).await.refused(401, "refresh_invalid");
    let key = owner.api_key(&["*"]).await.key;
    refresh(&key).await.refused(401, "refresh_invalid");
    kernel.post("auth/password/forgot", &json!({ "email": owner.email })).send().await.expect(202);
    let mail = kernel.mail_token(&owner.email, "password_reset").await;
    refused(&kernel, &mail).await;
    refresh(&mail).await.refused(401, "refresh_invalid");
    kernel.post("auth/verify-email", &json!({ "token": mail })).send().await.refused(422, "one_time_token_invalid");
    for token in [owner.access(), owner.tokens.refresh_token.as_str(), key.as_str()] {
        let reset = json!({ "token": token, "password": "another good password" });
        kernel.post("auth/password/reset", &reset).send().await.refused(422, "one_time_token_invalid");
    }
    refresh(&owner.tokens.refresh_token).await.expect(200);
}

#[tokio::test]
async fn tokens_end_with_their_time() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    owner.get("me").send().await.expect(200);
    kernel.advance(Duration::from_mins(9)).await;
    owner.get("me").send().await.expect(200);
    kernel.advance(Duration::from_mins(1)).await;
    owner.get("me").send().await.refused(401, "token_expired");
    let fresh = kernel.post("auth/refresh", &json!({ "refresh_token": owner.tokens.refresh_token })).send().await;
    let fresh = fresh.expect(200).json();
    kernel.get("me").token(fresh["access_token"].as_str().expect("a token")).send().await.expect(200);
    kernel.advance(Duration::from_hours(31 * 24)).await;
    let late = json!({ "refresh_token": fresh["refresh_token"] });
    kernel.post("auth/refresh", &late).send().await.refused(401, "refresh_invalid");
}

/// Keys that sign are replaced in time; what they signed before stays good until it expires.
#[tokio::test]
async fn signing_keys_rotate_without_a_gap() {
    let kernel = Kernel::setup().env("PLINTH_IDENTITY__ACCESS_TOKEN_MINUTES", "1440").start();
    let before = kernel.owner().await;
    let kid = |actor: &Actor| Parts::of(actor.access()).header["kid"].as_str().expect("a kid").to_owned();
    kernel.advance(Duration::from_hours(30 * 24 - 1)).await;
    let last = kernel.login(&before.email, plinth_tests::PASSWORD).await;
    assert_eq!(kid(&last), kid(&before));
    kernel.advance(Duration::from_hours(2)).await;
    let next = kernel.login(&before.email, plinth_tests::PASSWORD).await;
    assert_ne!(kid(&next), kid(&last), "thirty days are over");
    last.get("me").send().await.expect(200);
    next.get("me").send().await.expect(200);
    let published: Vec<Value> = kernel.client().auth().jwks().await.expect("published").body.keys;
    for actor in [&last, &next] {
        assert!(published.iter().any(|key| key["kid"] == kid(actor)), "{published:?}");
    }
}

#[tokio::test]
async fn keys_that_demand_signatures_take_nothing_else() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let request = json!({ "name": "signed", "scopes": ["*"], "signed_requests": true });
    let made = owner.post("api-keys", &request).send().await.expect(201).json();
    let key = made["key"].as_str().expect("a key");
    let secret = made["signing_secret"].as_str().expect("a secret").to_owned();
    kernel.get("me").token(key).send().await.refused(401, "signature_needed");
    for nonsense in ["", "t=1", "v1=00", "t=x,v1=y", "t=1,v1=00", "t=99999999999999999999,v1=00"] {
        let status = kernel.get("me").token(key).header("plinth-signature", nonsense).send().await;
        assert_eq!(status.status, 401, "{nonsense}: {}", status.text());
    }
    let credentials = plinth_client::Credentials::ApiKey { key: key.into(), signing_secret: Some(secret) };
    let program = kernel.client().with_credentials(credentials);
    program.me().get().await.expect("a signed request counts");
    let body = plinth_api::tenants::CreateOrganization { name: "S".into(), slug: "signed".into() };
    program.organizations().create(&body).await.expect("bodies are signed as well");
    kernel.advance(Duration::from_mins(6)).await;
    let late = program.me().get().await.expect_err("the kernel's clock is six minutes ahead of the program's");
    assert_eq!(late.code(), Some("signature_invalid"));
}
