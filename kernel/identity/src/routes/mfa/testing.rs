//! An authenticator app, for tests.

use data_encoding::BASE32_NOPAD;
use plinth_testkit::Reply;
use serde_json::{Value, json};
use totp_rs::{Algorithm, TOTP};

use crate::testing::{Actor, PASSWORD, TestApp};

/// What a person has after setting an app up.
pub struct Authenticator {
    pub secret: String,
    /// The code that it was set up with.
    pub used: String,
    pub recovery_codes: Vec<String>,
}

/// Sets an app up, which uses the code of this moment.
pub async fn enrol(test: &TestApp, actor: &Actor) -> Authenticator {
    let enrolment = test.app.post("/api/v1/auth/mfa/totp").token(&actor.token).send().await.expect(201);
    let secret = enrolment["secret"].as_str().expect("a secret").to_owned();
    let used = code(test, &secret);
    let request = json!({ "code": used });
    let codes =
        test.app.post("/api/v1/auth/mfa/totp/confirm").token(&actor.token).json(&request).send().await.expect(200);
    Authenticator { secret, used, recovery_codes: read_codes(&codes) }
}

/// What the app shows now.
pub fn code(test: &TestApp, secret: &str) -> String {
    let secret = BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let app = TOTP::new(Algorithm::SHA1, 6, 1, 30, secret, None, String::new()).expect("an app");
    app.generate(test.database.world.now().seconds() as u64)
}

pub fn read_codes(answer: &Value) -> Vec<String> {
    let codes = answer["recovery_codes"].as_array().expect("codes");
    codes.iter().map(|code| code.as_str().expect("text").to_owned()).collect()
}

pub async fn login(test: &TestApp, actor: &Actor, totp: Option<&str>) -> Reply {
    let mut request = json!({ "email": actor.email, "password": PASSWORD });
    if let Some(totp) = totp {
        request["totp"] = totp.into();
    }
    test.app.post("/api/v1/auth/login").json(&request).send().await
}
