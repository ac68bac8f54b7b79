mod fake;

use std::time::Duration;

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use fake::{CLIENT_ID, CLIENT_SECRET, Fake, Signer};

const NOW: i64 = 1_700_000_000;
const REDIRECT_URI: &str = "https://plinth.example/api/v1/auth/oauth/fake/callback";
const DISCOVERY: &str = "/.well-known/openid-configuration";

fn client() -> reqwest::Client {
    // Another test of the same process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    harden(reqwest::Client::builder()).no_proxy().build().unwrap()
}

fn oidc() -> Oidc {
    Oidc::new(client())
}

fn provider(fake: &Fake) -> Provider {
    Provider {
        issuer: fake.issuer.clone(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(ClientSecret::new(CLIENT_SECRET)),
        scopes: vec!["email".to_owned(), "profile".to_owned()],
        allow_http_loopback: true,
    }
}

fn ann(fake: &Fake) -> Identity {
    Identity {
        issuer: fake.issuer.clone(),
        subject: "subject-1".to_owned(),
        email: Some("ann@example.com".to_owned()),
        email_verified: true,
        name: Some("Ann".to_owned()),
    }
}

async fn begin(oidc: &Oidc, provider: &Provider, now: i64) -> Result<Start, OidcError> {
    oidc.start(provider, REDIRECT_URI, &SystemRandom::new(), now).await
}

fn callback<'a>(code: &'a str, start: &'a Start) -> Callback<'a> {
    let (nonce, pkce_verifier) = (&start.nonce, &start.pkce_verifier);
    Callback { code, iss: None, nonce, pkce_verifier, redirect_uri: REDIRECT_URI }
}

/// A whole sign-in.
async fn sign_in_with(oidc: &Oidc, fake: &Fake, provider: &Provider, now: i64) -> Result<Identity, OidcError> {
    let start = begin(oidc, provider, now).await?;
    let code = fake.authorize(&start.url);
    oidc.finish(provider, &callback(&code, &start), now).await
}

async fn sign_in(fake: &Fake) -> Result<Identity, OidcError> {
    sign_in_with(&oidc(), fake, &provider(fake), NOW).await
}

async fn refusal(fake: &Fake) -> IdTokenError {
    match sign_in(fake).await {
        Err(OidcError::IdToken(error)) => error,
        other => panic!("the ID token should have been refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_person_signs_in_whatever_the_provider_signs_with() {
    let fake = Fake::start().await;
    for signer in [Signer::rsa(), Signer::ec(), Signer::ed()] {
        let alg = signer.alg();
        {
            let mut set = fake.set();
            set.published = vec![signer.jwk("one")];
            set.signer = signer;
        }
        assert_eq!(sign_in(&fake).await.unwrap(), ann(&fake), "{alg}");
    }
    assert_eq!(fake.hits("/userinfo"), 0, "the ID token said it all");
}

#[tokio::test]
async fn the_start_asks_for_what_is_configured_and_never_repeats_itself() {
    let fake = Fake::start().await;
    let (oidc, provider) = (oidc(), provider(&fake));
    let one = begin(&oidc, &provider, NOW).await.unwrap();
    let two = begin(&oidc, &provider, NOW).await.unwrap();
    let url = url::Url::parse(&one.url).unwrap();
    let get = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(get("tenant").as_deref(), Some("a"), "what the endpoint had in its query stays");
    assert_eq!(get("scope").as_deref(), Some("openid email profile"));
    assert_eq!(get("redirect_uri").as_deref(), Some(REDIRECT_URI));
    assert_eq!((get("state"), get("nonce")), (Some(one.state.clone()), Some(one.nonce.clone())));
    assert!(!one.url.contains(&one.pkce_verifier), "the verifier stays here");
    let texts = [&one.state, &one.nonce, &one.pkce_verifier, &two.state, &two.nonce, &two.pkce_verifier];
    assert_eq!(texts.iter().collect::<std::collections::HashSet<_>>().len(), 6);
    assert!(texts.iter().all(|text| text.len() == 43));
}

#[tokio::test]
async fn the_client_authenticates_as_the_provider_wants() {
    let fake = Fake::start().await;
    for (offered, used) in [
        (json!(null), "basic"),
        (json!(["client_secret_post", "client_secret_basic"]), "basic"),
        (json!(["private_key_jwt", "client_secret_post"]), "post"),
    ] {
        fake.set().discovery = json!({ "token_endpoint_auth_methods_supported": offered });
        sign_in(&fake).await.unwrap();
        assert_eq!(fake.set().authentication, used);
    }
    let public = Provider { client_secret: None, ..provider(&fake) };
    sign_in_with(&oidc(), &fake, &public, NOW).await.unwrap();
    assert_eq!(fake.set().authentication, "public");

    fake.set().discovery = json!({ "token_endpoint_auth_methods_supported": ["private_key_jwt"] });
    let error = sign_in(&fake).await.unwrap_err();
    assert!(matches!(&error, OidcError::ClientAuthentication { offered } if offered == "private_key_jwt"), "{error}");
}

#[tokio::test]
async fn claims_of_another_sign_in_are_refused() {
    use IdTokenError::{Audience, AuthorizedParty, Claims, Expired, Nonce, NotYetValid, Subject};
    let fake = Fake::start().await;
    let cases = [
        (json!({ "nonce": "tampered" }), Nonce),
        (json!({ "nonce": null }), Nonce),
        (json!({ "nonce": "" }), Nonce),
        (json!({ "aud": "another client" }), Audience),
        (json!({ "aud": [] }), Audience),
        (json!({ "aud": ["a", "b"] }), Audience),
        (json!({ "aud": [CLIENT_ID, "b"] }), AuthorizedParty),
        (json!({ "aud": [CLIENT_ID, "b"], "azp": "b" }), AuthorizedParty),
        (json!({ "azp": "b" }), AuthorizedParty),
        (json!({ "exp": NOW - 60 }), Expired),
        (json!({ "exp": 0 }), Expired),
        (json!({ "iat": NOW + 61 }), NotYetValid),
        (json!({ "nbf": NOW + 61 }), NotYetValid),
        (json!({ "iss": "https://evil.example" }), IdTokenError::Issuer("https://evil.example".to_owned())),
        (json!({ "sub": "" }), Subject),
        (json!({ "sub": "x".repeat(256) }), Subject),
        (json!({ "sub": null }), Claims),
        (json!({ "exp": null }), Claims),
        (json!({ "iat": null }), Claims),
        (json!({ "aud": null }), Claims),
        (json!({ "iss": null }), Claims),
        (json!({ "exp": "soon" }), Claims),
    ];
    for (claims, expected) in cases {
        fake.set().claims = claims.clone();
        assert_eq!(refusal(&fake).await, expected, "{claims}");
    }
}

#[tokio::test]
async fn honest_variations_of_claims_are_accepted() {
    let fake = Fake::start().await;
    let cases = [
        json!({ "aud": [CLIENT_ID] }),
        json!({ "aud": [CLIENT_ID, "b"], "azp": CLIENT_ID }),
        json!({ "exp": NOW - 59 }),
        json!({ "iat": NOW + 60, "nbf": NOW + 60 }),
        json!({ "exp": NOW as f64 + 300.5, "iat": NOW as f64 - 0.5 }),
        json!({ "email_verified": "true" }),
        json!({ "sub": "subject-1", "groups": ["a"], "extra": { "x": 1 } }),
    ];
    for claims in cases {
        fake.set().claims = claims.clone();
        assert_eq!(sign_in(&fake).await.unwrap(), ann(&fake), "{claims}");
    }
    for unclear in [json!(null), json!(false), json!("false"), json!("yes"), json!(1)] {
        fake.set().claims = json!({ "email_verified": unclear });
        assert!(!sign_in(&fake).await.unwrap().email_verified, "{unclear}");
    }
}

#[tokio::test]
async fn another_key_under_a_known_name_is_a_wrong_signature() {
    let fake = Fake::start().await;
    for other in [Signer::ed(), Signer::rsa(), Signer::ec()] {
        let alg = other.alg();
        {
            let mut set = fake.set();
            let impostor = match alg {
                "EdDSA" => Signer::ed().jwk("one"),
                "ES256" => Signer::ec().jwk("one"),
                _ => {
                    let mut jwk = other.jwk("one");
                    // The same length and another number: its second character is turned round.
                    let n = jwk["n"].as_str().unwrap().to_owned();
                    let turned = if n.as_bytes()[1] == b'A' { "B" } else { "A" };
                    jwk["n"] = json!(format!("{}{turned}{}", &n[..1], &n[2..]));
                    jwk
                }
            };
            set.published = vec![impostor];
            set.signer = other;
        }
        assert_eq!(refusal(&fake).await, IdTokenError::Signature, "{alg}");
    }
}

#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_an_unknown_one_refused() {
    let fake = Fake::start().await;
    let (oidc, provider) = (oidc(), provider(&fake));
    sign_in_with(&oidc, &fake, &provider, NOW).await.unwrap();
    sign_in_with(&oidc, &fake, &provider, NOW).await.unwrap();
    assert_eq!(fake.hits("/jwks"), 1, "kept");
    {
        let mut set = fake.set();
        let next = Signer::ed();
        set.published = vec![next.jwk("two")];
        set.signer = next;
        set.kid = json!("two");
    }
    sign_in_with(&oidc, &fake, &provider, NOW).await.unwrap();
    assert_eq!(fake.hits("/jwks"), 2, "fetched for the new name");
    fake.set().kid = json!("three");
    let error = sign_in_with(&oidc, &fake, &provider, NOW).await.unwrap_err();
    assert!(matches!(&error, OidcError::IdToken(IdTokenError::UnknownKey(kid)) if kid == "three"), "{error}");
    assert_eq!(fake.hits("/jwks"), 3, "fetched once more and not again");
}

#[tokio::test]
async fn a_token_that_names_no_key_is_checked_with_all_of_its_kind() {
    let fake = Fake::start().await;
    fake.set().kid = json!(null);
    assert_eq!(sign_in(&fake).await.unwrap(), ann(&fake));
    let mut others = vec![Signer::ed().jwk("x"), Signer::ec().jwk("y")];
    others.append(&mut fake.set().published);
    fake.set().published = others;
    assert_eq!(sign_in(&fake).await.unwrap(), ann(&fake));
    fake.set().published.pop();
    assert_eq!(refusal(&fake).await, IdTokenError::Signature);
}

#[tokio::test]
async fn keys_of_other_kinds_and_uses_do_not_disturb() {
    let fake = Fake::start().await;
    let odd = [
        json!({ "kty": "EC", "crv": "secp256k1", "kid": "one", "x": "AA", "y": "AA" }),
        json!({ "kty": "future", "kid": "one" }),
        json!({ "kid": "one" }),
        json!("not even a key"),
        json!({ "kty": "oct", "kid": "one", "k": "AAAA" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "!" }),
    ];
    let mut keys: Vec<Value> = odd.to_vec();
    keys.append(&mut fake.set().published);
    fake.set().published = keys;
    assert_eq!(sign_in(&fake).await.unwrap(), ann(&fake));

    for (name, value) in [("use", json!("enc")), ("alg", json!("ES256")), ("crv", json!("Ed448"))] {
        let mut key = fake.set().signer.jwk("one");
        key[name] = value;
        fake.set().published = vec![key];
        assert_eq!(refusal(&fake).await, IdTokenError::UnknownKey("one".to_owned()), "{name}");
    }
}

#[tokio::test]
async fn a_token_that_nobody_signed_or_anybody_could_sign_is_refused() {
    let fake = Fake::start().await;
    let public = fake.set().signer.public();
    for signer in [Signer::Nobody, Signer::Hmac(public), Signer::Hmac(CLIENT_SECRET.as_bytes().to_vec())] {
        let alg = signer.alg();
        fake.set().signer = signer;
        assert_eq!(refusal(&fake).await, IdTokenError::Algorithm(alg.to_owned()));
        fake.set().header = json!({ "alg": "EdDSA" });
        assert_eq!(refusal(&fake).await, IdTokenError::Signature, "{alg} in disguise");
        fake.set().header = json!({});
    }
}

#[tokio::test]
async fn a_malformed_token_is_refused() {
    let fake = Fake::start().await;
    for text in ["", "x", "a.b", "a.b.c", "e30.e30.e30", "..."] {
        fake.set().tokens = json!({ "id_token": text });
        assert_eq!(refusal(&fake).await, IdTokenError::Malformed, "{text}");
    }
    fake.set().tokens = json!({});
    fake.set().header = json!({ "crit": ["b64"] });
    assert_eq!(refusal(&fake).await, IdTokenError::Extension);
    fake.set().tokens = json!({ "id_token": null });
    assert!(matches!(sign_in(&fake).await, Err(OidcError::NoIdToken)));
}

#[tokio::test]
async fn the_userinfo_endpoint_completes_what_the_token_lacks() {
    let fake = Fake::start().await;
    fake.set().claims = json!({ "email": null, "email_verified": null });
    let identity = sign_in(&fake).await.unwrap();
    assert_eq!(identity.email.as_deref(), Some("info@example.com"));
    assert!(identity.email_verified);
    assert_eq!(identity.name.as_deref(), Some("Ann"), "the token's own claim is preferred");

    // The token vouches for no address, and what the endpoint says about its own counts alone.
    fake.set().claims = json!({ "email": "", "email_verified": true, "name": null });
    fake.set().userinfo = json!({ "sub": "subject-1", "email": "info@example.com", "name": "Info" });
    let identity = sign_in(&fake).await.unwrap();
    assert_eq!((identity.email_verified, identity.name.as_deref()), (false, Some("Info")));

    fake.set().userinfo = json!({ "sub": "subject-2", "email": "eve@example.com", "email_verified": true });
    assert!(matches!(sign_in(&fake).await, Err(OidcError::UserinfoSubject)));

    fake.set().userinfo = json!({ "sub": "subject-1" });
    assert_eq!(sign_in(&fake).await.unwrap().email, None);
    fake.set().discovery = json!({ "userinfo_endpoint": null });
    assert_eq!(sign_in(&fake).await.unwrap().email, None);
}

#[tokio::test]
async fn the_issuer_of_the_response_is_checked_where_there_is_one() {
    let fake = Fake::start().await;
    let (oidc, provider) = (oidc(), provider(&fake));
    for (announced, iss, accepted) in [
        (false, None, true),
        (false, Some(fake.issuer.as_str()), true),
        (false, Some("https://evil.example"), false),
        (true, Some(fake.issuer.as_str()), true),
        (true, None, false),
    ] {
        fake.set().discovery = json!({ "authorization_response_iss_parameter_supported": announced });
        // A new hour, so that the changed document is fetched.
        let now = NOW + if announced { 7200 } else { 0 };
        fake.set().claims = json!({ "iat": now, "exp": now + 300 });
        let start = begin(&oidc, &provider, now).await.unwrap();
        let code = fake.authorize(&start.url);
        let callback = Callback { iss, ..callback(&code, &start) };
        let before = fake.hits("/token");
        match oidc.finish(&provider, &callback, now).await {
            Ok(_) => assert!(accepted, "{announced} {iss:?}"),
            Err(error) => {
                assert!(!accepted && matches!(error, OidcError::ResponseIssuer { .. }), "{announced} {iss:?}: {error}");
                assert_eq!(fake.hits("/token"), before, "the code is not brought anywhere");
            }
        }
    }
}

#[tokio::test]
async fn discovery_is_kept_for_an_hour() {
    let fake = Fake::start().await;
    let (oidc, provider) = (oidc(), provider(&fake));
    for (now, hits) in [(NOW, 1), (NOW, 1), (NOW + 3599, 1), (NOW + 3600, 2), (NOW + 3601, 2), (NOW, 3)] {
        begin(&oidc, &provider, now).await.unwrap();
        assert_eq!(fake.hits(DISCOVERY), hits, "{now}");
    }
}

#[tokio::test]
async fn what_one_provider_may_fetch_over_http_is_not_there_for_another() {
    let fake = Fake::start().await;
    let oidc = oidc();
    begin(&oidc, &provider(&fake), NOW).await.unwrap();
    let strict = Provider { allow_http_loopback: false, ..provider(&fake) };
    let error = begin(&oidc, &strict, NOW).await.unwrap_err();
    assert!(matches!(error, OidcError::Insecure { endpoint: Endpoint::Issuer, .. }), "{error}");
}

#[tokio::test]
async fn a_provider_with_another_name_is_refused_with_both_names() {
    let fake = Fake::start().await;
    let slash = Provider { issuer: format!("{}/", fake.issuer), ..provider(&fake) };
    let error = begin(&oidc(), &slash, NOW).await.unwrap_err();
    assert!(matches!(error, OidcError::IssuerMismatch { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("`{}`", fake.issuer)) && text.contains(&format!("`{}`", slash.issuer)), "{text}");
}

#[tokio::test]
async fn addresses_that_are_not_safe_are_refused() {
    let fake = Fake::start().await;
    for issuer in [
        "http://provider.example",
        "http://10.0.0.1",
        "http://localhost.evil.example",
        "ftp://127.0.0.1",
        "file:///etc",
    ] {
        let provider = Provider { issuer: issuer.to_owned(), ..provider(&fake) };
        let error = begin(&oidc(), &provider, NOW).await.unwrap_err();
        assert!(matches!(error, OidcError::Insecure { .. }), "{issuer}: {error}");
    }
    for issuer in [
        "",
        "provider.example",
        "https://user:hunter2@provider.example",
        "https://a.example/?x=1",
        "https://a.example/#x",
    ] {
        let provider = Provider { issuer: issuer.to_owned(), ..provider(&fake) };
        let error = begin(&oidc(), &provider, NOW).await.unwrap_err();
        assert!(matches!(error, OidcError::Address { .. }), "{issuer}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let insecure = "http://provider.example/x";
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
        fake.set().discovery = json!({ name: insecure });
        fake.set().claims = json!({ "email": null });
        let error = sign_in(&fake).await.unwrap_err();
        assert!(matches!(error, OidcError::Insecure { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn answers_that_are_no_answers_say_where_and_what() {
    let fake = Fake::start().await;
    fake.set().claims = json!({ "email": null });
    for path in [DISCOVERY, "/token", "/jwks", "/userinfo"] {
        let replace = |status: u16, headers: Vec<(&'static str, String)>, body: String| {
            fake.set().replaced.insert(path, (status, headers, body));
        };
        replace(500, vec![], "oops".to_owned());
        let error = sign_in(&fake).await.unwrap_err();
        assert!(matches!(error, OidcError::Status { status: 500, .. }), "{path}: {error}");
        assert!(error.to_string().contains(path), "{error}");

        replace(200, vec![], "<html>s3nsitive</html>".to_owned());
        let error = sign_in(&fake).await.unwrap_err();
        assert!(matches!(error, OidcError::NotJson { .. }), "{path}: {error}");
        assert!(!error.to_string().contains("s3nsitive"), "{error}");

        replace(200, vec![], " ".repeat(http::MAX_BODY + 1));
        let error = sign_in(&fake).await.unwrap_err();
        assert!(matches!(error, OidcError::TooLarge { .. }), "{path}: {error}");

        let target = format!("{}/elsewhere", fake.issuer);
        replace(307, vec![("location", target.clone())], String::new());
        let error = sign_in(&fake).await.unwrap_err();
        assert!(matches!(&error, OidcError::Redirected { to, .. } if *to == target), "{path}: {error}");
        assert_eq!(fake.hits("/elsewhere"), 0, "not followed");
        fake.set().replaced.clear();
    }
}

#[tokio::test]
async fn a_redirect_that_a_careless_client_followed_is_not_believed() {
    let fake = Fake::start().await;
    client();
    let careless = reqwest::Client::builder().no_proxy().build().unwrap();
    let target = format!("{}/elsewhere", fake.issuer);
    fake.set().replaced.insert(DISCOVERY, (302, vec![("location", target)], String::new()));
    let error = begin(&Oidc::new(careless), &provider(&fake), NOW).await.unwrap_err();
    assert!(matches!(error, OidcError::Redirected { .. }), "{error}");
}

#[tokio::test]
async fn a_provider_that_stays_silent_or_is_gone_is_given_up() {
    let fake = Fake::start().await;
    let http = http::Http::with_timeout(client(), Duration::from_millis(50));
    let oidc = Oidc { http, cache: discovery::Cache::new() };
    fake.set().silent = vec![DISCOVERY];
    let error = begin(&oidc, &provider(&fake), NOW).await.unwrap_err();
    assert!(matches!(error, OidcError::TimedOut { endpoint: Endpoint::Discovery, .. }), "{error}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gone = Provider { issuer: nobody, ..provider(&fake) };
    let error = begin(&oidc, &gone, NOW).await.unwrap_err();
    assert!(matches!(error, OidcError::Unreachable { endpoint: Endpoint::Discovery, .. }), "{error}");
    assert!(error.to_string().contains("refused"), "the cause is told: {error}");
}

#[tokio::test]
async fn an_endless_answer_without_a_length_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 16]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        // Until the other side hangs up.
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    let fake = Fake::start().await;
    let endless = Provider { issuer, ..provider(&fake) };
    let error = begin(&oidc(), &endless, NOW).await.unwrap_err();
    assert!(matches!(error, OidcError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_refused_code_says_what_to_check() {
    let fake = Fake::start().await;
    let (oidc, provider) = (oidc(), provider(&fake));
    let start = begin(&oidc, &provider, NOW).await.unwrap();
    let other = begin(&oidc, &provider, NOW).await.unwrap();

    let code = fake.authorize(&start.url);
    let stolen = Callback { pkce_verifier: &other.pkce_verifier, ..callback(&code, &start) };
    let error = oidc.finish(&provider, &stolen, NOW).await.unwrap_err().to_string();
    assert!(error.contains("invalid_grant (no [31m such code)"), "{error:?}");
    assert!(error.contains("sign in again") && !error.contains(&code), "{error}");

    let code = fake.authorize(&start.url);
    let elsewhere = Callback { redirect_uri: "https://evil.example/", ..callback(&code, &start) };
    assert!(matches!(oidc.finish(&provider, &elsewhere, NOW).await, Err(OidcError::Refused { .. })));

    let code = fake.authorize(&start.url);
    oidc.finish(&provider, &callback(&code, &start), NOW).await.unwrap();
    let again = oidc.finish(&provider, &callback(&code, &start), NOW).await;
    assert!(matches!(again, Err(OidcError::Refused { .. })), "a code works once");

    let mistyped = Provider { client_secret: Some(ClientSecret::new("wrong")), ..provider.clone() };
    let code = fake.authorize(&start.url);
    let error = oidc.finish(&mistyped, &callback(&code, &start), NOW).await.unwrap_err().to_string();
    assert!(error.contains("invalid_client") && error.contains("check client id, client secret"), "{error}");
    assert!(!error.contains("wrong"), "{error}");
}

#[tokio::test]
async fn a_nonce_of_another_sign_in_is_refused() {
    let fake = Fake::start().await;
    let (oidc, provider) = (oidc(), provider(&fake));
    let mine = begin(&oidc, &provider, NOW).await.unwrap();
    let theirs = begin(&oidc, &provider, NOW).await.unwrap();
    let code = fake.authorize(&mine.url);
    for nonce in [theirs.nonce.as_str(), ""] {
        let code = if nonce.is_empty() { fake.authorize(&mine.url) } else { code.clone() };
        let mixed = Callback { nonce, ..callback(&code, &mine) };
        let error = oidc.finish(&provider, &mixed, NOW).await.unwrap_err();
        assert!(matches!(error, OidcError::IdToken(IdTokenError::Nonce)), "{error}");
    }
}

#[tokio::test]
async fn secrets_are_not_printed() {
    let fake = Fake::start().await;
    let provider = provider(&fake);
    let start = begin(&oidc(), &provider, NOW).await.unwrap();
    let printed = format!("{provider:?} {start:?}");
    assert!(!printed.contains(CLIENT_SECRET) && !printed.contains(&start.state), "{printed}");
}
