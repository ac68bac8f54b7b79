//! DELETE roles/{key}

use plinth_gateway::{Caller, Done, Endpoint, NoContent, Path, endpoint::delete};

use crate::{
    Identity,
    access::roles::{self, Error},
    permissions::WriteRoles,
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/roles/{key}", handler).summary("Delete a role").description(
        "Refused with `role_in_use` while members, service accounts or pending invitations hold it. System roles cannot be \
         deleted.",
    )
}

async fn handler(caller: Caller<WriteRoles>, Path(key): Path<String>) -> Result<Done<NoContent>, Error> {
    let tx = caller.change().await?;
    let row = roles::changeable(tx.scope(), &key).await?;
    caller.require_match(&roles::show(&row)?)?;
    roles::delete(tx.scope(), &row).await?;
    Ok(caller.commit(tx, NoContent).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        entities::invitations,
        routes::api_keys::testing::{member, role, service_account},
        testing::apps,
    };
    use plinth_core::{Cause, InvitationId};

    #[tokio::test]
    async fn a_role_that_nobody_holds_is_deleted() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let key = role(&test, &owner, &["roles:read"]).await;
            let delete = |token: &str, key: &str| test.app.delete(&format!("/api/v1/roles/{key}")).token(token).send();
            delete(&other.token, &key).await.refused(404, "not_found");
            delete(&owner.token, "viewer").await.refused(409, "system_role");
            delete(&owner.token, &key).await.expect(204);
            delete(&owner.token, &key).await.refused(404, "not_found");
        }
    }

    #[tokio::test]
    async fn a_role_in_use_stays_and_says_how_many_hold_it() {
        for test in apps().await {
            let owner = test.owner().await;
            let key = role(&test, &owner, &["roles:read"]).await;
            member(&test, &owner, &["member", &key]).await;
            service_account(&test, &owner, &[&key]).await;
            let tx = test.database.store.change(owner.tenant.parse().unwrap(), Cause::system("test")).await.unwrap();
            for (number, ends_in) in [(1, 60_000), (2, 0)] {
                let id: InvitationId = tx.scope().mint();
                let row = invitations::Model {
                    id: id.uuid(),
                    tenant: id.uuid(),
                    email: "ada@example.com".into(),
                    email_key: "ada@example.com".into(),
                    roles: format!("[\"{key}\"]"),
                    organization: None,
                    token_hash: vec![number],
                    invited_by: None,
                    created_at: 0,
                    expires_at: tx.scope().now().millis() + ends_in,
                    accepted_at: None,
                    revoked_at: None,
                };
                tx.scope().insert(row).await.unwrap();
            }
            tx.commit().await.unwrap();
            let delete = test.app.delete(&format!("/api/v1/roles/{key}")).token(&owner.token).send().await;
            let problem = delete.refused(409, "role_in_use");
            // A member, a machine and the invitation that can still be taken up.
            assert!(problem["detail"].as_str().unwrap().starts_with("3 "), "{problem}");
        }
    }
}
