//! The drill: a new master key, the old one retired, and nothing is lost in between.

use plinth_tests::{Kernel, on_both_databases};
use serde_json::Value;

on_both_databases!(master_keys_are_rotated_and_retired_across_restarts);

async fn master_keys_are_rotated_and_retired_across_restarts(mut kernel: Kernel) {
    let owner = kernel.owner().await;
    // Sealed under the first key: the mails, the secret of the authenticator app, the signing keys.
    owner.client.auth().enrol_totp().await.expect("enrolled");
    let list = |kernel: &Kernel| kernel.line(["key", "list", "--json"]).run().expect(0).json();
    let ids = |keys: &Value, active: bool| -> Vec<String> {
        let keys = keys.as_array().expect("keys").iter().filter(|key| key["active"] == active);
        keys.filter_map(|key| key["id"].as_str().map(str::to_owned)).collect()
    };
    let old = ids(&list(&kernel), true);
    assert_eq!(old.len(), 1);
    let in_use = kernel.line(["key", "retire", &old[0]]).run();
    in_use.expect(1);

    let rotated = kernel.line(["key", "rotate", "--json"]).run().expect(0).json();
    assert!(rotated["rewrapped"].as_u64().is_some_and(|count| count > 0), "{rotated}");
    assert_eq!(ids(&list(&kernel), true), [rotated["id"].as_str().expect("an id")]);
    assert_eq!(ids(&list(&kernel), false), old);
    kernel.outbox().await;
    kernel.restart();
    kernel.mail(&owner.email, "verify_email").await;

    // Stopped: the same commands work on the data itself.
    kernel.terminate();
    let again = kernel.line(["key", "rotate", "--json"]).run().expect(0).json();
    kernel.line(["key", "retire", &old[0]]).run().expect(0);
    kernel.restart();
    kernel.line(["key", "retire", rotated["id"].as_str().expect("an id")]).run().expect(0);
    assert_eq!(ids(&list(&kernel), true), [again["id"].as_str().expect("an id")]);
    assert_eq!(ids(&list(&kernel), false), [""; 0]);
    kernel.restart();
    owner.get("me").send().await.expect(200);
    kernel.mail(&owner.email, "verify_email").await;
    kernel.newcomer().await;
}
