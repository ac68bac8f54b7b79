//! Contradictions are refused, their lawful neighbours are not, and odd settings are warned of.

use super::{from_env, from_flags, problem};

type Flags<'a> = &'a [(&'a str, &'a str)];

const IDP: [(&str, &str); 3] = [
    ("identity.providers.p.issuer", "https://i.example"),
    ("identity.providers.p.client_id", "c"),
    ("identity.providers.p.client_secret", "s"),
];

#[track_caller]
fn refused(key: &str, flags: Flags<'_>) {
    let found = problem(from_flags(flags));
    assert_eq!(found.key, key, "{found}");
    assert_eq!(found.origin.to_string(), "flag", "{found}");
    assert!(!found.fix.is_empty());
}

#[track_caller]
fn accepted(flags: Flags<'_>) {
    if let Err(error) = from_flags(flags) {
        panic!("{error}");
    }
}

#[test]
fn tls_takes_both_files_or_neither() {
    refused("server.tls.cert", &[("server.tls.cert", "c")]);
    refused("server.tls.key", &[("server.tls.key", "k")]);
    let both = [("server.tls.cert", "c"), ("server.tls.key", "k")];
    accepted(&both);
    let plain = ("server.public_url", "http://p.example");
    refused("server.public_url", &[both[0], both[1], plain]);
    accepted(&[plain]);
}

#[test]
fn any_origin_goes_without_credentials_and_company() {
    let any = ("server.cors.origins", "[\"*\"]");
    let credentials = ("server.cors.credentials", "true");
    accepted(&[any]);
    refused("server.cors.origins", &[any, credentials]);
    refused("server.cors.origins", &[("server.cors.origins", "[\"*\", \"https://a.example\"]")]);
    refused("server.cors.credentials", &[credentials]);
    accepted(&[("server.cors.origins", "[\"https://a.example\"]"), credentials]);
}

#[test]
fn cookies_for_other_sites_need_https() {
    let on = ("server.cookies.enabled", "true");
    let none = ("server.cookies.same_site", "none");
    refused("server.cookies.same_site", &[on, none]);
    refused("server.cookies.same_site", &[on, none, ("server.public_url", "http://p.example")]);
    accepted(&[on, none, ("server.public_url", "https://p.example")]);
    accepted(&[on, none, ("server.tls.cert", "c"), ("server.tls.key", "k")]);
    accepted(&[on]);
}

#[test]
fn the_cookie_domain_contains_the_public_host() {
    let on = ("server.cookies.enabled", "true");
    let public = ("server.public_url", "https://app.p.example");
    let domain = |domain| ("server.cookies.domain", domain);
    accepted(&[on, public, domain("p.example")]);
    accepted(&[on, public, domain("app.p.example")]);
    refused("server.cookies.domain", &[on, public, domain("q.example")]);
    refused("server.cookies.domain", &[on, public, domain("pp.p.example")]);
    refused("server.cookies.domain", &[domain("p.example")]);
}

#[test]
fn the_store_has_matching_urls_and_two_roles() {
    let migration = ("store.migration_url", "postgres://o@h/d");
    refused("store.migration_url", &[migration]);
    refused("store.migration_url", &[migration, ("store.url", "sqlite:a.db")]);
    accepted(&[migration, ("store.url", "postgres://a@h/d")]);
    refused("store.app_role", &[("store.app_role", "plinth_system")]);
}

#[test]
fn master_keys_come_from_one_place() {
    let source = |source| ("secrets.source", source);
    let command = ("secrets.command", "[\"keys\"]");
    let file = ("secrets.file", "k");
    refused("secrets.source", &[source("command")]);
    refused("secrets.source", &[source("command"), ("secrets.command", "[\"\"]")]);
    accepted(&[source("command"), command]);
    refused("secrets.command", &[command]);
    refused("secrets.file", &[source("env"), file]);
    accepted(&[file]);
}

#[test]
fn a_replaced_signing_key_outlives_its_tokens_and_not_its_successor() {
    let overlap = |hours| ("identity.signing_key_overlap_hours", hours);
    let tokens = ("identity.access_token_minutes", "61");
    refused("identity.signing_key_overlap_hours", &[overlap("1"), tokens]);
    accepted(&[overlap("2"), tokens]);
    let days = ("identity.signing_key_days", "1");
    accepted(&[overlap("24"), days]);
    refused("identity.signing_key_overlap_hours", &[overlap("25"), days]);
}

#[test]
fn an_issuer_is_reached_safely() {
    let with = |issuer, more: Flags<'static>| {
        let mut flags = IDP.to_vec();
        flags[0].1 = issuer;
        flags.extend(more);
        flags
    };
    let issuer = "identity.providers.p.issuer";
    let loopback: Flags<'_> = &[("identity.providers.p.allow_http_loopback", "true")];
    accepted(&with("https://i.example/realm", &[]));
    refused(issuer, &with("http://i.example", &[]));
    refused(issuer, &with("http://i.example", loopback));
    for local in ["http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9/x"] {
        refused(issuer, &with(local, &[]));
        accepted(&with(local, loopback));
    }
    let scopes = ("identity.providers.p.scopes", "[\"email\"]");
    refused(scopes.0, &[IDP[0], IDP[1], IDP[2], scopes]);
}

#[test]
fn a_contradiction_names_all_its_keys_and_first_the_one_that_was_set() {
    let found = problem(from_env(&[("PLINTH_SERVER__TLS__KEY", "k")]));
    assert_eq!(found.key, "server.tls.key");
    let text = found.to_string();
    let head = "server.tls.key (variable PLINTH_SERVER__TLS__KEY), server.tls.cert (default)\n";
    assert!(text.starts_with(head), "{text}");
}

#[test]
fn a_rule_is_silent_about_a_key_that_was_refused() {
    // cert's value is the wrong type, so "only the key is set" would be noise.
    let found = problem(super::from_file("[server.tls]\ncert = 1\nkey = \"k\"\n"));
    assert_eq!(found.key, "server.tls.cert");
    assert_eq!(found.message, "the number 1 is of the wrong type");
}

#[test]
fn odd_settings_are_warned_of() {
    let cases: [(Flags<'_>, &str); 6] = [
        (&[("PLINTH_SERVER__DEV", "true"), ("PLINTH_SERVER__LISTEN", "192.0.2.1:80")], "server.dev"),
        (&[("PLINTH_SERVER__LISTEN", "0.0.0.0:80")], "server.public_url"),
        (&[("PLINTH_SERVER__TRUSTED_PROXIES", "[\"::/0\"]")], "server.trusted_proxies"),
        (&[("PLINTH_IDENTITY__ARGON2_MEMORY_KIB", "64")], "identity.argon2_memory_kib"),
        (&[("PLINTH_MASTER_KEYS", "k")], "PLINTH_MASTER_KEYS"),
        (&[("PLINTH_SECRETS__SOURCE", "env")], "PLINTH_MASTER_KEYS"),
    ];
    for (env, about) in cases {
        let warnings = from_env(env).expect("odd and allowed").warnings;
        assert_eq!(warnings.len(), 1, "{env:?}: {warnings:?}");
        assert!(warnings[0].contains(about), "{warnings:?}");
    }
    let keys = [("PLINTH_SECRETS__SOURCE", "env"), ("PLINTH_MASTER_KEYS", "k")];
    assert!(from_env(&keys).expect("valid").warnings.is_empty());
}

#[test]
fn a_variable_with_one_underscore_is_warned_of() {
    let loaded = from_env(&[("PLINTH_STORE_URL", "postgres://u:hunter2@h/d")]).expect("ignored");
    assert_eq!(loaded.warnings, ["the variable PLINTH_STORE_URL does nothing: did you mean PLINTH_STORE__URL?"]);
}
