//! DELETE invitations/{id}

use plinth_core::InvitationId;
use plinth_gateway::{Caller, Done, Endpoint, NoContent, Path, endpoint::delete};

use crate::{
    Identity,
    permissions::WriteMembers,
    tenancy::invitations::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/invitations/{id}", handler).summary("Revoke an invitation").description(
        "Its token is worth nothing from now on. One that was accepted is refused: remove the member instead.",
    )
}

async fn handler(caller: Caller<WriteMembers>, Path(id): Path<InvitationId>) -> Result<Done<NoContent>, Error> {
    let tx = caller.change().await?;
    let row = invitations::find_locked(tx.scope(), id).await?;
    caller.require_match(&invitations::show(&row, tx.scope().now())?)?;
    invitations::revoke(tx.scope(), &row).await?;
    Ok(caller.commit(tx, NoContent).await?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{accept, host, invited};
    use crate::testing::{PASSWORD, apps};
    use serde_json::json;

    #[tokio::test]
    async fn a_revoked_invitation_lets_nobody_in() {
        for test in apps().await {
            let (host, other) = (host(&test).await, test.owner().await);
            let (id, token) = invited(&test, &host.token, "new@example.com", &["member"]).await;
            let path = format!("/api/v1/invitations/{id}");
            test.app.delete(&path).token(&other.token).send().await.refused(404, "not_found");
            test.app.get(&path).token(&other.token).send().await.refused(404, "not_found");
            let stale = test.app.delete(&path).token(&host.token).header("if-match", "\"other\"");
            stale.send().await.refused(412, "stale");
            for _ in 0..2 {
                test.app.delete(&path).token(&host.token).send().await.expect(204);
            }
            let shown = test.app.get(&path).token(&host.token).send().await.expect(200);
            assert_eq!(shown["status"], "revoked");
            let body = json!({ "token": token, "name": "New", "password": PASSWORD });
            accept(&test, None, body).await.refused(422, "one_time_token_invalid");
        }
    }

    #[tokio::test]
    async fn what_is_accepted_is_not_revoked() {
        for test in apps().await {
            let host = host(&test).await;
            let (id, token) = invited(&test, &host.token, "new@example.com", &["member"]).await;
            accept(&test, None, json!({ "token": token, "name": "New", "password": PASSWORD })).await.expect(200);
            let path = format!("/api/v1/invitations/{id}");
            test.app.delete(&path).token(&host.token).send().await.refused(409, "invitation_accepted");
        }
    }
}
