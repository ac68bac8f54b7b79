//! Later layers win, each value knows where it came from, and texts of variables become what the key holds.

use std::path::{Path, PathBuf};

use super::super::{Database, LogFormat, SameSite, Secret, Sources, load};
use super::{File, from_env, from_file, from_flags, pairs};

#[test]
fn file_variables_and_flags_override_in_that_order() {
    let file = File::new("[server]\ndrain_seconds = 1\nbody_limit_kib = 1\nmax_connections = 1\n");
    let loaded = load(&Sources {
        file: Some(file.0.clone()),
        env: pairs(&[("PLINTH_SERVER__BODY_LIMIT_KIB", "2"), ("PLINTH_SERVER__MAX_CONNECTIONS", "2")]),
        flags: pairs(&[("server.max_connections", "3")]),
    })
    .expect("all layers are valid");
    let server = &loaded.config.server;
    assert_eq!((server.drain_seconds, server.body_limit_kib, server.max_connections), (1, 2, 3));
    let origin = |key: &str| loaded.origins[key].origin.to_string();
    assert_eq!(origin("server.drain_seconds"), file.line(2));
    assert_eq!(origin("server.body_limit_kib"), "variable PLINTH_SERVER__BODY_LIMIT_KIB");
    assert_eq!(origin("server.max_connections"), "flag");
    assert_eq!(origin("server.listen"), "default");
}

#[test]
fn a_list_of_a_later_layer_replaces_the_whole_list() {
    let file = File::new("[server.cors]\norigins = [\"https://a.example\", \"https://b.example\"]\n");
    let loaded = load(&Sources {
        file: Some(file.0.clone()),
        env: pairs(&[("PLINTH_SERVER__CORS__ORIGINS", r#"["https://c.example"]"#)]),
        ..Sources::default()
    })
    .expect("valid");
    assert_eq!(loaded.config.server.cors.origins, ["https://c.example"]);
}

#[test]
fn a_text_variable_stays_a_text_whatever_it_looks_like() {
    let url = "postgres://plinth:p%40ss,word@db/plinth?sslmode=require";
    let loaded = from_env(&[
        ("PLINTH_STORE__URL", url),
        ("PLINTH_SERVER__DATA", "12345"),
        ("PLINTH_SECRETS__FILE", "true"),
        ("PLINTH_LOG__LEVEL", "info,plinth_store=debug"),
        ("PLINTH_IDENTITY__PROVIDERS__MY_IDP__ISSUER", "https://i.example"),
        ("PLINTH_IDENTITY__PROVIDERS__MY_IDP__CLIENT_ID", "007"),
        ("PLINTH_IDENTITY__PROVIDERS__MY_IDP__CLIENT_SECRET", "[1, {\"a\": 2}]"),
    ])
    .expect("valid");
    let config = &loaded.config;
    assert_eq!(config.store.url.expose(), url);
    assert_eq!(config.server.data, PathBuf::from("12345"));
    assert_eq!(config.secrets.file, Some(PathBuf::from("true")));
    assert_eq!(config.log.level, "info,plinth_store=debug");
    let provider = &config.identity.providers["my_idp"];
    assert_eq!(provider.client_id, "007");
    assert_eq!(provider.client_secret.expose(), "[1, {\"a\": 2}]");
    assert_eq!(provider.scopes, ["openid", "email", "profile"]);
    assert_eq!(loaded.origins["identity.providers.my_idp.scopes"].origin.to_string(), "default");
}

#[test]
fn variables_become_the_type_of_their_key() {
    let loaded = from_env(&[
        ("PLINTH_SERVER__DEV", "true"),
        ("PLINTH_SERVER__COOKIES__SAME_SITE", "strict"),
        ("PLINTH_SERVER__TRUSTED_PROXIES", r#"["10.1.2.3/8", "192.0.2.1", "fd00::/8"]"#),
        ("PLINTH_SECRETS__SOURCE", "command"),
        ("PLINTH_SECRETS__COMMAND", r#"["keys", "--now"]"#),
        ("PLINTH_LOG__FORMAT", "json"),
    ])
    .expect("valid");
    let config = &loaded.config;
    assert!(config.server.dev);
    assert_eq!(config.server.cookies.same_site, SameSite::Strict);
    let networks: Vec<String> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]);
    assert_eq!(config.secrets.command, ["keys", "--now"]);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn variables_of_tests_tools_and_keys_are_not_configuration() {
    let loaded = from_env(&[
        ("PLINTH_TEST_POSTGRES__URL", "x"),
        ("PLINTH_SOAK_SERVER__LISTEN", "x"),
        ("PLINTH_BIN", "x"),
        ("PLINTH_CHROMIUM", "x"),
        ("PLINTH_COLOR", "x"),
        ("OTHER__VARIABLE", "x"),
    ])
    .expect("none of them counts");
    assert!(loaded.origins.values().all(|setting| setting.origin.is_default()));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn a_provider_may_be_spread_over_layers() {
    let file = File::new("[identity.providers.google]\n");
    let secret = "PLINTH_IDENTITY__PROVIDERS__GOOGLE__CLIENT_SECRET";
    let loaded = load(&Sources {
        file: Some(file.0.clone()),
        env: pairs(&[(secret, "s")]),
        flags: pairs(&[
            ("identity.providers.google.issuer", "https://accounts.google.com"),
            ("identity.providers.google.client_id", "c"),
        ]),
    })
    .expect("together it is complete");
    // Without the slash that a parsed URL would gain.
    assert_eq!(loaded.config.identity.providers["google"].issuer, "https://accounts.google.com");
}

#[test]
fn toml_numbers_may_be_written_in_any_form() {
    let loaded = from_file("server.max_connections = 12_000\nserver.body_limit_kib = 0x10").expect("valid");
    assert_eq!(loaded.config.server.max_connections, 12_000);
    assert_eq!(loaded.config.server.body_limit_kib, 16);
}

#[test]
fn the_store_url_names_a_database() {
    let data = Path::new("/data");
    let database = |url: &str| from_env(&[("PLINTH_STORE__URL", url)]).expect("valid").config.store.database(data);
    assert_eq!(database(""), Database::Sqlite("/data/plinth.db".into()));
    assert_eq!(database("sqlite:other.db"), Database::Sqlite("other.db".into()));
    assert_eq!(database("sqlite:///var/p.db"), Database::Sqlite("/var/p.db".into()));
    for url in ["postgres://u:p@h/d", "postgresql:///d?host=/run/postgresql"] {
        assert_eq!(database(url), Database::Postgres(Secret::new(url)));
    }
}

#[test]
fn migrations_use_their_own_connection_or_the_common_one() {
    let data = Path::new("/data");
    let store = from_flags(&[("store.url", "postgres://a@h/d")]).expect("valid").config.store;
    assert_eq!(store.migration_database(data), Database::Postgres(Secret::new("postgres://a@h/d")));
    let flags = [("store.url", "postgres://a@h/d"), ("store.migration_url", "postgres://o@h/d")];
    let store = from_flags(&flags).expect("valid").config.store;
    assert_eq!(store.migration_database(data), Database::Postgres(Secret::new("postgres://o@h/d")));
    assert_eq!(store.database(data), Database::Postgres(Secret::new("postgres://a@h/d")));
}

#[test]
fn the_base_url_is_the_public_one_or_derived_from_the_listener() {
    let server = |flags: &[(&str, &str)]| from_flags(flags).expect("valid").config.server;
    let bound = |text: &str| text.parse().expect("an address");
    let plain = server(&[]);
    assert_eq!(plain.base_url(bound("127.0.0.1:4711")), "http://127.0.0.1:4711");
    assert_eq!(plain.base_url(bound("[::]:8080")), "http://localhost:8080");
    assert!(!plain.is_https());
    let tls = server(&[("server.tls.cert", "c.pem"), ("server.tls.key", "k.pem")]);
    assert_eq!(tls.base_url(bound("[::1]:8443")), "https://[::1]:8443");
    assert!(tls.is_https());
    let public = server(&[("server.public_url", "https://p.example/")]);
    assert_eq!(public.base_url(bound("127.0.0.1:1")), "https://p.example");
}

#[test]
fn the_key_file_and_the_hash_threads_have_derived_values() {
    let config = from_flags(&[]).expect("valid").config;
    assert_eq!(config.secrets.key_file(Path::new("/d")), PathBuf::from("/d/master.key"));
    let cores = std::thread::available_parallelism().expect("cores can be counted");
    assert_eq!(config.identity.hash_threads(), cores);
    let flags = [("secrets.file", "/k"), ("identity.password_hash_threads", "3")];
    let config = from_flags(&flags).expect("valid").config;
    assert_eq!(config.secrets.key_file(Path::new("/d")), PathBuf::from("/k"));
    assert_eq!(config.identity.hash_threads().get(), 3);
}
