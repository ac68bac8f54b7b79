//! People who run the platform, made while the kernel runs and while it does not.

use plinth_tests::{Kernel, PASSWORD, on_both_databases};
use serde_json::Value;

on_both_databases!(operators_are_made_running_and_stopped);

async fn operators_are_made_running_and_stopped(mut kernel: Kernel) {
    let create = |kernel: &Kernel, email: &str| {
        let line = kernel.line(["operator", "create", "--email", email, "--password-stdin", "--json"]);
        line.stdin(&format!("{PASSWORD}\n")).run()
    };
    let running = create(&kernel, "running@example.com").expect(0).json();
    assert_eq!(running["email"], "running@example.com");
    let operator = kernel.login("running@example.com", PASSWORD).await;
    let tenants = operator.get("tenants").send().await.expect(200);
    drop(tenants);

    kernel.terminate();
    let stopped = create(&kernel, "stopped@example.com").expect(0).json();
    assert!(stopped["id"].as_str().is_some_and(|id| id.starts_with("usr_")), "{stopped}");
    let twice = create(&kernel, "stopped@example.com").expect(1);
    assert!(twice.error()["message"].as_str().is_some_and(|text| text.contains("operator grant")), "{}", twice.stderr);

    kernel.restart();
    kernel.login("stopped@example.com", PASSWORD).await.get("tenants").send().await.expect(200);
    let list = kernel.line(["operator", "list", "--json"]).run().expect(0).json();
    let mut emails: Vec<&str> =
        list.as_array().expect("a list").iter().filter_map(|one| one["email"].as_str()).collect();
    emails.sort_unstable();
    assert_eq!(emails, ["running@example.com", "stopped@example.com"]);
}

#[tokio::test]
async fn rights_are_given_and_taken_while_running() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let only = kernel.operator().await;
    kernel.line(["operator", "grant", "--email", &owner.email]).run().expect(0);
    let promoted = kernel.login(&owner.email, PASSWORD).await;
    let system = only.tenant().to_string();
    let may = async || {
        let switch = serde_json::json!({ "tenant": system });
        let there: Value = promoted.post("auth/switch-tenant", &switch).send().await.json();
        match there["access_token"].as_str() {
            Some(token) => kernel.get("tenants").token(token).send().await.status,
            None => 403,
        }
    };
    assert_eq!(may().await, 200);
    kernel.line(["operator", "revoke", "--email", &owner.email]).run().expect(0);
    assert_ne!(may().await, 200);
    kernel.line(["operator", "revoke", "--email", &only.email]).run().expect(1).says(&["last operator"]);
    kernel.line(["operator", "revoke", "--email", "nobody@example.com"]).run().expect(1).says(&["nobody@example.com"]);
}

#[test]
fn passwords_come_from_standard_input_and_are_checked() {
    let setup = Kernel::setup();
    let create = |stdin: &str| {
        setup.line(["operator", "create", "--email", "op@example.com", "--password-stdin"]).stdin(stdin).run()
    };
    create("").expect(1).says(&["empty"]);
    create("short\n").expect(1).says(&["password"]);
    let no_terminal = setup.line(["operator", "create", "--email", "op@example.com"]).run();
    no_terminal.expect(1).says(&["--password-stdin"]);
    let bad_address =
        setup.line(["operator", "create", "--email", "nonsense", "--password-stdin"]).stdin(PASSWORD).run();
    bad_address.expect(1).says(&["email"]);
    create(PASSWORD).expect(0);
}
