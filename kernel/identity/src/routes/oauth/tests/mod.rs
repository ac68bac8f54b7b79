//! Sign-in through a provider from end to end: the kernel's real endpoints, and a provider on loopback that checks what it
//! is sent.

mod account;
mod link;
mod second_factor;
mod start;

// The provider that the protocol's own tests stand on; here an honest one is enough.
#[expect(dead_code, reason = "what its own tests bend is not bent here")]
#[path = "../../../oidc/tests/fake.rs"]
mod fake;

use plinth_core::Cause;
use plinth_testkit::Reply;
use serde_json::{Value, json};

use crate::{
    IdentityConfig, ProviderConfig,
    oidc::{ClientSecret, Provider},
    testing::{TestApp, apps_with, config},
};
use fake::Fake;

/// What the provider's tokens say of time unless a test says otherwise.
const NOW: i64 = 0;
const REDIRECT_URI: &str = "http://127.0.0.1:5173/callback";

/// An app over one database, and the provider.
struct Room {
    test: TestApp,
    fake: Fake,
}

async fn rooms() -> Vec<Room> {
    rooms_with(|_| {}).await
}

async fn rooms_with(change: impl Fn(&mut IdentityConfig)) -> Vec<Room> {
    let fake = Fake::start().await;
    let mut config = config();
    let provider = Provider {
        issuer: fake.issuer.clone(),
        client_id: fake::CLIENT_ID.to_owned(),
        client_secret: Some(ClientSecret::new(fake::CLIENT_SECRET)),
        scopes: vec!["email".to_owned()],
        allow_http_loopback: true,
    };
    let provider = ProviderConfig { display_name: "Fake".into(), provider, trust_email: true };
    config.providers.insert("other".into(), ProviderConfig { display_name: "Other".into(), ..provider.clone() });
    config.providers.insert("fake".into(), provider);
    change(&mut config);
    apps_with(config).await.into_iter().map(|test| Room { test, fake: fake.clone() }).collect()
}

/// The token of whoever asks; empty for nobody.
type Token<'a> = &'a str;
const NOBODY: Token<'static> = "";

impl Room {
    /// Who sits at the provider's keyboard from now on.
    fn person(&self, subject: &str, email: &str, verified: bool) {
        let now = self.test.identity.world().now().seconds();
        self.fake.set().claims = json!({
            "sub": subject, "email": email, "email_verified": verified, "name": "Ann at the provider",
            "iat": now, "exp": now + 300,
        });
    }

    async fn post(&self, path: &str, token: Token<'_>, body: &Value) -> Reply {
        let request = self.test.app.post(&format!("/api/v1/auth/oauth/{path}")).json(body);
        if token.is_empty() { request.send().await } else { request.token(token).send().await }
    }

    /// A start; gives what the callback has to be called with after the person agreed at the provider.
    async fn start(&self, token: Token<'_>, tenant: Option<Value>) -> Value {
        let mut request = json!({ "redirect_uri": REDIRECT_URI });
        if let Some(tenant) = tenant {
            request["tenant"] = tenant;
        }
        let started = self.post("fake/start", token, &request).await.expect(200);
        let code = self.fake.authorize(started["authorization_url"].as_str().expect("an address"));
        json!({ "state": started["state"], "code": code })
    }

    async fn callback(&self, token: Token<'_>, body: &Value) -> Reply {
        self.post("fake/callback", token, body).await
    }

    /// Start and callback of somebody who is not signed in.
    async fn sign_in(&self) -> Reply {
        let back = self.start(NOBODY, None).await;
        self.callback(NOBODY, &back).await
    }

    /// Start and callback of somebody who is.
    async fn link(&self, token: Token<'_>) -> Reply {
        let back = self.start(token, None).await;
        self.callback(token, &back).await
    }

    async fn identities(&self, token: Token<'_>) -> Value {
        let list = self.test.app.get("/api/v1/auth/identities").token(token).send().await.expect(200);
        list["data"].clone()
    }

    async fn change(&self) -> plinth_store::SystemTx {
        self.test.database.store.change_system(Cause::system("test")).await.expect("a change")
    }

    /// The owner of an address has said that it is theirs.
    async fn verify(&self, email: &str) {
        use crate::entities::users;
        use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
        let tx = self.change().await;
        tx.update::<users::Entity>()
            .col_expr(users::Column::EmailVerifiedAt, Expr::value(Some(tx.now().millis())))
            .filter(users::Column::Email.eq(email))
            .exec(&tx)
            .await
            .expect("verified");
        tx.commit().await.expect("kept");
    }
}
