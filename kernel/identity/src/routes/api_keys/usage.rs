//! GET api-keys/{id}/usage: what a key did, by hour and route.

use plinth_core::{KeyId, Timestamp, api::keys::KeyUsageReport};
use plinth_gateway::{Endpoint, Json, Path, Person, Query, endpoint::get};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    Identity,
    access::usage::{self, Error},
    permissions::ReadApiKeys,
};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/api-keys/{id}/usage", handler).summary("Show what an API key did").description(
        "Calls, errors and response times by hour and route: every hour that begins in the period, the last 7 days without \
         a wish, 31 days at most. Calls are counted in about a minute after they were made. Needs `api_keys:read`, except \
         that a key may ask for its own usage.",
    )
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Period {
    #[serde(default)]
    from: Option<Timestamp>,
    #[serde(default)]
    to: Option<Timestamp>,
}

async fn handler(
    person: Person,
    Path(id): Path<KeyId>,
    Query(asked): Query<Period>,
) -> Result<Json<KeyUsageReport>, Error> {
    let principal = person.principal();
    let itself = principal.key == Some(id);
    let allowed = itself || (principal.may::<ReadApiKeys>() && !principal.must_enrol_mfa);
    let tenant = principal.tenant.filter(|_| allowed).ok_or(Error::PermissionMissing)?;
    let (from, to) = usage::period(person.world().now(), asked.from, asked.to)?;
    let tx = person.store().read(tenant, person.cause()).await?;
    Ok(Json(usage::report(tx.scope(), id, from, to).await?))
}

#[cfg(test)]
mod tests {
    use crate::{
        access::usage::flush,
        routes::api_keys::testing::{key, member, operator},
        testing::{TestApp, apps},
    };
    use plinth_testkit::Reply;
    use serde_json::json;

    fn usage(test: &TestApp, token: &str, id: &str, query: &str) -> impl Future<Output = Reply> {
        test.app.get(&format!("/api/v1/api-keys/{id}/usage{query}")).token(token).send()
    }

    #[tokio::test]
    async fn calls_are_counted_by_hour_and_route() {
        for test in apps().await {
            let owner = test.owner().await;
            let key = key(&test, &owner.token, json!({ "scopes": ["roles:*"] })).await;
            for _ in 0..3 {
                test.app.get("/api/v1/roles").token(&key.text).send().await.expect(200);
            }
            test.app.get("/api/v1/roles/nonsense").token(&key.text).send().await.expect(404);
            test.app.get("/api/v1/api-keys").token(&key.text).send().await.expect(403);
            assert_eq!(flush(&test.identity, &test.app.edge, false).await.unwrap(), 0, "the minute is not over");
            assert_eq!(usage(&test, &owner.token, &key.id, "").await.expect(200)["rows"], json!([]));
            test.advance(61).await;
            assert_eq!(flush(&test.identity, &test.app.edge, false).await.unwrap(), 3);
            assert_eq!(flush(&test.identity, &test.app.edge, false).await.unwrap(), 0, "written once");
            let report = usage(&test, &owner.token, &key.id, "").await.expect(200);
            let rows = report["rows"].as_array().unwrap();
            let seen: Vec<_> =
                rows.iter().map(|row| (row["route"].as_str().unwrap(), &row["calls"], &row["client_errors"])).collect();
            let (zero, one, three) = (json!(0), json!(1), json!(3));
            assert_eq!(
                seen,
                [
                    ("GET /api/v1/api-keys", &one, &one),
                    ("GET /api/v1/roles", &three, &zero),
                    ("GET /api/v1/roles/{key}", &one, &one),
                ]
            );
            for row in rows {
                assert!(row["hour"].as_str().unwrap().ends_with(":00:00.000Z"), "{row}");
                assert!(
                    row["mean_ms"].as_f64().unwrap() > 0.0 && row["max_ms"].as_f64() >= row["mean_ms"].as_f64(),
                    "{row}"
                );
            }
        }
    }

    #[tokio::test]
    async fn counts_of_one_hour_add_up_and_the_end_takes_everything() {
        for test in apps().await {
            let owner = test.owner().await;
            let key = key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            // To the beginning of an hour, so that the minutes below lie in one.
            let past = test.database.world.now().seconds().rem_euclid(3600) as u64;
            test.advance(3600 - past).await;
            for _ in 0..2 {
                test.app.get("/api/v1/roles").token(&key.text).send().await.expect(200);
                test.advance(120).await;
                assert_eq!(flush(&test.identity, &test.app.edge, false).await.unwrap(), 1);
            }
            test.app.get("/api/v1/roles").token(&key.text).send().await.expect(200);
            assert_eq!(flush(&test.identity, &test.app.edge, true).await.unwrap(), 1);
            let report = usage(&test, &key.text, &key.id, "").await.expect(200);
            let rows = report["rows"].as_array().unwrap();
            assert_eq!((rows.len(), &rows[0]["calls"]), (1, &json!(3)), "{report}");
            test.advance(3600).await;
            test.app.get("/api/v1/roles").token(&key.text).send().await.expect(200);
            flush(&test.identity, &test.app.edge, true).await.unwrap();
            let report = usage(&test, &key.text, &key.id, "").await.expect(200);
            let hours: Vec<_> =
                report["rows"].as_array().unwrap().iter().filter(|row| row["route"] == "GET /api/v1/roles").collect();
            assert_eq!(hours.len(), 2, "{report}");
            let later = format!("?from={}", hours[1]["hour"].as_str().unwrap());
            let report = usage(&test, &key.text, &key.id, &later).await.expect(200);
            assert!(report["rows"].as_array().unwrap().iter().all(|row| row["hour"] == hours[1]["hour"]), "{report}");
        }
    }

    #[tokio::test]
    async fn a_key_reads_its_own_usage_and_no_other() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let narrow = key(&test, &owner.token, json!({ "scopes": ["roles:read"] })).await;
            let second = key(&test, &owner.token, json!({ "scopes": ["roles:read"] })).await;
            usage(&test, &narrow.text, &narrow.id, "").await.expect(200);
            usage(&test, &narrow.text, &second.id, "").await.refused(403, "permission_missing");
            let member = member(&test, &owner, &["member"]).await;
            usage(&test, &member.token, &narrow.id, "").await.refused(403, "permission_missing");
            usage(&test, &other.token, &narrow.id, "").await.refused(404, "not_found");
        }
    }

    #[tokio::test]
    async fn a_period_is_a_month_at_most_and_runs_forward() {
        for test in apps().await {
            let owner = test.owner().await;
            let id = key(&test, &owner.token, json!({ "scopes": ["*"] })).await.id;
            for bad in [
                "?from=2026-03-01T00:00:00Z&to=2026-02-01T00:00:00Z",
                "?from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z",
                "?from=yesterday",
                "?since=2026-01-01T00:00:00Z",
            ] {
                usage(&test, &owner.token, &id, bad).await.refused(422, "invalid");
            }
            let report =
                usage(&test, &owner.token, &id, "?from=2026-01-01T10:20:00Z&to=2026-01-02T00:00:00Z").await.expect(200);
            assert_eq!(report["from"], "2026-01-01T10:00:00.000Z");
        }
    }

    #[tokio::test]
    async fn calls_in_a_visited_tenant_count_for_the_key_where_it_is_at_home() {
        for test in apps().await {
            let (owner, operator) = (test.owner().await, operator(&test).await);
            let key = key(&test, &operator.token, json!({ "scopes": ["*"] })).await;
            let visit = test.app.get("/api/v1/roles").token(&key.text).header("plinth-tenant", &owner.tenant);
            visit.send().await.expect(200);
            flush(&test.identity, &test.app.edge, true).await.unwrap();
            let report = usage(&test, &operator.token, &key.id, "").await.expect(200);
            assert_eq!(report["rows"][0]["route"], "GET /api/v1/roles");
            usage(&test, &owner.token, &key.id, "").await.refused(404, "not_found");
        }
    }
}
