//! Members, roles, machines and keys for tests, made through the front door where there is one.

use plinth_core::{Cause, UserId};
use plinth_testkit::unique;
use serde_json::{Value, json};

use crate::{
    accounts::register::join,
    administration,
    testing::{Actor, PASSWORD, TestApp},
};

/// A key as its maker got it.
#[derive(Debug, Clone)]
pub struct Key {
    pub id: String,
    pub text: String,
    pub signing_secret: Option<String>,
}

impl Key {
    pub fn of(created: &Value) -> Self {
        let text = |name: &str| created[name].as_str().map(str::to_owned);
        Self { id: text("id").unwrap(), text: text("key").unwrap(), signing_secret: text("signing_secret") }
    }
}

/// A role of the owner's tenant.
pub async fn role(test: &TestApp, owner: &Actor, permissions: &[&str]) -> String {
    let request = json!({ "name": format!("Role {}", unique()), "permissions": permissions });
    let role = test.app.post("/api/v1/roles").token(&owner.token).json(&request).send().await.expect(201);
    role["key"].as_str().unwrap().to_owned()
}

/// Somebody else in the owner's tenant.
pub async fn member(test: &TestApp, owner: &Actor, roles: &[&str]) -> Actor {
    let somebody = test.owner().await;
    let user: UserId = somebody.user.parse().unwrap();
    let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
    let tx = test.database.store.change_system(Cause::system("test")).await.unwrap();
    join(&tx, owner.tenant.parse().unwrap(), user, &roles).await.unwrap();
    tx.commit().await.unwrap();
    let me = test.app.get("/api/v1/me").token(&owner.token).send().await.expect(200);
    sign_in(test, &somebody.email, me["tenant"]["slug"].as_str()).await
}

/// Somebody who runs the platform.
pub async fn operator(test: &TestApp) -> Actor {
    let email = format!("operator{}@example.com", unique());
    administration::create_operator(&test.identity, &email, "Operator", PASSWORD.into()).await.unwrap();
    sign_in(test, &email, None).await
}

async fn sign_in(test: &TestApp, email: &str, tenant: Option<&str>) -> Actor {
    let mut request = json!({ "email": email, "password": PASSWORD });
    if let Some(slug) = tenant {
        request["tenant"] = slug.into();
    }
    Actor::of(&test.app.post("/api/v1/auth/login").json(&request).send().await.expect(200))
}

pub async fn service_account(test: &TestApp, owner: &Actor, roles: &[&str]) -> String {
    let request = json!({ "name": format!("Machine {}", unique()), "roles": roles });
    let account = test.app.post("/api/v1/service-accounts").token(&owner.token).json(&request).send().await.expect(201);
    account["id"].as_str().unwrap().to_owned()
}

/// A key; `wishes` are added to its name.
pub async fn key(test: &TestApp, token: &str, mut wishes: Value) -> Key {
    wishes["name"] = json!("A key");
    Key::of(&test.app.post("/api/v1/api-keys").token(token).json(&wishes).send().await.expect(201))
}
