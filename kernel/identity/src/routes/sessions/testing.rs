//! Credentials that stand for a person without being one, and a look into the outbox.

use std::time::Duration;

use plinth_core::{Cause, KeyId, SYSTEM_TENANT, SessionId, TenantId, UserId};
use sea_orm::ActiveValue::Set;

use crate::{
    administration::create_operator,
    entities::{api_keys, sessions},
    sessions::access_token,
    testing::{Actor, PASSWORD, TestApp},
    tokens::{Secret, TokenKind},
};

/// An API key of the person that may do everything a key can.
pub async fn api_key(test: &TestApp, actor: &Actor) -> String {
    let store = &test.database.store;
    let secret = Secret::generate(TokenKind::ApiKey, &ring::rand::SystemRandom::new()).expect("randomness");
    let tenant: TenantId = actor.tenant.parse().expect("a tenant");
    let tx = store.change(tenant, Cause::system("test")).await.expect("a change");
    let id: KeyId = store.world().mint();
    let row = api_keys::ActiveModel {
        id: Set(id.uuid()),
        user_id: Set(Some(actor.user.parse::<UserId>().expect("a person").uuid())),
        name: Set("Everything".into()),
        prefix: Set(secret.public_id().into()),
        hash: Set(secret.hash().as_bytes().to_vec()),
        scopes: Set(r#"["*"]"#.into()),
        created_at: Set(store.world().now().millis()),
        ..Default::default()
    };
    tx.scope().insert(row).await.expect("a key");
    tx.commit().await.expect("a commit");
    secret.expose().to_owned()
}

/// The token of an operator who acts as the person.
pub async fn impersonation(test: &TestApp, actor: &Actor) -> String {
    let store = &test.database.store;
    let (user, tenant): (UserId, TenantId) =
        (actor.user.parse().expect("a person"), actor.tenant.parse().expect("a tenant"));
    let session: SessionId = store.world().mint();
    let email = format!("operator{}@example.com", plinth_testkit::unique());
    let operator = create_operator(&test.identity, &email, "Olivia", PASSWORD.into()).await.expect("an operator").id;
    let now = store.world().now();
    let lifetime = Duration::from_mins(30);
    let tx = store.change_system(Cause::system("test")).await.expect("a change");
    let row = sessions::ActiveModel {
        id: Set(session.uuid()),
        user_id: Set(user.uuid()),
        tenant: Set(Some(tenant.uuid())),
        created_at: Set(now.millis()),
        last_seen_at: Set(now.millis()),
        expires_at: Set((now + lifetime).millis()),
        methods: Set("impersonation".into()),
        impersonator: Set(Some(operator.uuid())),
        reason: Set(Some("a test".into())),
        ..Default::default()
    };
    tx.insert(row).await.expect("a session");
    tx.commit().await.expect("a commit");
    access_token(&test.identity, now, session, user, Some(tenant), Some((operator, lifetime)))
}

/// What the mails to an address are for, the newest first.
pub async fn purposes_to(test: &TestApp, email: &str) -> Vec<String> {
    let tx = test.database.store.read_system(Cause::system("test")).await.expect("a read");
    let mails = plinth_store::mail::newest(&tx, 100).await.expect("mails");
    mails.into_iter().filter(|mail| mail.to == email).map(|mail| mail.purpose).collect()
}

/// The kinds of the events of the platform itself, the oldest first.
pub async fn platform_events(test: &TestApp) -> Vec<String> {
    use sea_orm::{ConnectionTrait, Statement};
    let tx = test.database.store.read_system(Cause::system("test")).await.expect("a read");
    let sql = match tx.get_database_backend() {
        sea_orm::DbBackend::Postgres => "select kind from events where tenant = $1 order by id",
        _ => "select kind from events where tenant = ? order by id",
    };
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, [SYSTEM_TENANT.uuid().into()]);
    let rows = tx.query_all_raw(statement).await.expect("events");
    rows.iter().map(|row| row.try_get("", "kind").expect("a kind")).collect()
}
