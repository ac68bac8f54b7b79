//! What is taken away is away: at once here, and within a second on every other node.

use std::time::Duration;

use plinth_tests::{Database, Kernel, eventually};
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(1);

struct Nodes {
    one: Kernel,
    two: Kernel,
}

/// Two kernels on one database, which answer under one public address.
fn nodes() -> Nodes {
    let public = "http://platform.example";
    let one = Kernel::setup().on(Database::Postgres).env("PLINTH_SERVER__PUBLIC_URL", public).start();
    let two = one.second_node().start();
    Nodes { one, two }
}

impl Nodes {
    /// The second node knows the token, and remembers whose it is.
    async fn works(&self, token: &str) {
        for kernel in [&self.one, &self.two] {
            kernel.get("organizations").token(token).send().await.expect(200);
        }
    }

    async fn dies(&self, token: &str, status: u16, code: &str) {
        self.one.get("organizations").token(token).send().await.refused(status, code);
        eventually("the other node refuses it", WITHIN, async || {
            (self.two.get("organizations").token(token).send().await.status == status).then_some(())
        })
        .await;
        self.two.get("organizations").token(token).send().await.refused(status, code);
    }
}

#[tokio::test]
async fn a_session_that_ends_on_one_node_ends_on_the_other() {
    let nodes = nodes();
    let owner = nodes.one.owner().await;
    let other = nodes.one.login(&owner.email, plinth_tests::PASSWORD).await;
    nodes.works(owner.access()).await;
    nodes.works(other.access()).await;
    other.post("auth/logout", &json!({})).send().await.expect(204);
    nodes.dies(other.access(), 401, "token_revoked").await;

    let third = nodes.one.login(&owner.email, plinth_tests::PASSWORD).await;
    nodes.works(third.access()).await;
    owner.ask("DELETE", "auth/sessions").send().await;
    nodes.dies(third.access(), 401, "token_revoked").await;
    nodes.works(owner.access()).await;

    // A refresh token that is used twice ends the session, wherever it was used.
    let refresh = json!({ "refresh_token": owner.tokens.refresh_token });
    nodes.one.post("auth/refresh", &refresh).send().await.expect(200);
    nodes.two.post("auth/refresh", &refresh).send().await.refused(401, "token_reused");
    eventually("the first node refuses it", WITHIN, async || {
        (owner.get("me").send().await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn keys_roles_members_and_tenants_change_on_all_nodes() {
    let nodes = nodes();
    let owner = nodes.one.owner().await;
    let key = owner.api_key(&["*"]).await;
    nodes.works(&key.key).await;
    owner.client.api_keys().revoke(key.api_key.id).await.expect("revoked");
    nodes.dies(&key.key, 401, "token_revoked").await;

    let role = json!({ "name": "Reader", "permissions": ["organizations:read"] });
    let role = owner.post("roles", &role).send().await.expect(201).json();
    let role = role["id"].as_str().expect("an id");
    let member = nodes.one.colleague(&owner, &[role]).await;
    nodes.works(member.access()).await;
    owner
        .ask("PATCH", &format!("roles/{role}"))
        .json(&json!({ "permissions": ["roles:read"] }))
        .send()
        .await
        .expect(200);
    nodes.dies(member.access(), 403, "permission_missing").await;
    owner
        .ask("PATCH", &format!("roles/{role}"))
        .json(&json!({ "permissions": ["organizations:*"] }))
        .send()
        .await
        .expect(200);
    eventually("the permission is back on the other node", WITHIN, async || {
        (nodes.two.get("organizations").token(member.access()).send().await.status == 200).then_some(())
    })
    .await;
    owner.client.members(owner.tenant()).remove(member.user).await.expect("removed");
    eventually("the other node refuses it", WITHIN, async || {
        let status = nodes.two.get("organizations").token(member.access()).send().await.status;
        [401, 403].contains(&status).then_some(())
    })
    .await;

    nodes.works(owner.access()).await;
    let suspend = nodes.one.line(["tenant", "suspend", &owner.tenant().to_string(), "--reason", "unpaid"]);
    suspend.run().expect(0);
    nodes.dies(owner.access(), 403, "tenant_suspended").await;
}

#[tokio::test]
async fn a_new_password_ends_sessions_on_all_nodes() {
    let nodes = nodes();
    let owner = nodes.one.owner().await;
    nodes.works(owner.access()).await;
    nodes.one.post("auth/password/forgot", &json!({ "email": owner.email })).send().await.expect(202);
    let token = nodes.one.mail_token(&owner.email, "password_reset").await;
    let reset = json!({ "token": token, "password": "another good password" });
    let done = nodes.one.post("auth/password/reset", &reset).send().await;
    assert!((200..300).contains(&done.status), "{done:?}");
    nodes.dies(owner.access(), 401, "token_revoked").await;
}

/// A node that lost its way to the database for a while has not slept through a revocation.
#[tokio::test]
async fn a_node_that_was_cut_off_hears_of_it_afterwards() {
    let nodes = nodes();
    let owner = nodes.one.owner().await;
    let key = owner.api_key(&["*"]).await;
    nodes.works(&key.key).await;
    nodes.one.postgres().expect("PostgreSQL").cut_connections();
    eventually("the first node is back", Duration::from_secs(10), async || {
        owner.client.api_keys().revoke(key.api_key.id).await.ok()
    })
    .await;
    eventually("the second node refuses it", Duration::from_secs(10), async || {
        (nodes.two.get("organizations").token(&key.key).send().await.status == 401).then_some(())
    })
    .await;
}
