//! PATCH settings

use plinth_core::api::tenants::{Settings, UpdateSettings};
use plinth_gateway::{Body, Caller, Done, Endpoint, Json, endpoint::patch};

use crate::{
    Identity,
    permissions::WriteTenant,
    tenancy::{
        settings::{self, Error},
        tenants::own_locked,
    },
    view,
};

pub fn endpoint() -> Endpoint<Identity> {
    patch("/api/v1/settings", handler).summary("Change the tenant's settings").description(
        "What is left out stays, `null` takes a setting away. `require_mfa` asks every member for an authenticator app from \
         their next request on; whoever switches it on has one already, otherwise `mfa_needed_first`. A time zone is checked \
         for its form only.",
    )
}

async fn handler(
    caller: Caller<WriteTenant>,
    Body(request): Body<UpdateSettings>,
) -> Result<Done<Json<Settings>>, Error> {
    let tx = caller.change().await?;
    let tenant = own_locked(tx.scope()).await?;
    caller.require_match(&view::settings(&tenant)?)?;
    let settings = settings::update(tx.scope(), caller.principal(), &tenant, request).await?;
    Ok(caller.commit(tx, Json(settings)).await?)
}

#[cfg(test)]
mod tests {
    use plinth_core::{Cause, UserId};
    use plinth_store::Invalidation;
    use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
    use serde_json::{Value, json};

    use crate::{
        entities::users,
        routes::api_keys::testing::member,
        testing::{Actor, TestApp, apps},
    };

    async fn change(test: &TestApp, actor: &Actor, body: Value) -> plinth_testkit::Reply {
        test.app.patch("/api/v1/settings").token(&actor.token).json(&body).send().await
    }

    async fn show(test: &TestApp, actor: &Actor) -> Value {
        test.app.get("/api/v1/settings").token(&actor.token).send().await.expect(200)
    }

    /// Somebody whose authenticator app is set up already.
    async fn enrol(test: &TestApp, actor: &Actor) {
        let user: UserId = actor.user.parse().unwrap();
        let tx = test.database.store.change_system(Cause::system("test")).await.unwrap();
        let enrolled = tx.update::<users::Entity>().col_expr(users::Column::TotpConfirmedAt, Expr::value(Some(1_i64)));
        enrolled.filter(users::Column::Id.eq(user.uuid())).exec(&tx).await.unwrap();
        tx.invalidate(Invalidation::User(user));
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_setting_is_set_kept_and_taken_away() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            assert_eq!(show(&test, &owner).await, json!({}));
            change(&test, &owner, json!({ "default_locale": "de-AT", "time_zone": "Europe/Vienna" })).await.expect(200);
            let changed =
                change(&test, &owner, json!({ "default_locale": null, "require_mfa": false })).await.expect(200);
            assert_eq!(changed, json!({ "time_zone": "Europe/Vienna", "require_mfa": false }));
            assert_eq!(show(&test, &owner).await, changed);
            assert_eq!(show(&test, &other).await, json!({}), "each tenant has its own");
        }
    }

    #[tokio::test]
    async fn mistakes_are_named_and_change_nothing() {
        for test in apps().await {
            let owner = test.owner().await;
            let wrong = change(&test, &owner, json!({ "default_locale": "deutsch!", "time_zone": "Vienna" })).await;
            let wrong = wrong.refused(422, "invalid");
            assert_eq!(
                (&wrong["errors"][0]["pointer"], &wrong["errors"][1]["pointer"]),
                (&json!("/default_locale"), &json!("/time_zone"))
            );
            change(&test, &owner, json!({ "colour": "red" })).await.refused(422, "invalid");
            let member = member(&test, &owner, &["member"]).await;
            change(&test, &member, json!({ "time_zone": "UTC" })).await.refused(403, "permission_missing");
            assert_eq!(show(&test, &member).await, json!({}));
        }
    }

    #[tokio::test]
    async fn whoever_asks_for_a_second_factor_has_one() {
        for test in apps().await {
            let owner = test.owner().await;
            let member = member(&test, &owner, &["member"]).await;
            change(&test, &owner, json!({ "require_mfa": true })).await.refused(409, "mfa_needed_first");
            show(&test, &member).await;
            enrol(&test, &owner).await;
            change(&test, &owner, json!({ "require_mfa": true })).await.expect(200);
            let shut = test.app.get("/api/v1/settings").token(&member.token).send().await;
            shut.refused(403, "mfa_enrolment_required");
            change(&test, &owner, json!({ "require_mfa": null })).await.expect(200);
            show(&test, &member).await;
        }
    }

    #[tokio::test]
    async fn what_was_seen_must_still_be_so() {
        for test in apps().await {
            let owner = test.owner().await;
            let seen = test.app.get("/api/v1/settings").token(&owner.token).send().await;
            let tag = seen.header("etag").unwrap().to_owned();
            change(&test, &owner, json!({ "time_zone": "UTC" })).await.expect(200);
            let late = test.app.patch("/api/v1/settings").token(&owner.token).header("if-match", &tag);
            late.json(&json!({ "time_zone": "Europe/Vienna" })).send().await.refused(412, "stale");
        }
    }
}
