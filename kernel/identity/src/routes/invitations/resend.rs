//! POST invitations/{id}/resend

use axum::extract::State;
use plinth_core::{InvitationId, api::tenants::Invitation};
use plinth_gateway::{Caller, Done, Endpoint, Json, Path, endpoint::post};

use crate::{
    Identity,
    permissions::WriteMembers,
    tenancy::{
        invitations::{self, Error},
        tenants::own_locked,
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/invitations/{id}/resend", handler).summary("Send an invitation again").description(
        "With a new token, which ends the one before, and a new life; one that has expired is pending again. What holds for a \
         new invitation holds here.",
    )
}

async fn handler(
    caller: Caller<WriteMembers>,
    State(identity): State<Identity>,
    Path(id): Path<InvitationId>,
) -> Result<Done<Json<Invitation>>, Error> {
    let tx = caller.change_system().await?;
    let scope = tx.in_tenant(caller.tenant());
    let tenant = own_locked(scope).await?;
    let row = invitations::find_locked(scope, id).await?;
    let invitation = invitations::resend(&identity, &tx, scope, caller.principal(), &tenant, row).await?;
    Ok(caller.commit_system(tx, Json(invitation)).await?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{accept, host, invite, invited};
    use crate::{
        routes::api_keys::testing::{member, operator},
        testing::{PASSWORD, apps},
    };
    use serde_json::json;

    #[tokio::test]
    async fn a_new_token_ends_the_one_before_and_an_expired_one_lives_again() {
        for test in apps().await {
            let host = host(&test).await;
            let (id, first) = invited(&test, &host.token, "new@example.com", &["member"]).await;
            test.advance(8 * 86_400).await;
            let login = json!({ "email": host.email, "password": PASSWORD });
            let token = test.app.post("/api/v1/auth/login").json(&login).send().await.expect(200);
            let token = token["access_token"].as_str().unwrap();
            let resend = || test.app.post(&format!("/api/v1/invitations/{id}/resend")).token(token).send();
            let again = resend().await.expect(200);
            assert_eq!((&again["status"], &again["id"]), (&json!("pending"), &json!(id)));
            let (_, second) = test.mail_to("new@example.com").await;
            assert_ne!(first, second);
            let body = |token: &str| json!({ "token": token, "name": "New", "password": PASSWORD });
            accept(&test, None, body(&first)).await.refused(422, "one_time_token_invalid");
            accept(&test, None, body(&second)).await.expect(200);
            resend().await.refused(409, "invitation_closed");
        }
    }

    #[tokio::test]
    async fn it_is_sent_again_under_the_same_conditions() {
        for test in apps().await {
            let (host, other) = (host(&test).await, test.owner().await);
            let admin = member(&test, &host, &["admin"]).await;
            let (id, _) = invited(&test, &host.token, "boss@example.com", &["owner"]).await;
            let resend =
                |token: &str, id: &str| test.app.post(&format!("/api/v1/invitations/{id}/resend")).token(token).send();
            resend(&other.token, &id).await.refused(404, "not_found");
            resend(&admin.token, &id).await.refused(403, "email_unverified");
            let (_, confirm) = test.mail_to(&admin.email).await;
            test.app.post("/api/v1/auth/verify-email").json(&json!({ "token": confirm })).send().await.expect(204);
            resend(&admin.token, &id).await.refused(403, "beyond_own_permissions");
            let operator = operator(&test).await;
            let limits = json!({ "limits": { "users": 3 } });
            let path = format!("/api/v1/tenants/{}", host.tenant);
            test.app.patch(&path).token(&operator.token).json(&limits).send().await.expect(200);
            resend(&host.token, &id).await.expect(200);
            test.app.delete(&format!("/api/v1/invitations/{id}")).token(&host.token).send().await.expect(204);
            resend(&host.token, &id).await.refused(409, "invitation_closed");
            invite(&test, &host.token, json!({ "email": "boss@example.com", "roles": ["owner"] })).await.expect(201);
        }
    }
}
