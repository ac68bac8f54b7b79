//! Customers of the platform, as their administrator handles them from the command line.

use std::time::Duration;

use plinth_tests::{Kernel, PASSWORD, eventually, on_both_databases};

on_both_databases!(a_suspended_tenant_is_refused_within_a_second);

async fn a_suspended_tenant_is_refused_within_a_second(kernel: Kernel) {
    let owner = kernel.owner().await;
    let bystander = kernel.owner().await;
    let key = owner.api_key(&["*"]).await.key;
    owner.get("organizations").send().await.expect(200);
    kernel.get("organizations").token(&key).send().await.expect(200);
    let id = owner.tenant().to_string();

    let suspended = kernel.line(["tenant", "suspend", &id, "--reason", "unpaid", "--json"]).run().expect(0).json();
    assert_eq!(suspended["state"], "suspended");
    for token in [owner.access(), &key] {
        eventually("the tenant is refused", Duration::from_secs(1), async || {
            (kernel.get("organizations").token(token).send().await.status == 403).then_some(())
        })
        .await;
        kernel.get("organizations").token(token).send().await.refused(403, "tenant_suspended");
    }
    bystander.get("organizations").send().await.expect(200);

    kernel.line(["tenant", "resume", &id]).run().expect(0);
    for token in [owner.access(), &key] {
        eventually("the tenant works again", Duration::from_secs(1), async || {
            (kernel.get("organizations").token(token).send().await.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_tenant_is_made_listed_and_handled_by_slug_while_stopped() {
    let setup = Kernel::setup();
    let create =
        ["tenant", "create", "--slug", "acme", "--name", "Acme", "--email", "boss@acme.example", "--password-stdin"];
    let made = setup.line(create).arg("--json").stdin(PASSWORD).run().expect(0).json();
    assert_eq!(made["tenant"]["slug"], "acme");
    setup.line(create).stdin(PASSWORD).run().expect(1);
    setup.line(["tenant", "suspend", "acme", "--reason", "later"]).run().expect(0);
    setup.line(["tenant", "suspend", "nobody", "--reason", "x"]).run().expect(1).says(&["nobody"]);
    let kernel = setup.start();
    let boss = kernel.login("boss@acme.example", PASSWORD).await;
    boss.get("organizations").send().await.refused(403, "tenant_suspended");
    kernel.line(["tenant", "resume", "acme"]).run().expect(0);
    eventually("the tenant works again", Duration::from_secs(1), async || {
        (boss.get("organizations").send().await.status == 200).then_some(())
    })
    .await;
    let list = kernel.line(["tenant", "list", "--json"]).run().expect(0).json();
    let acme = list.as_array().expect("a list").iter().find(|tenant| tenant["slug"] == "acme").expect("acme");
    assert_eq!((acme["state"].as_str(), acme["members"].as_u64()), (Some("active"), Some(1)), "{acme}");
}
