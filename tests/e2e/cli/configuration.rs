//! Settings: where they come from, what is refused, and what is not shown.

use plinth_tests::{Kernel, plinth};

#[test]
fn an_unknown_key_stops_the_start_and_names_file_key_and_fix() {
    let setup = Kernel::setup();
    let file = setup.folder().join("plinth.toml");
    std::fs::write(&file, "[server]\nlisten = \"127.0.0.1:0\"\n\n[log]\nlevle = \"info\"\n").expect("written");
    let file = file.display().to_string();
    let output = setup.line(["serve", "--config", &file]).run().expect(3);
    output.says(&[&format!("{file}:5"), "log.levle", "log.level", "fix:"]);
    assert!(!setup.data().exists(), "nothing was touched");

    let output = setup.line(["serve", "--config", &file, "--json"]).run().expect(3);
    let error = output.error();
    assert_eq!((error["kind"].as_str(), error["exit_code"].as_u64()), (Some("configuration"), Some(3)));
    assert_eq!(error["problems"][0]["key"], "log.levle");

    let output = setup.line(["serve"]).env("PLINTH_LOG__LEVLE", "info").run().expect(3);
    output.says(&["PLINTH_LOG__LEVLE", "PLINTH_LOG__LEVEL"]);
    setup.line(["serve", "--set", "log.levle=info"]).run().expect(3).says(&["log.levle", "flag"]);
    setup.line(["serve", "--config", "/no/such/file.toml"]).run().expect(3).says(&["/no/such/file.toml"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let output = plinth(["config", "check", "--json"])
        .env("PLINTH_SERVER__LISTEN", "nowhere")
        .env("PLINTH_IDENTITY__PASSWORD_MIN_LENGTH", "3")
        .env("PLINTH_SERVER__CORS__ORIGINS", "not json")
        .env("PLINTH_UNKNOWN__KEY", "1")
        .run()
        .expect(5);
    let report = output.json();
    assert_eq!(report["valid"], false);
    let keys: Vec<&str> =
        report["problems"].as_array().expect("problems").iter().filter_map(|one| one["key"].as_str()).collect();
    for key in ["server.listen", "identity.password_min_length", "server.cors.origins", "unknown.key"] {
        assert!(keys.contains(&key), "{key} is not told: {keys:?}");
    }
    for problem in report["problems"].as_array().expect("problems") {
        assert!(problem["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{problem}");
    }
}

#[test]
fn each_value_tells_its_origin_and_later_layers_win() {
    let setup = Kernel::setup();
    let file = setup.folder().join("plinth.toml");
    std::fs::write(&file, "[log]\nlevel = \"warn\"\nformat = \"json\"\n[server]\ndrain_seconds = 7\n")
        .expect("written");
    // The working folder's plinth.toml is read without being named.
    let line = plinth(["config", "print", "--json", "--set", "server.drain_seconds=9"]).in_folder(setup.folder());
    let settings = line.env("PLINTH_LOG__FORMAT", "pretty").run().expect(0).json()["settings"].clone();
    let setting = |key: &str| {
        let setting = &settings[key];
        (setting["value"].clone(), setting["origin"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(setting("server.drain_seconds"), (9.into(), "flag".into()));
    assert_eq!(setting("log.format"), ("pretty".into(), "variable PLINTH_LOG__FORMAT".into()));
    assert_eq!(setting("identity.registration"), ("open".into(), "default".into()));
    let (level, origin) = setting("log.level");
    assert_eq!(level, "warn");
    assert!(origin.starts_with("file:") && origin.ends_with("plinth.toml:2"), "{origin}");
}

#[test]
fn secrets_are_masked_wherever_they_would_be_shown() {
    let secret = "hunter2secret";
    for arguments in [["config", "print"], ["config", "check"], ["config", "print"]] {
        for json in [false, true] {
            let line = plinth(arguments)
                .env("PLINTH_STORE__URL", format!("postgres://plinth:{secret}@db.example/plinth"))
                .env("PLINTH_IDENTITY__PROVIDERS__X__ISSUER", "https://login.example")
                .env("PLINTH_IDENTITY__PROVIDERS__X__CLIENT_ID", "plinth")
                .env("PLINTH_IDENTITY__PROVIDERS__X__CLIENT_SECRET", secret);
            let output = if json { line.arg("--json").run() } else { line.run() }.expect(0);
            assert!(!output.stdout.contains(secret) && !output.stderr.contains(secret), "{}", output.stdout);
            assert!(
                json && arguments == ["config", "check"] || output.stdout.contains("db.example"),
                "{}",
                output.stdout
            );
        }
    }
    let broken =
        plinth(["config", "check"]).env("PLINTH_STORE__URL", format!("mysql://plinth:{secret}@db/plinth")).run();
    assert!(!broken.expect(5).stdout.contains(secret));
}

#[test]
fn the_built_in_configuration_is_valid() {
    let report = plinth(["config", "check", "--json"]).run().expect(0).json();
    assert_eq!(
        (&report["valid"], &report["problems"], &report["warnings"]),
        (&true.into(), &serde_json::json!([]), &serde_json::json!([]))
    );
}
