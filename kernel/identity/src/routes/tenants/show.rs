//! GET tenants/{id}

use plinth_core::{TenantId, api::tenants::Tenant};
use plinth_gateway::{Endpoint, Json, Path, Person, endpoint::get};

use crate::{
    Identity,
    tenancy::tenants::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/tenants/{id}", handler)
        .summary("Show a tenant")
        .description("One that you belong to; an operator who holds tenants:read sees any.")
}

async fn handler(person: Person, Path(id): Path<TenantId>) -> Result<Json<Tenant>, Error> {
    let tx = person.read_system().await?;
    Ok(Json(tenants::find(&tx, person.principal(), id).await?))
}

#[cfg(test)]
mod tests {
    use crate::{routes::api_keys::testing::operator, testing::apps};

    #[tokio::test]
    async fn ones_own_is_shown_and_others_do_not_exist() {
        for test in apps().await {
            let (owner, other, operator) = (test.owner().await, test.owner().await, operator(&test).await);
            let show = |token: &str, id: &str| test.app.get(&format!("/api/v1/tenants/{id}")).token(token).send();
            assert_eq!(show(&owner.token, &owner.tenant).await.expect(200)["id"], owner.tenant);
            assert_eq!(show(&operator.token, &owner.tenant).await.expect(200)["id"], owner.tenant);
            show(&other.token, &owner.tenant).await.refused(404, "not_found");
            show(&owner.token, "ten_nonsense").await.refused(404, "not_found");
        }
    }
}
