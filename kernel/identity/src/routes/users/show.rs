//! GET users/{id}

use plinth_core::{UserId, api::users::User};
use plinth_gateway::{Caller, Endpoint, Json, Path, endpoint::get};
use plinth_store::Error as StoreError;
use sea_orm::{ColumnTrait, QueryFilter};

use super::{Error, members_of, sees_everybody};
use crate::{Identity, entities::users, permissions::ReadMembers, view};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/users/{id}", handler).summary("Show a person").description(
        "Somebody who belongs to the tenant; operators with `tenants:read` see anybody, in the system tenant.",
    )
}

async fn handler(caller: Caller<ReadMembers>, Path(id): Path<UserId>) -> Result<Json<User>, Error> {
    let tx = caller.read_system().await?;
    let seen = if sees_everybody(&caller) { tx.find::<users::Entity>() } else { members_of(&tx, caller.tenant()) };
    let row = seen.filter(users::Column::Id.eq(id.uuid())).one(&tx).await.map_err(StoreError::from)?;
    Ok(Json(view::user(&row.ok_or(Error::NotFound)?)))
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{member, operator},
        testing::apps,
    };

    #[tokio::test]
    async fn a_person_is_seen_by_those_who_share_a_tenant_and_by_operators() {
        for test in apps().await {
            let (owner, stranger) = (test.owner().await, test.owner().await);
            let member = member(&test, &owner, &["member"]).await;
            let show = |token: &str, id: &str| test.app.get(&format!("/api/v1/users/{id}")).token(token);
            assert_eq!(show(&owner.token, &member.user).send().await.expect(200)["email"], member.email);
            show(&owner.token, &stranger.user).send().await.refused(404, "not_found");
            show(&stranger.token, &owner.user).send().await.refused(404, "not_found");
            show(&owner.token, "usr_nonsense").send().await.refused(404, "not_found");
            let operator = operator(&test).await;
            assert_eq!(show(&operator.token, &owner.user).send().await.expect(200)["id"], owner.user);
            let visiting = show(&operator.token, &stranger.user).header("plinth-tenant", &owner.tenant);
            visiting.send().await.refused(404, "not_found");
        }
    }
}
