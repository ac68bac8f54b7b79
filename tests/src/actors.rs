//! People who use the platform. They came in through the front door, as everybody does.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use plinth_api::{
    TenantId, UserId,
    auth::{Login, NewTenant, OneTimeToken, Register, SignedIn, Tokens},
    keys::CreateApiKey,
    operations::{ClockReading, MoveClock, Outbox, OutboxMail},
    tenants::{AcceptInvitation, CreateInvitation},
};
use plinth_client::{Client, Credentials, Method};
use serde_json::Value;

use crate::{Ask, Kernel, eventually};

pub const PASSWORD: &str = "correct horse battery";

/// Somebody with an account.
#[derive(Clone)]
pub struct Actor {
    /// Speaks as this person, and renews the tokens when their time has come.
    pub client: Client,
    pub email: String,
    pub user: UserId,
    /// Where the person acts.
    pub tenant: Option<TenantId>,
    /// The pair of the sign-in. The client may have a newer one.
    pub tokens: Tokens,
    port: u16,
}

/// Numbers for names that must differ within a kernel.
pub fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Actor {
    fn new(kernel: &Kernel, email: String, signed_in: SignedIn) -> Self {
        let SignedIn { user, tenant, tokens } = signed_in;
        Self {
            client: kernel.client().with_credentials(Credentials::from(&tokens)),
            email,
            user: user.id,
            tenant: tenant.map(|tenant| tenant.id),
            tokens,
            port: kernel.port(),
        }
    }

    /// The tenant, of somebody who has one.
    pub fn tenant(&self) -> TenantId {
        self.tenant.expect("this person acts in a tenant")
    }

    pub fn access(&self) -> &str {
        &self.tokens.access_token
    }

    /// A request on the wire that carries the access token of the sign-in.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.port, method, path).token(self.access())
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Ask {
        self.ask("POST", path).json(body)
    }

    /// A new API key of this person: its text.
    pub async fn api_key(&self, scopes: &[&str]) -> plinth_api::keys::ApiKeyCreated {
        let request = CreateApiKey {
            name: format!("key {}", unique()),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            expires_at: None,
            service_account: None,
            signed_requests: false,
        };
        self.client.api_keys().create(&request).await.expect("a key").body
    }
}

impl Kernel {
    /// Somebody who signed up with a tenant of their own, and has not answered the mail.
    pub async fn newcomer(&self) -> Actor {
        let number = unique();
        let request = Register {
            email: format!("owner{number}@example.com"),
            password: PASSWORD.into(),
            name: format!("Owner {number}"),
            tenant: NewTenant { name: format!("Tenant {number}"), slug: format!("tenant-{number}") },
        };
        let signed_in = self.client().auth().register(&request).await.expect("anybody may register").body;
        Actor::new(self, request.email, signed_in)
    }

    /// The owner of a new tenant, with a verified address: may do everything in it, and invite others.
    pub async fn owner(&self) -> Actor {
        let owner = self.newcomer().await;
        let token = self.mail_token(&owner.email, "verify_email").await;
        self.client().auth().verify_email(&OneTimeToken { token }).await.expect("the address is verified");
        owner
    }

    /// The owner of another tenant: may do nothing here.
    pub async fn other_tenant(&self) -> Actor {
        self.owner().await
    }

    pub async fn admin(&self, of: &Actor) -> Actor {
        self.colleague(of, &["admin"]).await
    }

    pub async fn member(&self, of: &Actor) -> Actor {
        self.colleague(of, &["member"]).await
    }

    pub async fn viewer(&self, of: &Actor) -> Actor {
        self.colleague(of, &["viewer"]).await
    }

    /// Somebody new whom `of` invites into their tenant.
    pub async fn colleague(&self, of: &Actor, roles: &[&str]) -> Actor {
        let number = unique();
        let request = CreateInvitation {
            email: format!("colleague{number}@example.com"),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            organization: None,
        };
        of.client.invitations().create(&request).await.expect("an invitation");
        let accept = AcceptInvitation {
            token: self.mail_token(&request.email, "invitation").await,
            name: Some(format!("Colleague {number}")),
            password: Some(PASSWORD.into()),
        };
        let signed_in = self.client().invitations().accept(&accept).await.expect("a member").body;
        Actor::new(self, request.email, signed_in)
    }

    /// Somebody who runs the platform, made on the command line.
    pub async fn operator(&self) -> Actor {
        let email = format!("operator{}@example.com", unique());
        let line = self.line(["operator", "create", "--email", &email, "--password-stdin", "--json"]);
        line.stdin(PASSWORD).run().expect(0);
        self.login(&email, PASSWORD).await
    }

    pub async fn login(&self, email: &str, password: &str) -> Actor {
        let request = Login { email: email.into(), password: password.into(), totp: None, tenant: None };
        let signed_in = self.client().auth().login(&request).await.expect("the password is right").body;
        Actor::new(self, email.to_owned(), signed_in)
    }

    /// The mails that wait, newest first.
    pub async fn outbox(&self) -> Vec<OutboxMail> {
        let request = self.client().request(Method::GET, "dev/outbox");
        request.send::<Outbox>().await.expect("a development kernel has an outbox").body.data
    }

    /// The newest mail to somebody for a purpose.
    pub async fn mail(&self, to: &str, purpose: &str) -> OutboxMail {
        eventually(&format!("a mail {purpose} to {to}"), Duration::from_secs(5), async || {
            self.outbox().await.into_iter().find(|mail| mail.to == to && mail.purpose == purpose)
        })
        .await
    }

    /// The one-time token in such a mail.
    pub async fn mail_token(&self, to: &str, purpose: &str) -> String {
        self.mail(to, purpose).await.token.expect("the mail has a token")
    }

    /// Moves the kernel's clock forward.
    pub async fn advance(&self, by: Duration) -> ClockReading {
        let request = MoveClock { advance_seconds: by.as_secs() };
        self.client().operations().move_clock(&request).await.expect("a development kernel has a clock").body
    }
}
