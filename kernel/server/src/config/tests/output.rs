//! What is printed is complete, readable by programs, and without secrets.

use serde_json::Value;

use super::super::schema::KEYS;
use super::super::{Loaded, render_check, render_print};
use super::{from_env, from_flags};

const PASSWORD: &str = "hunter2";

fn with_secrets() -> Loaded {
    from_env(&[
        ("PLINTH_STORE__URL", "postgres://app:hunter2@db/plinth?sslmode=require"),
        ("PLINTH_STORE__MIGRATION_URL", "postgres://db/plinth?user=owner&password=hunter2"),
        ("PLINTH_IDENTITY__PROVIDERS__P__ISSUER", "https://i.example"),
        ("PLINTH_IDENTITY__PROVIDERS__P__CLIENT_ID", "c"),
        ("PLINTH_IDENTITY__PROVIDERS__P__CLIENT_SECRET", PASSWORD),
    ])
    .expect("valid")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("the output is JSON")
}

#[test]
fn print_shows_every_key_with_value_and_origin() {
    let loaded = with_secrets();
    let text = render_print(&loaded, false);
    for key in KEYS {
        let start = format!("{} = ", key.pattern.replace('*', "p"));
        assert_eq!(text.lines().filter(|line| line.starts_with(&start)).count(), 1, "{start}");
    }
    assert_eq!(text.lines().count(), KEYS.len());
    let drain = text.lines().find(|line| line.starts_with("server.drain_seconds")).expect("shown");
    assert!(drain.starts_with("server.drain_seconds = 20 "), "{drain}");
    assert!(drain.ends_with(" # default"), "{drain}");
    let client = text.lines().find(|line| line.contains(".client_id")).expect("shown");
    assert!(client.ends_with("# variable PLINTH_IDENTITY__PROVIDERS__P__CLIENT_ID"), "{client}");
}

#[test]
fn printed_text_is_toml_with_the_same_values() {
    let loaded = with_secrets();
    let table: toml::Table = render_print(&loaded, false).parse().expect("the output is TOML");
    assert_eq!(table["server"]["listen"].as_str(), Some("127.0.0.1:8080"));
    assert_eq!(table["identity"]["providers"]["p"]["scopes"][0].as_str(), Some("openid"));
    assert_eq!(table["limits"]["address_burst"].as_integer(), Some(200));
}

#[test]
fn secrets_are_masked_everywhere() {
    let loaded = with_secrets();
    let debug = format!("{loaded:?} {:?}", loaded.config.store.database("/d".as_ref()));
    let result = Ok(loaded);
    let Ok(loaded) = &result else { return };
    let print = render_print(loaded, false);
    let shown =
        [debug, render_print(loaded, true), render_check(&result, false), render_check(&result, true), print.clone()];
    for text in shown {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    // Only the secret part is hidden.
    assert!(print.contains("store.url = \"postgres://app:********@db/plinth?sslmode=require\""), "{print}");
    assert!(print.contains("\"postgres://db/plinth?user=owner&password=********\""), "{print}");
    assert!(print.contains("identity.providers.p.client_secret = \"********\""), "{print}");
    assert_eq!(loaded.config.identity.providers["p"].client_secret.expose(), PASSWORD);
}

#[test]
fn problems_do_not_show_secrets() {
    let file = super::File::new(
        "[store]\nurl = [\"hunter2\"]\nmigration_url = \"mysql://u:hunter2@h/d\"\npasword = \"hunter2\"\n\
         [identity.providers.p]\nissuer = \"https://i.example\"\nclient_id = \"c\"\nclient_secret = [\"hunter2\"]\n",
    );
    let result = super::from_path(&file.0);
    assert_eq!(result.as_ref().err().map(|error| error.problems.len()), Some(4));
    for text in [render_check(&result, false), render_check(&result, true), format!("{result:?}")] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    let numeric = super::from_file("store.url = 471100815");
    assert!(!render_check(&numeric, true).contains("471100815"));
    for url in ["postgres://u:hunter2@h:x/d", "postgres://u:a#hunter2@h/d", "hunter2"] {
        let result = from_flags(&[("store.url", url)]);
        assert!(result.is_err());
        assert!(!render_check(&result, false).contains(PASSWORD), "{url}");
    }
}

#[test]
fn print_as_json_holds_values_origins_and_warnings() {
    let loaded = from_env(&[("PLINTH_SERVER__LISTEN", "0.0.0.0:80")]).expect("valid");
    let output = json(&render_print(&loaded, true));
    let listen = &output["settings"]["server.listen"];
    assert_eq!(listen["value"], "0.0.0.0:80");
    assert_eq!(listen["origin"], "variable PLINTH_SERVER__LISTEN");
    assert_eq!(output["settings"]["server.cors.origins"]["value"], Value::Array(Vec::new()));
    assert_eq!(output["warnings"].as_array().map(Vec::len), Some(1));
}

#[test]
fn check_of_a_valid_configuration_shows_what_is_set() {
    let defaults = render_check(&from_env(&[]), false);
    assert_eq!(defaults, "the configuration is valid; every key has its default\n");
    let result = from_env(&[("PLINTH_SERVER__LISTEN", "0.0.0.0:80")]);
    let text = render_check(&result, false);
    let head = "the configuration is valid; 1 key is set:\n\
                server.listen = \"0.0.0.0:80\"  # variable PLINTH_SERVER__LISTEN\nwarning: ";
    assert!(text.starts_with(head), "{text}");
    let output = json(&render_check(&result, true));
    assert_eq!(output["valid"], true);
    assert_eq!(output["warnings"].as_array().map(Vec::len), Some(1));
}

#[test]
fn check_of_a_wrong_configuration_tells_every_problem() {
    let result = from_flags(&[("log.format", "xml"), ("server.cors.credentials", "true")]);
    let expected = "the configuration has 2 problems\n\n\
        log.format (flag)\n  \
        `xml` is not one of the choices\n  \
        fix: write one of \"auto\", \"pretty\", \"json\"\n\n\
        server.cors.credentials (flag), server.cors.origins (default)\n  \
        no origin is allowed, so credentials of none can be\n  \
        fix: list origins in server.cors.origins, or set server.cors.credentials to false\n";
    assert_eq!(render_check(&result, false), expected);
    let output = json(&render_check(&result, true));
    assert_eq!(output["valid"], false);
    assert_eq!(output["problems"][0]["key"], "log.format");
    assert_eq!(output["problems"][0]["origin"], "flag");
    assert_eq!(output["problems"][1]["related"][0]["key"], "server.cors.origins");
}
