//! Each kind of problem names key and origin, says what is wrong and how to put it right; all are told at once.

use super::super::{Sources, load};
use super::{File, from_env, from_file, from_flags, from_path, keys, pairs, problem, problems};

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let file = File::new("[server]\nlistn = \"127.0.0.1:80\"\n");
    let found = problem(from_path(&file.0));
    assert_eq!(found.key, "server.listn");
    assert_eq!(found.origin.to_string(), file.line(2));
    assert_eq!(found.message, "there is no such key");
    assert_eq!(found.fix, "did you mean server.listen?");

    let found = problem(from_env(&[("PLINTH_SEVER__LISTEN", "x")]));
    assert_eq!(found.origin.to_string(), "variable PLINTH_SEVER__LISTEN");
    assert_eq!(found.fix, "did you mean PLINTH_SERVER__LISTEN?");

    let found = problem(from_flags(&[("server.origins", "[]")]));
    assert_eq!(found.origin.to_string(), "flag");
    assert_eq!(found.fix, "did you mean server.cors.origins?");

    let found = problem(from_flags(&[("server.tls.certificate", "x")]));
    assert_eq!(found.fix, "did you mean server.tls.cert?");
}

#[test]
fn an_unknown_key_that_resembles_none_is_answered_with_the_keys_of_its_section() {
    let found = problem(from_file("[log]\ncolour = true\n"));
    assert_eq!(found.fix, "remove it; [log] has level, format");
    let found = problem(from_file("colour = true\n"));
    assert!(found.fix.contains("plinth config print"), "{found}");
}

#[test]
fn a_section_that_is_unknown_is_one_problem() {
    let file = File::new("\n[sever]\nlisten = \"x\"\ndata = \"y\"\n");
    let found = problem(from_path(&file.0));
    assert_eq!(found.key, "sever");
    assert_eq!(found.origin.to_string(), file.line(2));
    assert_eq!(found.fix, "did you mean [server]?");
}

#[test]
fn a_quoted_key_with_a_dot_is_no_way_around() {
    assert_eq!(keys(from_file("\"server.dev\" = true")), ["server.dev"]);
}

#[test]
fn a_section_is_no_key_and_a_key_no_section() {
    let found = problem(from_file("server = 5"));
    assert_eq!(found.message, "this is a section, not a key");
    assert!(found.fix.starts_with("write [server] and set listen, data"), "{found}");
    let found = problem(from_env(&[("PLINTH_SERVER__TLS", "on")]));
    assert_eq!(found.fix, "set cert, key, reload_seconds");
    let found = problem(from_file("[log.level]\nx = 1"));
    assert_eq!((found.key.as_str(), found.message.as_str()), ("log.level", "a section is of the wrong type"));
}

#[test]
fn a_wrong_type_is_told_with_what_was_found_and_what_is_wanted() {
    let cases = [
        ("server.docs = \"yes\"", "the text `yes` is of the wrong type", "true or false"),
        ("server.drain_seconds = \"20\"", "the text `20` is of the wrong type", "from 0 to 3600"),
        ("server.drain_seconds = true", "the switch true is of the wrong type", "whole number"),
        ("server.listen = 8080", "the number 8080 is of the wrong type", "text"),
        ("server.cors.origins = \"*\"", "the text `*` is of the wrong type", "list"),
        ("server.cors.origins = [1]", "the number 1 is not what the list holds", "list"),
        ("log.level = 1979-05-27", "a date is of the wrong type", "text"),
    ];
    for (text, message, fix) in cases {
        let found = problem(from_file(text));
        assert_eq!(found.message, message, "{text}");
        assert!(found.fix.contains(fix), "{text}: {found}");
    }
    let found = problem(from_env(&[("PLINTH_SERVER__DEV", "1")]));
    assert_eq!(found.message, "the text `1` is of the wrong type");
    let found = problem(from_env(&[("PLINTH_SERVER__DRAIN_SECONDS", "20s")]));
    assert_eq!(found.message, "the text `20s` is of the wrong type");
    let found = problem(from_env(&[("PLINTH_SERVER__CORS__ORIGINS", "https://a.example")]));
    assert_eq!(found.message, "`https://a.example` is not a JSON array");
}

#[test]
fn a_number_out_of_range_is_told_with_the_range() {
    for value in ["0", "-1", "301", "1.5", "inf"] {
        let found = problem(from_file(&format!("server.header_timeout_seconds = {value}")));
        assert!(found.fix.contains("from 1 to 300"), "{value}: {found}");
    }
    let found = problem(from_flags(&[("identity.password_min_length", "7")]));
    assert_eq!(found.message, "the number 7 is out of range");
    let found = problem(from_file("server.drain_seconds = 99999999999999999999"));
    assert_eq!(found.message, "the number is too large");
}

#[test]
fn a_choice_is_one_of_its_words() {
    let found = problem(from_env(&[("PLINTH_SERVER__COOKIES__SAME_SITE", "Strict")]));
    assert_eq!(found.message, "`Strict` is not one of the choices");
    assert_eq!(found.fix, "did you mean \"strict\"? write one of \"lax\", \"strict\", \"none\"");
    let found = problem(from_file("log.format = \"xml\""));
    assert_eq!(found.fix, "write one of \"auto\", \"pretty\", \"json\"");
}

#[test]
fn each_text_has_a_form() {
    let cases = [
        ("server.listen", "localhost:8080"),
        ("server.listen", "127.0.0.1"),
        ("server.data", " "),
        ("server.public_url", "platform.example"),
        ("server.public_url", "ftp://platform.example"),
        ("server.public_url", "https://platform.example/path"),
        ("server.public_url", "https://platform.example?x=1"),
        ("server.trusted_proxies", "[\"10.0.0.0/33\"]"),
        ("server.trusted_proxies", "[\"proxy\"]"),
        ("server.cors.origins", "[\"https://a.example/\"]"),
        ("server.cors.origins", "[\"https://A.example\"]"),
        ("server.cors.origins", "[\"https://a.example:443\"]"),
        ("server.cors.origins", "[\"null\"]"),
        ("server.cookies.domain", ".platform.example"),
        ("server.cookies.domain", "https://platform.example"),
        ("server.cookies.domain", "127.0.0.1"),
        ("store.url", "mysql://h/d"),
        ("store.url", "plinth.db"),
        ("store.url", "sqlite:"),
        ("store.url", "sqlite::memory:"),
        ("store.url", "sqlite:a.db?mode=ro"),
        ("store.url", "postgres://u:p@h:port/d"),
        ("store.url", "postgres://u:p#w@h/d"),
        ("store.url", "postgres://h/d#w"),
        ("store.migration_url", "sqlite:a.db"),
        ("store.app_role", "App"),
        ("store.app_role", "1app"),
        ("store.app_role", "a; DROP TABLE x"),
        ("log.level", ""),
        ("log.level", "inof"),
        ("log.level", "info,plinth_store"),
        ("log.level", "plinth_store=loud"),
    ];
    for (key, value) in cases {
        let found = problem(from_flags(&[(key, value)]));
        assert_eq!(found.key, key, "{value}");
        assert!(!found.fix.is_empty());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem_and_the_rest_is_still_checked() {
    let missing = Sources {
        file: Some("/nowhere/plinth.toml".into()),
        env: pairs(&[("PLINTH_LOG__LEVEL", "loud")]),
        ..Sources::default()
    };
    let found = problems(load(&missing));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!(found[0].origin.to_string(), "file:/nowhere/plinth.toml");
    assert!(found[0].message.starts_with("the file cannot be read"), "{}", found[0]);
    assert_eq!(found[1].key, "log.level");

    let binary = File::new([0xff, 0xfe]);
    assert!(problem(from_path(&binary.0)).message.contains("UTF-8"));
}

#[test]
fn broken_toml_is_told_with_its_lines_and_without_quoting_them() {
    let file = File::new("[server]\ndev = yes\n[store]\nurl = \"postgres://u:hunter2@h/d\nx = \n");
    let found = problems(from_path(&file.0));
    assert_eq!(found[0].origin.to_string(), file.line(2));
    assert!(found.len() > 1, "every syntax error is told: {found:#?}");
    for problem in &found {
        assert!(problem.message.starts_with("this is not TOML: "), "{problem}");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }
    let twice = problem(from_file("[log]\nlevel = \"info\"\nlevel = \"warn\"\n"));
    assert!(twice.message.contains("duplicate key"), "{twice}");
}

#[test]
fn half_a_file_is_not_blamed_for_contradictions() {
    let file = File::new("[secrets]\ncommand = [\"keys\"]\nbroken\n");
    let sources = Sources {
        file: Some(file.0.clone()),
        env: pairs(&[("PLINTH_SECRETS__SOURCE", "command")]),
        ..Sources::default()
    };
    assert!(problem(load(&sources)).message.starts_with("this is not TOML"));
}

#[test]
fn names_of_variables_are_capital_and_values_are_unicode() {
    let found = problem(from_env(&[("PLINTH_server__dev", "true")]));
    assert_eq!(found.fix, "rename it to PLINTH_SERVER__DEV");
    let found = problem(from_env(&[("PLINTH_SERVER__DATA", "a\u{fffd}b")]));
    assert_eq!(found.message, "the value is not UTF-8");
}

#[test]
fn a_provider_lacking_keys_is_told_each() {
    let file = File::new("[identity.providers.google]\nissuer = \"https://i.example\"\nclient_id = 5\n");
    let found = problems(from_path(&file.0));
    let keys: Vec<&str> = found.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["identity.providers.google.client_id", "identity.providers.google.client_secret"]);
    assert_eq!(found[1].origin.to_string(), file.line(1));
    assert!(found[1].fix.contains("or remove the section"), "{}", found[1]);
    assert_eq!(keys_of_empty_provider().len(), 3);
}

fn keys_of_empty_provider() -> Vec<String> {
    keys(from_file("[identity.providers.google]"))
}

#[test]
fn a_provider_name_fits_an_address() {
    let found = problem(from_file("[identity.providers.\"My.IDP\"]\nissuer = \"https://i.example\""));
    assert!(found.message.contains("cannot be the name of a provider"), "{found}");
}

#[test]
fn all_problems_of_all_layers_are_told_at_once() {
    let file =
        File::new("[server]\nlisten = 1\nunknown_thing = 2\n[server.cors]\norigins = [\"*\"]\ncredentials = true\n");
    let sources = Sources {
        file: Some(file.0.clone()),
        env: pairs(&[("PLINTH_LOG__FORMAT", "xml"), ("PLINTH_NO__SUCH", "1")]),
        flags: pairs(&[("server.max_connections", "0")]),
    };
    let mut found = keys(load(&sources));
    found.sort_unstable();
    let expected = [
        "log.format",
        "no.such",
        "server.cors.origins",
        "server.listen",
        "server.max_connections",
        "server.unknown_thing",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_wrong_value_is_told_even_where_a_later_layer_overrides_it() {
    let file = File::new("log.format = \"xml\"\n");
    let sources = Sources { file: Some(file.0.clone()), flags: pairs(&[("log.format", "json")]), ..Sources::default() };
    assert_eq!(problem(load(&sources)).origin.to_string(), file.line(1));
}
