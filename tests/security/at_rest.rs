//! What a thief of the disk finds: nothing that opens anything.

use std::{path::Path, process::Command};

use plinth_api::tenants::CreateInvitation;
use plinth_tests::{Kernel, PASSWORD, on_both_databases};
use serde_json::json;

on_both_databases!(no_secret_is_stored_or_logged_in_clear);

/// Secrets by what they are, and some things that must be found, so that the search is known to work.
struct Haul {
    secrets: Vec<(&'static str, String)>,
    findable: Vec<String>,
}

async fn make(kernel: &Kernel) -> Haul {
    let owner = kernel.owner().await;
    let plain = owner.api_key(&["*"]).await;
    let signed = json!({ "name": "signed", "scopes": ["*"], "signed_requests": true });
    let signed = owner.post("api-keys", &signed).key("kept-answer").send().await.expect(201).json();
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let totp = owner.client.auth().enrol_totp().await.expect("enrolled").body.secret;
    let invitation =
        CreateInvitation { email: "guest@example.com".into(), roles: vec!["member".into()], organization: None };
    owner.client.invitations().create(&invitation).await.expect("invited");
    kernel.post("auth/password/forgot", &json!({ "email": owner.email })).send().await.expect(202);
    kernel.post("auth/magic-link", &json!({ "email": owner.email })).send().await.expect(202);
    let renewed = json!({ "refresh_token": kernel.login(&owner.email, PASSWORD).await.tokens.refresh_token });
    let renewed = kernel.post("auth/refresh", &renewed).key("lost-reply").send().await.expect(200).json();
    let wrong = json!({ "email": owner.email, "password": "a wrong guess" });
    kernel.post("auth/login", &wrong).key("guess").send().await.expect(401);
    let secrets = vec![
        ("the password", PASSWORD.to_owned()),
        ("a wrong password", "a wrong guess".to_owned()),
        ("an API key", plain.key.clone()),
        ("an API key whose answer is kept", text(&signed["key"])),
        ("a signing secret", text(&signed["signing_secret"])),
        ("the authenticator app's secret", totp),
        ("the mail's token to verify", kernel.mail_token(&owner.email, "verify_email").await),
        ("the mail's token to reset", kernel.mail_token(&owner.email, "password_reset").await),
        ("the mail's token to sign in", kernel.mail_token(&owner.email, "magic_link").await),
        ("the invitation's token", kernel.mail_token("guest@example.com", "invitation").await),
        ("a refresh token", owner.tokens.refresh_token.clone()),
        ("a renewed refresh token", text(&renewed["refresh_token"])),
        ("an access token", owner.access().to_owned()),
    ];
    Haul { secrets, findable: vec![owner.email.clone(), plain.api_key.prefix.clone()] }
}

async fn no_secret_is_stored_or_logged_in_clear(mut kernel: Kernel) {
    kernel.set_env("PLINTH_LOG__LEVEL", "trace,sqlx=info,hyper=info");
    kernel.restart();
    let haul = make(&kernel).await;
    // While it runs: the database, its log beside it, everything in the folder but the keys themselves.
    let mut places = files(&kernel.data());
    if let Some(database) = kernel.postgres() {
        let dump = Command::new("pg_dump").args(["--inserts", database.url()]).output().expect("pg_dump can be run");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        places.push(("the dump".into(), dump.stdout));
    }
    places.push(("the log".into(), kernel.log().into_bytes()));
    for (what, secret) in &haul.secrets {
        for form in forms(secret) {
            for (place, bytes) in &places {
                assert!(!contains(bytes, &form), "{what} is in {place} in clear");
            }
        }
    }
    for known in &haul.findable {
        assert!(
            places.iter().any(|(_, bytes)| contains(bytes, known.as_bytes())),
            "the search finds nothing at all: {known}"
        );
    }
    let claims = haul.secrets.last().and_then(|(_, token)| token.split('.').nth(1)).expect("a token has claims");
    assert!(!contains(&places.last().expect("the log").1, claims.as_bytes()), "parts of a token are in the log");
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.is_file() && !path.ends_with("master.key"));
    files.map(|path| (path.display().to_string(), std::fs::read(&path).expect("a file"))).collect()
}

/// As text, and as a dump shows bytes.
fn forms(secret: &str) -> [Vec<u8>; 3] {
    let hex = data_encoding::HEXLOWER.encode(secret.as_bytes());
    let base64 = data_encoding::BASE64.encode(secret.as_bytes());
    [secret.as_bytes().to_vec(), hex.into_bytes(), base64.into_bytes()]
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    // Comparing windows is slow in a debug build; the first byte sorts most of them out.
    let first = wanted[0];
    let mut from = 0;
    while let Some(step) = bytes[from..].iter().position(|byte| *byte == first) {
        from += step;
        if bytes[from..].starts_with(wanted) {
            return true;
        }
        from += 1;
    }
    false
}
