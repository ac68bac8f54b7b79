//! Acting as somebody else, from its beginning to its end.

use plinth_core::{Cause, TenantId};
use plinth_testkit::Reply;
use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
use serde_json::{Value, json};

use crate::{
    administration::create_operator,
    entities::tenants,
    testing::{Actor, PASSWORD, TestApp, apps},
};

async fn operator(test: &TestApp, email: &str) -> Actor {
    create_operator(&test.identity, email, "Operator", PASSWORD.into()).await.expect("an operator");
    let login = json!({ "email": email, "password": PASSWORD });
    Actor::of(&test.app.post("/api/v1/auth/login").json(&login).send().await.expect(200))
}

async fn start(test: &TestApp, by: &Actor, whom: &Actor) -> Reply {
    let request = json!({ "user": whom.user, "tenant": whom.tenant, "reason": " ticket 4711 " });
    test.app.post("/api/v1/impersonations").token(&by.token).json(&request).send().await
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

async fn end(test: &TestApp, token: &str, session: &Value) -> Reply {
    test.app.delete(&format!("/api/v1/impersonations/{}", text(session))).token(token).send().await
}

/// The events of a tenant: kind, actor, impersonator and data.
async fn events(test: &TestApp, tenant: &str) -> Vec<(String, String, Option<uuid::Uuid>, Value)> {
    use sea_orm::{ConnectionTrait, Statement};
    let tenant: TenantId = tenant.parse().expect("an id");
    let tx = test.database.store.read_system(Cause::system("test")).await.expect("a read");
    let sql = "select kind, actor, impersonator, data from events where tenant = $1 order by id";
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, [tenant.uuid().into()]);
    let rows = tx.query_all_raw(statement).await.expect("events");
    rows.iter()
        .map(|row| {
            let data: String = row.try_get("", "data").expect("data");
            let data = serde_json::from_str(&data).expect("JSON");
            let column = |name: &str| row.try_get::<String>("", name).expect("a text");
            (column("kind"), column("actor"), row.try_get("", "impersonator").expect("an id"), data)
        })
        .collect()
}

#[tokio::test]
async fn an_operator_acts_as_a_person_for_half_an_hour_and_the_tenant_sees_it() {
    for test in apps().await {
        let (owner, operator) = (test.owner().await, operator(&test, "op@example.com").await);
        let started = start(&test, &operator, &owner).await.expect(201);
        assert_eq!(
            (&started["expires_in"], &started["impersonation"]["reason"]),
            (&json!(1800), &json!("ticket 4711"))
        );
        let token = text(&started["access_token"]);
        let me = test.app.get("/api/v1/me").token(token).send().await.expect(200);
        assert_eq!((&me["user"]["id"], &me["tenant"]["id"]), (&json!(owner.user), &json!(owner.tenant)));
        assert_eq!(me["impersonator"], json!(operator.user));
        let told = events(&test, &owner.tenant).await;
        let (_, actor, _, data) = told.iter().find(|event| event.0 == "impersonation.started").expect("told");
        assert_eq!(
            (actor, &data["operator"], &data["reason"]),
            (&operator.user, &json!(operator.user), &json!("ticket 4711"))
        );
        test.advance(1801).await;
        test.app.get("/api/v1/me").token(token).send().await.refused(401, "token_expired");
    }
}

#[tokio::test]
async fn it_ends_at_once_and_what_was_done_in_it_names_the_operator() {
    for test in apps().await {
        let (owner, operator) = (test.owner().await, operator(&test, "op@example.com").await);
        let started = start(&test, &operator, &owner).await.expect(201);
        let (token, session) = (text(&started["access_token"]), &started["impersonation"]["session"]);
        end(&test, &owner.token, session).await.refused(404, "not_found");
        // From inside, as a button of the application does it.
        end(&test, token, session).await.expect(204);
        test.app.get("/api/v1/me").token(token).send().await.refused(401, "token_revoked");
        end(&test, &operator.token, session).await.expect(204);
        let told = events(&test, &owner.tenant).await;
        let ends: Vec<_> = told.iter().filter(|event| event.0 == "impersonation.ended").collect();
        let by: plinth_core::UserId = operator.user.parse().expect("an id");
        assert_eq!(ends.len(), 1, "the second end ended nothing");
        assert_eq!((&ends[0].1, ends[0].2), (&owner.user, Some(by.uuid())));
        test.app.get("/api/v1/me").token(&owner.token).send().await.expect(200);
    }
}

#[tokio::test]
async fn another_operator_may_end_it() {
    for test in apps().await {
        let owner = test.owner().await;
        let (one, two) = (operator(&test, "one@example.com").await, operator(&test, "two@example.com").await);
        let started = start(&test, &one, &owner).await.expect(201);
        let session = &started["impersonation"]["session"];
        let path = format!("/api/v1/impersonations/{}", text(session));
        let stale = test.app.delete(&path).token(&two.token).header("if-match", "\"other\"").send().await;
        stale.refused(412, "stale");
        end(&test, &two.token, session).await.expect(204);
        test.app.get("/api/v1/me").token(text(&started["access_token"])).send().await.refused(401, "token_revoked");
        // The session of a person is no impersonation, whoever asks.
        let own = json!(plinth_core::SessionId::from_uuid(uuid::Uuid::from_u128(7)).to_string());
        end(&test, &two.token, &own).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn operators_and_strangers_are_nobody_to_act_as() {
    for test in apps().await {
        let (owner, other) = (test.owner().await, test.owner().await);
        let (one, two) = (operator(&test, "one@example.com").await, operator(&test, "two@example.com").await);
        start(&test, &one, &two).await.refused(403, "operator_protected");
        start(&test, &one, &one).await.refused(403, "operator_protected");
        let elsewhere = Actor { tenant: other.tenant.clone(), ..owner.clone() };
        start(&test, &one, &elsewhere).await.refused(404, "not_found");
        start(&test, &owner, &other).await.refused(403, "permission_missing");
        let request = json!({ "user": owner.user, "tenant": owner.tenant, "reason": " " });
        let unexplained = test.app.post("/api/v1/impersonations").token(&one.token).json(&request).send().await;
        assert_eq!(unexplained.refused(422, "invalid")["errors"][0]["pointer"], "/reason");
        let tx = test.database.store.change_system(Cause::system("test")).await.expect("a change");
        let tenant: TenantId = owner.tenant.parse().expect("an id");
        tx.update::<tenants::Entity>()
            .col_expr(tenants::Column::State, Expr::value("suspended"))
            .filter(tenants::Column::Id.eq(tenant.uuid()))
            .exec(&tx)
            .await
            .expect("suspended");
        tx.commit().await.expect("kept");
        start(&test, &one, &owner).await.refused(409, "tenant_suspended");
    }
}

#[tokio::test]
async fn in_it_nobody_moves_on_or_links_a_way_in() {
    for test in apps().await {
        let (owner, operator) = (test.owner().await, operator(&test, "op@example.com").await);
        let started = start(&test, &operator, &owner).await.expect(201);
        let token = text(&started["access_token"]);
        let request = test.app.post("/api/v1/auth/switch-tenant").token(token).json(&json!({ "tenant": owner.tenant }));
        request.send().await.refused(403, "impersonated");
        let begin = json!({ "redirect_uri": "http://127.0.0.1/cb" });
        let request = test.app.post("/api/v1/auth/oauth/any/start").token(token).json(&begin);
        request.send().await.refused(403, "impersonated");
        let id = plinth_core::IdentityId::from_uuid(uuid::Uuid::from_u128(7));
        let request = test.app.delete(&format!("/api/v1/auth/identities/{id}")).token(token);
        request.send().await.refused(403, "impersonated");
    }
}

#[tokio::test]
async fn the_list_is_narrowed_and_paged() {
    for test in apps().await {
        let (ann, bob) = (test.owner().await, test.owner().await);
        let (one, two) = (operator(&test, "one@example.com").await, operator(&test, "two@example.com").await);
        let mut sessions = Vec::new();
        for (by, whom) in [(&one, &ann), (&one, &bob), (&two, &bob)] {
            sessions.push(start(&test, by, whom).await.expect(201)["impersonation"]["session"].clone());
        }
        end(&test, &one.token, &sessions[0]).await.expect(204);
        let list = async |query: &str| {
            let page =
                test.app.get(&format!("/api/v1/impersonations?{query}")).token(&one.token).send().await.expect(200);
            page["data"].as_array().expect("rows").iter().map(|row| row["session"].clone()).collect::<Vec<_>>()
        };
        let [first, second, third] = [&sessions[0], &sessions[1], &sessions[2]].map(Clone::clone);
        assert_eq!(list("").await, [third.clone(), second.clone(), first.clone()]);
        assert_eq!(list(&format!("operator={}", one.user)).await, [second.clone(), first.clone()]);
        assert_eq!(list(&format!("user={}&sort=created_at", bob.user)).await, [second.clone(), third.clone()]);
        assert_eq!(list(&format!("tenant={}", ann.tenant)).await, std::slice::from_ref(&first));
        assert_eq!(list(&format!("ids={}", text(&second))).await, std::slice::from_ref(&second));
        assert_eq!(list("active=true").await, [third.clone(), second.clone()]);
        assert_eq!(list("active=false").await, std::slice::from_ref(&first));
        let get =
            |query: &str, by: &Actor| test.app.get(&format!("/api/v1/impersonations?{query}")).token(&by.token).send();
        let page = get("limit=2", &one).await.expect(200);
        assert_eq!(list(&format!("limit=2&after={}", text(&page["next"]))).await, [first]);
        let problem = get("operator=x&user=y&active=maybe", &one).await.refused(422, "invalid");
        assert_eq!(problem["errors"].as_array().expect("errors").len(), 3);
        get("", &ann).await.refused(403, "permission_missing");
    }
}
