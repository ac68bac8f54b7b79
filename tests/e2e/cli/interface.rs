//! Exit codes, help, completions, health checks.

use plinth_tests::{Database, Kernel, plinth};

#[test]
fn wrong_usage_is_code_2() {
    plinth(["no-such-command"]).run().expect(2);
    plinth(["serve", "--no-such-flag"]).run().expect(2);
    plinth(["serve", "--listen", "nowhere"]).run().expect(2);
    plinth(["operator", "create"]).run().expect(2).says(&["--email"]);
    plinth(["config", "print", "--set", "no-equals-sign"]).run().expect(2).says(&["KEY=VALUE"]);
    plinth(["key", "retire", "not-a-uuid"]).run().expect(2);
}

#[test]
fn help_and_version_are_on_standard_output() {
    let help = plinth(["--help"]).run().expect(0);
    for word in ["serve", "migrate", "backup", "restore", "doctor", "operator", "tenant", "key", "Exit codes"] {
        assert!(help.stdout.contains(word), "{word} is missing:\n{}", help.stdout);
    }
    let version = plinth(["version", "--json"]).run().expect(0).json();
    assert_eq!(
        (version["name"].as_str(), version["version"].as_str()),
        (Some("plinth"), Some(env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(plinth(["version"]).run().expect(0).stdout.trim(), format!("plinth {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = plinth(["completions", shell]).run().expect(0).stdout;
        assert!(script.contains("plinth") && script.contains("restore"), "{shell}");
    }
    let script = plinth(["completions", "bash"]).run().expect(0).stdout;
    let mut bash =
        std::process::Command::new("bash").args(["-n", "/dev/stdin"]).stdin(std::process::Stdio::piped()).spawn();
    let bash = bash.as_mut().expect("bash can be run");
    std::io::Write::write_all(&mut bash.stdin.take().expect("piped"), script.as_bytes()).expect("bash reads");
    assert!(bash.wait().expect("bash ends").success(), "bash understands the script");
    plinth(["completions", "tcsh"]).run().expect(2);
}

#[tokio::test]
async fn the_doctor_finds_a_healthy_installation_healthy() {
    for database in [Database::Sqlite, Database::Postgres] {
        let mut kernel = Kernel::start_on(database);
        kernel.owner().await;
        let names = |report: &serde_json::Value| -> Vec<String> {
            let checks = report["checks"].as_array().expect("checks");
            checks.iter().filter_map(|check| check["name"].as_str().map(str::to_owned)).collect()
        };
        let running = kernel.line(["doctor", "--json"]).run().expect(0).json();
        assert_eq!(running["healthy"], true, "{running}");
        kernel.terminate();
        let stopped = kernel.line(["doctor", "--json"]).run().expect(0).json();
        assert_eq!(stopped["healthy"], true, "{stopped}");
        for name in ["configuration", "database", "migrations", "keys", "clock", "address"] {
            assert!(names(&stopped).contains(&name.to_owned()), "{name} is not looked at: {stopped}");
        }
    }
}

#[tokio::test]
async fn the_doctor_tells_what_is_wrong_with_code_5() {
    let mut kernel = Kernel::start();
    kernel.owner().await;
    kernel.terminate();
    let failed = |report: &serde_json::Value, name: &str| {
        let checks = report["checks"].as_array().expect("checks");
        checks.iter().any(|check| check["name"] == name && check["state"] == "failed")
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("server.listen={}", taken.local_addr().expect("bound"));
    let report = kernel.line(["doctor", "--json", "--set", &listen]).run().expect(5).json();
    assert!(failed(&report, "address"), "{report}");

    let key = kernel.data().join("master.key");
    let aside = kernel.data().join("aside");
    std::fs::rename(&key, &aside).expect("moved");
    let report = kernel.line(["doctor", "--json"]).run().expect(5).json();
    assert!(failed(&report, "keys"), "{report}");
    std::fs::remove_file(&key).ok();
    std::fs::rename(&aside, &key).expect("moved");
    kernel.line(["doctor"]).run().expect(0);

    kernel.line(["doctor", "--set", "log.level=loud"]).run().expect(5);
}

#[test]
fn migrate_says_what_it_does_and_changes_nothing_twice() {
    let database = plinth_tests::PostgresDatabase::create();
    let setup = Kernel::setup().env("PLINTH_STORE__URL", database.url());
    let pending = setup.line(["migrate", "--status", "--json"]).run().expect(0).json();
    assert!(pending["pending"].as_array().is_some_and(|names| !names.is_empty()), "{pending}");
    let first = setup.line(["migrate", "--json"]).run().expect(0).json();
    assert_eq!(first["newly_applied"], pending["pending"]);
    let second = setup.line(["migrate", "--json"]).run().expect(0).json();
    assert_eq!(second["newly_applied"], serde_json::json!([]));
    assert_eq!(second["applied"], pending["pending"]);
}
