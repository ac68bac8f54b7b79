//! POST auth/switch-tenant: the session moves to another tenant of the same person.

use axum::extract::State;
use plinth_core::{
    Actor, Fault, NewEvent, SessionId, TenantId, UserId,
    api::{
        auth::{SignedIn, SwitchTenant, Tokens},
        tenants::TenantState,
    },
};
use plinth_gateway::{Body, Done, Endpoint, Json, Person, endpoint::post, refuses};
use plinth_store::{Error as StoreError, Invalidation, SystemTx};
use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use crate::{
    Identity,
    entities::{memberships, refresh_tokens, sessions, tenants, users},
    routes::cookies,
    sessions::issue,
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("only a signed-in person has a session to move; a key stays in its tenant")]
    NoSession,
    #[error("who acts as somebody else stays in the tenant that was asked for; start another impersonation")]
    Impersonated,
    #[error("you do not belong to a tenant with this id")]
    NotFound,
    #[error("the tenant is suspended; it can be entered again once it is resumed")]
    Suspended,
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NoSession => Conflict "no_session",
    Self::Impersonated => Forbidden "impersonated",
    Self::NotFound => NotFound "not_found",
    Self::Suspended => Forbidden "tenant_suspended",
});

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/switch-tenant", handler)
        .summary("Act in another of your tenants")
        .description(
            "The session stays the same and its tokens are replaced: use the new pair from now on. The old access token acts \
             no longer in the tenant that was left, and the old refresh token ends after a minute.",
        )
}

async fn handler(
    person: Person,
    State(identity): State<Identity>,
    Body(request): Body<SwitchTenant>,
) -> Result<Done<Json<SignedIn>>, Error> {
    let principal = person.principal();
    let (Some(session), Actor::User(user)) = (principal.session, principal.actor) else { return Err(Error::NoSession) };
    if principal.impersonator.is_some() {
        return Err(Error::Impersonated);
    }
    let tx = person.change_system().await?;
    let signed_in = switch(&identity, &tx, session, user, request.tenant).await?;
    let refresh_token = signed_in.tokens.refresh_token.clone();
    let done = person.commit_system(tx, Json(signed_in)).await?;
    Ok(cookies::keep(&identity, done, &refresh_token))
}

async fn switch(
    identity: &Identity,
    tx: &SystemTx,
    session: SessionId,
    user: UserId,
    wanted: TenantId,
) -> Result<SignedIn, Error> {
    let belongs =
        tx.in_tenant(wanted).find::<memberships::Entity>().filter(memberships::Column::UserId.eq(user.uuid()));
    belongs.one(tx).await.map_err(StoreError::from)?.ok_or(Error::NotFound)?;
    let tenant = tx.find::<tenants::Entity>().filter(tenants::Column::Id.eq(wanted.uuid())).one(tx).await;
    let tenant = tenant.map_err(StoreError::from)?.ok_or(Error::NotFound)?;
    match view::tenant_state(&tenant.state)? {
        TenantState::Active | TenantState::PendingDeletion => {}
        // Nobody could leave it again: everything in a suspended tenant is refused.
        TenantState::Suspended => return Err(Error::Suspended),
        TenantState::Erased => return Err(Error::NotFound),
    }
    let row = tx.find::<users::Entity>().filter(users::Column::Id.eq(user.uuid())).one(tx).await;
    let row = row.map_err(StoreError::from)?.ok_or(Error::NotFound)?;
    move_session(identity, tx, session, user, wanted).await?;
    let tokens = new_pair(identity, tx, session, user, wanted).await?;
    Ok(SignedIn { user: view::user(&row), tenant: Some(view::tenant(&tenant)?), tokens })
}

async fn move_session(
    identity: &Identity,
    tx: &SystemTx,
    session: SessionId,
    user: UserId,
    wanted: TenantId,
) -> Result<(), Error> {
    use sessions::{Column, Entity};
    let config = identity.config();
    let row = tx.find::<Entity>().filter(Column::Id.eq(session.uuid())).one(tx).await.map_err(StoreError::from)?;
    let left = row.ok_or(Error::NoSession)?.tenant.map(TenantId::from_uuid);
    tx.update::<Entity>()
        .col_expr(Column::Tenant, Expr::value(Some(wanted.uuid())))
        .col_expr(Column::LastSeenAt, Expr::value(tx.now().millis()))
        .col_expr(Column::ExpiresAt, Expr::value((tx.now() + config.session_idle).millis()))
        .filter(Column::Id.eq(session.uuid()))
        .exec(tx)
        .await
        .map_err(StoreError::from)?;
    tx.invalidate(Invalidation::Session(session));
    // Neither tenant learns of the other.
    let told = json!({ "user": user, "session": session });
    if let Some(left) = left.filter(|left| *left != wanted) {
        tx.in_tenant(left).emit(NewEvent::new("session.left", format!("session/{session}"), &told));
    }
    tx.in_tenant(wanted).emit(NewEvent::new("session.entered", format!("session/{session}"), &told));
    Ok(())
}

/// A new pair. Earlier refresh tokens end after the grace of a lost reply, so that the session goes on with one.
async fn new_pair(
    identity: &Identity,
    tx: &SystemTx,
    session: SessionId,
    user: UserId,
    tenant: TenantId,
) -> Result<Tokens, Error> {
    use refresh_tokens::{Column, Entity};
    let (now, config) = (tx.now(), identity.config());
    let grace = (now + config.refresh_grace).millis();
    tx.update::<Entity>()
        .col_expr(Column::ExpiresAt, Expr::value(grace))
        .filter(Column::Session.eq(session.uuid()))
        .filter(Column::UsedAt.is_null())
        .filter(Column::ExpiresAt.gt(grace))
        .exec(tx)
        .await
        .map_err(StoreError::from)?;
    Ok(issue(identity, tx, session, user, Some(tenant)).await?)
}

#[cfg(test)]
mod tests {
    use plinth_core::{Cause, TenantId, UserId};
    use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
    use serde_json::{Value, json};

    use crate::{
        accounts::register::join,
        entities::tenants,
        testing::{Actor, TestApp, apps},
    };

    /// Somebody with a tenant of their own who is a viewer in `of` besides.
    async fn viewer(test: &TestApp, of: &Actor) -> Actor {
        let viewer = test.owner().await;
        let tx = test.database.store.change_system(Cause::system("test")).await.expect("a change");
        let (tenant, user): (TenantId, UserId) =
            (of.tenant.parse().expect("an id"), viewer.user.parse().expect("an id"));
        join(&tx, tenant, user, &["viewer".into()]).await.expect("a member");
        tx.commit().await.expect("kept");
        viewer
    }

    async fn switch(test: &TestApp, token: &str, tenant: &str) -> plinth_testkit::Reply {
        test.app.post("/api/v1/auth/switch-tenant").token(token).json(&json!({ "tenant": tenant })).send().await
    }

    async fn me(test: &TestApp, token: &str) -> Value {
        test.app.get("/api/v1/me").token(token).send().await.expect(200)
    }

    #[tokio::test]
    async fn a_session_moves_and_its_old_tokens_do_not_act_in_the_tenant_that_was_left() {
        for test in apps().await {
            let host = test.owner().await;
            let guest = viewer(&test, &host).await;
            assert_eq!(me(&test, &guest.token).await["tenant"]["id"], guest.tenant);
            let moved = Actor::of(&switch(&test, &guest.token, &host.tenant).await.expect(200));
            assert_eq!(moved.tenant, host.tenant);
            let now = me(&test, &moved.token).await;
            assert_eq!((&now["tenant"]["id"], &now["roles"]), (&json!(host.tenant), &json!(["viewer"])));
            let old = test.app.get("/api/v1/me").token(&guest.token).send().await;
            assert_ne!(old.body["tenant"]["id"], guest.tenant, "{}", old.text);
            let refresh = async |token: &str| {
                test.app.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": token })).send().await
            };
            test.advance(61).await;
            refresh(&guest.refresh_token).await.refused(401, "refresh_invalid");
            let pair = refresh(&moved.refresh_token).await.expect(200);
            let token = pair["access_token"].as_str().expect("a token");
            assert_eq!(me(&test, token).await["tenant"]["id"], host.tenant);
        }
    }

    #[tokio::test]
    async fn a_tenant_of_others_is_as_good_as_none() {
        for test in apps().await {
            let (one, other) = (test.owner().await, test.owner().await);
            let nowhere = TenantId::from_uuid(uuid::Uuid::from_u128(7)).to_string();
            let theirs = switch(&test, &one.token, &other.tenant).await.refused(404, "not_found");
            let none = switch(&test, &one.token, &nowhere).await.refused(404, "not_found");
            assert_eq!(theirs["detail"], none["detail"]);
            assert_eq!(me(&test, &one.token).await["tenant"]["id"], one.tenant);
            let request = test.app.post("/api/v1/auth/switch-tenant").token(&one.token);
            request.json(&json!({ "tenant": one.tenant, "extra": 1 })).send().await.refused(422, "invalid");
        }
    }

    #[tokio::test]
    async fn a_suspended_tenant_is_not_entered() {
        for test in apps().await {
            let host = test.owner().await;
            let guest = viewer(&test, &host).await;
            let tx = test.database.store.change_system(Cause::system("test")).await.expect("a change");
            let tenant: TenantId = host.tenant.parse().expect("an id");
            tx.update::<tenants::Entity>()
                .col_expr(tenants::Column::State, Expr::value("suspended"))
                .filter(tenants::Column::Id.eq(tenant.uuid()))
                .exec(&tx)
                .await
                .expect("suspended");
            tx.commit().await.expect("kept");
            switch(&test, &guest.token, &host.tenant).await.refused(403, "tenant_suspended");
            assert_eq!(me(&test, &guest.token).await["tenant"]["id"], guest.tenant);
        }
    }
}
