//! The room behind its real layers, for the tests beside the endpoints.

use std::sync::Arc;

use plinth_gateway::Mounted;
use plinth_testkit::{App, TestDatabase, unique};
use serde_json::{Value, json};

use crate::{Identity, IdentityConfig, mount};

pub const PASSWORD: &str = "correct horse battery";

/// An app over one database.
pub struct TestApp {
    pub app: App,
    pub identity: Identity,
    pub database: TestDatabase,
}

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct Actor {
    pub email: String,
    pub user: String,
    pub tenant: String,
    pub token: String,
    pub refresh_token: String,
}

/// Hashing that costs tests nothing.
pub fn config() -> IdentityConfig {
    IdentityConfig { argon2_memory_kib: 64, argon2_iterations: 1, ..IdentityConfig::default() }
}

/// The app over each of the databases.
pub async fn apps() -> Vec<TestApp> {
    apps_with(config()).await
}

pub async fn apps_with(config: IdentityConfig) -> Vec<TestApp> {
    let mut apps = Vec::new();
    for database in plinth_testkit::databases().await {
        apps.push(TestApp::over(database, config.clone()).await);
    }
    apps
}

impl TestApp {
    pub async fn over(database: TestDatabase, config: IdentityConfig) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let identity = Identity::start(database.store.clone(), config).await.expect("the room starts");
        let mut mounted = Mounted::default();
        mount(&mut mounted, &identity);
        identity.learn_vocabulary(&mounted.vocabulary());
        let app = App::new(database.store.clone(), Arc::new(identity.clone()), mounted);
        Self { app, identity, database }
    }

    /// Somebody with a tenant of their own.
    pub async fn owner(&self) -> Actor {
        let number = unique();
        let request = json!({
            "email": format!("person{number}@example.com"), "password": PASSWORD, "name": format!("Person {number}"),
            "tenant": { "name": format!("Tenant {number}"), "slug": format!("tenant-{number}") },
        });
        Actor::of(&self.app.post("/api/v1/auth/register").json(&request).send().await.expect(201))
    }

    /// The newest mail to an address, and the token in it.
    pub async fn mail_to(&self, email: &str) -> (String, String) {
        let tx = self.database.store.read_system(plinth_core::Cause::system("test")).await.expect("a read");
        let mails = plinth_store::mail::newest(&tx, 100).await.expect("mails");
        let mail = mails.into_iter().find(|mail| mail.to == email).unwrap_or_else(|| panic!("no mail to {email}"));
        (mail.purpose, mail.token.unwrap_or_default())
    }

    pub async fn advance(&self, seconds: u64) {
        assert!(self.database.world.advance(std::time::Duration::from_secs(seconds)));
    }
}

impl Actor {
    pub fn of(signed_in: &Value) -> Self {
        let text = |pointer: &str| signed_in.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            email: text("/user/email"),
            user: text("/user/id"),
            tenant: text("/tenant/id"),
            token: text("/access_token"),
            refresh_token: text("/refresh_token"),
        }
    }
}
