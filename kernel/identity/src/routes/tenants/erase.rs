//! POST tenants/{id}/erase

use axum::extract::State;
use plinth_core::{
    TenantId,
    api::tenants::{ErasurePlan, Reason},
};
use plinth_gateway::{Body, Caller, Done, DryRun, Endpoint, Json, Path, Query, endpoint::post};

use crate::{
    Identity,
    permissions::EraseTenant,
    tenancy::tenants::life::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/tenants/{id}/erase", handler).summary("Have a tenant erased").description(
        "It is shut at once: owners may still look, take an export and restore it. When the grace has ended all its data is \
         destroyed for good. With `dry_run=true` nothing changes and the answer says what would be destroyed. The tenant you \
         act in; an operator who holds tenants:erase addresses any.",
    )
}

async fn handler(
    caller: Caller<EraseTenant>,
    State(identity): State<Identity>,
    Path(id): Path<TenantId>,
    Query(DryRun { dry_run }): Query<DryRun>,
    Body(request): Body<Reason>,
) -> Result<Done<Json<ErasurePlan>>, Error> {
    life::may_erase(caller.principal(), caller.tenant(), id)?;
    life::check_reason(&request.reason)?;
    let grace = identity.config().deletion_grace;
    let tx = caller.change_system().await?;
    let plan =
        if dry_run { life::plan(&tx, id, grace).await? } else { life::erase(&tx, id, &request.reason, grace).await? };
    Ok(caller.commit_system(tx, Json(plan)).await?)
}

#[cfg(test)]
mod tests {
    use plinth_core::SYSTEM_TENANT;
    use plinth_testkit::Reply;
    use serde_json::{Value, json};

    use crate::{
        routes::api_keys::testing::{key, member, operator, service_account},
        testing::{Actor, PASSWORD, TestApp, apps},
    };

    const GRACE: u64 = 30 * 86_400;

    async fn act(test: &TestApp, token: &str, tenant: &str, what: &str) -> Reply {
        let request = test.app.post(&format!("/api/v1/tenants/{tenant}/{what}")).token(token);
        if what.starts_with("re") {
            request.send().await
        } else {
            request.json(&json!({ "reason": "we move on" })).send().await
        }
    }

    async fn show(test: &TestApp, actor: &Actor, tenant: &str) -> Value {
        test.app.get(&format!("/api/v1/tenants/{tenant}")).token(&actor.token).send().await.expect(200)
    }

    async fn sign_in(test: &TestApp, email: &str) -> Actor {
        let request = json!({ "email": email, "password": PASSWORD });
        Actor::of(&test.app.post("/api/v1/auth/login").json(&request).send().await.expect(200))
    }

    #[tokio::test]
    async fn a_dry_run_counts_and_changes_nothing() {
        for test in apps().await {
            let owner = test.owner().await;
            member(&test, &owner, &["member"]).await;
            key(&test, &owner.token, json!({ "scopes": ["*"], "signed_requests": true })).await;
            let plan = act(&test, &owner.token, &owner.tenant, "erase?dry_run=true").await.expect(200);
            let counts = &plan["counts"];
            assert_eq!((&plan["dry_run"], &plan["tenant"]["state"]), (&json!(true), &json!("active")));
            for (kind, count) in [("members", 2), ("api_keys", 1), ("sessions", 2), ("data_keys", 1), ("roles", 0)] {
                assert_eq!(counts[kind], count, "{kind} in {counts}");
            }
            assert_eq!(show(&test, &owner, &owner.tenant).await["state"], "active");
            test.app.get("/api/v1/organizations").token(&owner.token).send().await.expect(200);
        }
    }

    #[tokio::test]
    async fn until_its_end_owners_may_look_and_restore_and_others_are_out() {
        for test in apps().await {
            let owner = test.owner().await;
            let member = member(&test, &owner, &["admin"]).await;
            let plan = act(&test, &owner.token, &owner.tenant, "erase").await.expect(200);
            assert_eq!((&plan["dry_run"], &plan["tenant"]["state"]), (&json!(false), &json!("pending_deletion")));
            assert_eq!(plan["tenant"]["erase_at"], plan["erase_at"]);
            assert_eq!(test.mail_to(&owner.email).await.0, "tenant_erasure");
            act(&test, &owner.token, &owner.tenant, "erase").await.refused(409, "tenant_state");
            test.app.get("/api/v1/me").token(&member.token).send().await.refused(403, "tenant_suspended");
            test.app.get("/api/v1/roles").token(&owner.token).send().await.expect(200);
            test.app
                .get(&format!("/api/v1/tenants/{}/export", owner.tenant))
                .token(&owner.token)
                .send()
                .await
                .expect(200);
            let write =
                test.app.post("/api/v1/organizations").token(&owner.token).json(&json!({ "name": "T", "slug": "tea" }));
            write.send().await.refused(403, "permission_missing");
            assert_eq!(test.identity.erase_due_tenants().await.unwrap(), 0, "the grace has not ended");
            let restored = act(&test, &owner.token, &owner.tenant, "restore").await.expect(200);
            assert_eq!((&restored["state"], &restored["erase_at"]), (&json!("active"), &json!(null)));
            test.app.get("/api/v1/me").token(&member.token).send().await.expect(200);
            act(&test, &owner.token, &owner.tenant, "restore").await.refused(409, "tenant_state");
            test.advance(GRACE + 60).await;
            assert_eq!(test.identity.erase_due_tenants().await.unwrap(), 0, "it was restored");
        }
    }

    #[tokio::test]
    async fn a_suspended_tenant_is_restored_as_suspended() {
        for test in apps().await {
            let (owner, operator) = (test.owner().await, operator(&test).await);
            act(&test, &operator.token, &owner.tenant, "suspend").await.expect(200);
            act(&test, &operator.token, &owner.tenant, "erase").await.expect(200);
            act(&test, &operator.token, &owner.tenant, "suspend").await.refused(409, "tenant_state");
            let restored = act(&test, &operator.token, &owner.tenant, "restore").await.expect(200);
            assert_eq!((&restored["state"], &restored["state_reason"]), (&json!("suspended"), &json!("we move on")));
        }
    }

    #[tokio::test]
    async fn after_the_grace_nothing_is_left_but_the_log() {
        for test in apps().await {
            let (owner, other, operator) = (test.owner().await, test.owner().await, operator(&test).await);
            member(&test, &owner, &["member"]).await;
            service_account(&test, &owner, &["viewer"]).await;
            let doomed = key(&test, &owner.token, json!({ "scopes": ["*"], "signed_requests": false })).await;
            let spared = key(&test, &other.token, json!({ "scopes": ["*"] })).await;
            let team = test.app.post("/api/v1/organizations").token(&owner.token).header("idempotency-key", "team");
            team.json(&json!({ "name": "T", "slug": "team" })).send().await.expect(201);
            act(&test, &owner.token, &owner.tenant, "erase").await.expect(200);
            test.advance(GRACE + 60).await;
            assert_eq!(test.identity.erase_due_tenants().await.unwrap(), 1);
            assert_eq!(test.identity.erase_due_tenants().await.unwrap(), 0);

            let operator = sign_in(&test, &operator.email).await;
            let gone = show(&test, &operator, &owner.tenant).await;
            assert_eq!(gone["state"], "erased");
            assert_eq!(gone["slug"], format!("erased-{}", &owner.tenant[4..]));
            assert_eq!((&gone["name"], &gone["erase_at"]), (&gone["slug"], &json!(null)));
            let visit = test.app.get("/api/v1/roles").token(&operator.token).header("plinth-tenant", &owner.tenant);
            visit.send().await.refused(404, "not_found");
            act(&test, &operator.token, &owner.tenant, "restore").await.refused(409, "tenant_state");
            test.app.get("/api/v1/me").token(&doomed.text).send().await.refused(401, "token_invalid");
            test.app.get("/api/v1/me").token(&spared.text).send().await.expect(200);

            let person = sign_in(&test, &owner.email).await;
            assert_eq!(person.tenant, "", "the person stays, with nowhere to be");
            let id: plinth_core::TenantId = owner.tenant.parse().unwrap();
            let tx = test.database.store.read_system(plinth_core::Cause::system("test")).await.unwrap();
            let left = crate::tenancy::erasure::counts(&tx, id).await.unwrap();
            assert!(left.values().all(|count| *count == 0), "{left:?}");
            let spared = crate::tenancy::erasure::counts(&tx, other.tenant.parse().unwrap()).await.unwrap();
            assert_eq!((spared["members"], spared["api_keys"]), (1, 1));
            let kinds = crate::tenancy::erasure::tests::events(&tx, id).await;
            assert!(kinds.contains(&"tenant.created".into()) && kinds.contains(&"tenant.erased".into()), "{kinds:?}");
        }
    }

    #[tokio::test]
    async fn only_those_who_may_end_a_tenant() {
        for test in apps().await {
            let (owner, other, operator) = (test.owner().await, test.owner().await, operator(&test).await);
            let admin = member(&test, &owner, &["admin"]).await;
            act(&test, &admin.token, &owner.tenant, "erase").await.refused(403, "permission_missing");
            act(&test, &other.token, &owner.tenant, "erase").await.refused(404, "not_found");
            act(&test, &operator.token, &SYSTEM_TENANT.to_string(), "erase").await.refused(409, "system_tenant");
            let path = format!("/api/v1/tenants/{}/erase", owner.tenant);
            test.app
                .post(&path)
                .token(&owner.token)
                .json(&json!({ "reason": "" }))
                .send()
                .await
                .refused(422, "invalid");
            let odd = test.app.post(&format!("{path}?dry=true")).token(&owner.token).json(&json!({ "reason": "r" }));
            odd.send().await.refused(422, "invalid");
            assert_eq!(show(&test, &owner, &owner.tenant).await["state"], "active");
            act(&test, &operator.token, &owner.tenant, "erase").await.expect(200);
        }
    }
    #[tokio::test]
    async fn an_impersonation_ends_no_tenant() {
        for test in apps().await {
            let (owner, operator) = (test.owner().await, operator(&test).await);
            let body = json!({ "user": owner.user, "tenant": owner.tenant, "reason": "support" });
            let started =
                test.app.post("/api/v1/impersonations").token(&operator.token).json(&body).send().await.expect(201);
            let token = started["access_token"].as_str().unwrap();
            act(&test, token, &owner.tenant, "erase").await.refused(403, "not_while_impersonating");
            let one = test.app.get("/api/v1/tenants").token(token).send().await.expect(200);
            assert_eq!(one["total_estimate"], 1);
            let body = json!({ "name": "N", "slug": "new" });
            let new = test.app.post("/api/v1/tenants").token(token).json(&body).send().await;
            new.refused(403, "not_while_impersonating");
        }
    }
}
