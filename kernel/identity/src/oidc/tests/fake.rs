//! A small provider on loopback. It does what an honest one does, checks what a client sends, and lets a test bend single
//! parts of its answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use ring::{digest, hmac};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;
use url::form_urlencoded;

use super::NOW;

pub const CLIENT_ID: &str = "plinth client";
pub const CLIENT_SECRET: &str = "s3cret/with:odd+signs %";

/// An RSA key that exists for these tests only: the crypto library here cannot make one.
const RSA: &str = "\
    MIIEpAIBAAKCAQEAwIyrK2H0zO3z4YpFarB1kEpnWrn/O29kszEp/qPa4puoYCElSJ+dygzFxj56ojKSzbfXNso3HxSwIV2k8bXHfLSmKdLAkP \
    KqvDDfK0GcG8k8SNlhfkrKAPyhpnA1GJJwPeG8cCbaEc2lkkSN4DAapmyVqkOwXiSRqzODRembEUMasOdlONAfVvqq83ruO0OZog6iyhQctKyH \
    Xj/Y3icQpwg5aM3adLpaqCcamNx9RfFjH6STZjbeVGjaesahNAICdnl97lQ1CGZKZzBePMNXodEdkNEW6ZxKE09Z4mLF8C8bOZGMiZSkXEXR8t \
    i33vT8111kbtD4qYLUFMMjx2jPjQIDAQABAoIBAANp2v+mDmrITc+x8wDCXRXa7nx3b1S/Pk1GR1okzyoU8VthlbbKYZ07NGcLJNhq8MWl3Iez \
    oQjeMIXUPQAt+qSK0qag069zezRijL+du6XrH4mjv5c3aIpeRYKyWuFIeKXth7jYmiVrpw5HRIP0xlwsm6CiROZTsU4ULTUYQEVXim8j4LFJtF \
    MDAyQexyw2lq9xj3Vj1gQ2jyeXnAfSCFZxtep3CuH4qO1APk6zBJb9zwScnjC+xnJkrjS5piE3U0IcZjwvSSy56vameVpBsUL1vKGs0Ske7MUk \
    5/mg/OX4mvkqCxbNmOIqYYu+KUvLiPNUWim7uzqceEOsUrTIbsECgYEA/IXHjyDY5TQ9CE9aryyxRzmnPH5K8CqmRcnfYSqqjHsAIiVR+d7L4T \
    n0o7BwAVEcnazu0P49856xdq6LYs5u5g7LcUoXVgcmcTWosongsE1EQ2n8xy2mxtiF0fR1izqyWAKfCh6EV+3lOYrO0vHZD9ss4BRz+Xw033PR \
    PTt08u0CgYEAwzN3INzv24/Ft7D11ukqhteMeakJF/aQCRC88nvDSNTzCtlcqLnf4XzsKad2JvnZENvuBtowscBNKdUA7ATRZlf21SuiCe6cM/ \
    7wS6cM6yAJLZIAAxGwkd38ErM2vnIGfPn7hjwNnQSqU48j7DUDq7hw9/CfZrxDJkjAm39AmyECgYEAxAE+7YysbfQHL40QsYm6LLPGaEEK/7HL \
    D75qwavxZ0sNxnM7VvylObPXfLq1pYAE+ypA0D2XbqKN0rYWgOIE2FNBfDTrOh4gq5zfzX0RxyaiRsVcrGl120AzVs0t85zi00dtlNgtF2cTFn \
    /0m22XcyRHh8K4Zj0PeSYXkjS1SN0CgYEAweGuY3/O5Z/J3IfxxoJVcRVLO9O/aoPF0JtFcPuongCVXqNCu3vTeR4hW8YvPstO5MXth/TUBNli \
    Szh77/FhI2wfiOAL1B2iHKsNdbb4x9lMBG1Ngb7iSB/araA/sa2D8EJDp7KiOuFVZCV6orSNbtSFsF7ZlKtNbws387rTKsECgYBxljwtRL5cvO \
    CPfq4RC3l3yFf3oumx6kkP/t8lrzRd4iyZlf2TR0ykfo5gHn1Z4CYkwXshqLJ0vsVuNn5Yy35QiF1RJ6Pe2xMWlGGCFgT+KelYWXE7frZTeTfV \
    Tczi9VIBQT+JBn0oV4ULnSz5Aq/xJICt28OzgTbLalYjC0pGcw== \
    ";

pub enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    /// Whoever holds the published key can do this.
    Hmac(Vec<u8>),
    Nobody,
}

impl Signer {
    pub fn rsa() -> Self {
        let text: String = RSA.split_whitespace().collect();
        Self::Rsa(RsaKeyPair::from_der(&BASE64.decode(text.as_bytes()).unwrap()).unwrap())
    }

    pub fn ec() -> Self {
        let rng = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &rng).unwrap())
    }

    pub fn ed() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    pub fn alg(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
            Self::Hmac(_) => "HS256",
            Self::Nobody => "none",
        }
    }

    pub fn jwk(&self, kid: &str) -> Value {
        let b64 = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        match self {
            Self::Rsa(key) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "n": b64(&public.n), "e": b64(&public.e) })
            }
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = (b64(&point[1..33]), b64(&point[33..]));
                json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid, "x": x, "y": y })
            }
            Self::Ed(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(key.public_key().as_ref()) })
            }
            Self::Hmac(_) | Self::Nobody => json!({ "kty": "oct", "kid": kid, "k": "AAAA" }),
        }
    }

    pub fn public(&self) -> Vec<u8> {
        match self {
            Self::Ed(key) => key.public_key().as_ref().to_vec(),
            _ => panic!("only asked of one kind"),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(key) => key.sign(&rng, message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Hmac(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec(),
            Self::Nobody => Vec::new(),
        }
    }
}

/// Status, headers and body.
pub type Replacement = (u16, Vec<(&'static str, String)>, String);

/// What the provider does; tests change it at will.
pub struct Behaviour {
    pub signer: Signer,
    /// `null` leaves the key's name out of the header.
    pub kid: Value,
    pub published: Vec<Value>,
    /// Merged over the honest answers; `null` removes a member.
    pub discovery: Value,
    pub header: Value,
    pub claims: Value,
    pub tokens: Value,
    pub userinfo: Value,
    /// Answers that replace the honest ones, by path.
    pub replaced: HashMap<&'static str, Replacement>,
    /// Paths that never answer.
    pub silent: Vec<&'static str>,
    /// How often each path was asked.
    pub hits: HashMap<String, usize>,
    /// How the client authenticated at the token endpoint last.
    pub authentication: &'static str,
    codes: HashMap<String, Grant>,
}

struct Grant {
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

#[derive(Clone)]
pub struct Fake {
    pub issuer: String,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let signer = Signer::ed();
        let behaviour = Behaviour {
            published: vec![signer.jwk("one")],
            signer,
            kid: json!("one"),
            discovery: json!({}),
            header: json!({}),
            claims: json!({}),
            tokens: json!({}),
            userinfo: json!({ "sub": "subject-1", "email": "info@example.com", "email_verified": true, "name": "Info" }),
            replaced: HashMap::new(),
            silent: Vec::new(),
            hits: HashMap::new(),
            authentication: "not yet",
            codes: HashMap::new(),
        };
        let fake = Self { issuer, behaviour: Arc::new(Mutex::new(behaviour)) };
        let app = Router::new().fallback(serve).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        fake
    }

    pub fn set(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap()
    }

    pub fn hits(&self, path: &str) -> usize {
        self.set().hits.get(path).copied().unwrap_or(0)
    }

    /// A person agrees in the browser at `address`; gives the code.
    pub fn authorize(&self, address: &str) -> String {
        let url = Url::parse(address).unwrap();
        assert!(address.starts_with(&format!("{}/authorize?", self.issuer)), "{address}");
        let get = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        assert_eq!((get("response_type").as_str(), get("client_id").as_str()), ("code", CLIENT_ID));
        assert_eq!(get("code_challenge_method"), "S256");
        assert!(get("scope").split(' ').any(|scope| scope == "openid"));
        let grant = Grant { nonce: get("nonce"), challenge: get("code_challenge"), redirect_uri: get("redirect_uri") };
        let code = format!("code-{}", get("state"));
        self.set().codes.insert(code.clone(), grant);
        code
    }
}

async fn serve(State(fake): State<Fake>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    let (silent, replaced) = {
        let mut behaviour = fake.set();
        *behaviour.hits.entry(path.clone()).or_default() += 1;
        (behaviour.silent.contains(&path.as_str()), behaviour.replaced.get(path.as_str()).cloned())
    };
    if silent {
        std::future::pending::<()>().await;
    }
    if let Some((status, headers, body)) = replaced {
        let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        return response;
    }
    match path.as_str() {
        "/.well-known/openid-configuration" => answer(200, &fake.discovery()),
        "/jwks" => answer(200, &json!({ "keys": fake.set().published })),
        "/token" => fake.token(&headers, &body),
        "/userinfo" => match headers.get("authorization") {
            Some(value) if value == "Bearer access-1" => answer(200, &fake.set().userinfo),
            _ => answer(401, &json!({})),
        },
        _ => answer(404, &json!({})),
    }
}

impl Fake {
    fn discovery(&self) -> Value {
        let issuer = &self.issuer;
        let honest = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize?tenant=a"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "response_types_supported": ["code"],
        });
        merged(honest, &self.set().discovery)
    }

    fn token(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let mut behaviour = self.set();
        let Some(authentication) = authenticate(headers, &form) else {
            return answer(401, &json!({ "error": "invalid_client" }));
        };
        behaviour.authentication = authentication;
        let grant = form.get("code").and_then(|code| behaviour.codes.remove(code));
        let Some(grant) = grant.filter(|grant| proves(grant, &form)) else {
            return answer(400, &json!({ "error": "invalid_grant", "error_description": "no\u{1b}[31m such code" }));
        };
        let claims = json!({
            "iss": self.issuer, "sub": "subject-1", "aud": CLIENT_ID, "nonce": grant.nonce,
            "iat": NOW, "exp": NOW + 300,
            "email": "ann@example.com", "email_verified": true, "name": "Ann",
        });
        let header = json!({ "alg": behaviour.signer.alg(), "kid": behaviour.kid, "typ": "JWT" });
        let header = merged(header, &merged(json!({}), &behaviour.header));
        let id_token = jwt(&behaviour.signer, &header, &merged(claims, &behaviour.claims));
        let tokens = json!({ "id_token": id_token, "access_token": "access-1", "token_type": "Bearer" });
        answer(200, &merged(tokens, &behaviour.tokens))
    }
}

fn proves(grant: &Grant, form: &HashMap<String, String>) -> bool {
    let verifier = form.get("code_verifier").map(String::as_str).unwrap_or_default();
    let challenge = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref());
    form.get("grant_type").is_some_and(|kind| kind == "authorization_code")
        && form.get("redirect_uri") == Some(&grant.redirect_uri)
        && (43..=128).contains(&verifier.len())
        && challenge == grant.challenge
}

fn authenticate(headers: &HeaderMap, form: &HashMap<String, String>) -> Option<&'static str> {
    if let Some(basic) = headers.get("authorization") {
        let text = basic.to_str().unwrap().strip_prefix("Basic ")?;
        let text = String::from_utf8(BASE64.decode(text.as_bytes()).unwrap()).unwrap();
        let (user, password) = text.split_once(':')?;
        let decode = |text: &str| form_urlencoded::parse(text.as_bytes()).next().unwrap().0.into_owned();
        return (decode(user) == CLIENT_ID && decode(password) == CLIENT_SECRET && !form.contains_key("client_id"))
            .then_some("basic");
    }
    if form.get("client_id")? != CLIENT_ID {
        return None;
    }
    match form.get("client_secret") {
        Some(secret) => (secret == CLIENT_SECRET).then_some("post"),
        None => Some("public"),
    }
}

pub fn jwt(signer: &Signer, header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = BASE64URL_NOPAD.encode(&signer.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn answer(status: u16, body: &Value) -> Response {
    let headers = [("content-type", "application/json")];
    (StatusCode::from_u16(status).unwrap(), headers, body.to_string()).into_response()
}

/// Also drops members that are `null` in the end.
fn merged(mut base: Value, patch: &Value) -> Value {
    let members = base.as_object_mut().unwrap();
    for (name, value) in patch.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    base
}
