//! DELETE `auth/sessions/{id}`: ends one of the caller's sessions.

use axum::extract::State;
use plinth_core::SessionId;
use plinth_gateway::{Done, Endpoint, NoContent, Path, Person, endpoint::delete};
use plinth_store::Error as StoreError;
use sea_orm::{ColumnTrait, QueryFilter};

use super::Error;
use crate::{
    Identity,
    accounts::profile::{self, Oneself},
    entities::sessions::Column,
    routes::cookies,
    sessions::revoke,
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/auth/sessions/{id}", handler)
        .summary("End one of your sessions")
        .description("Its tokens stop working at once. To end the session that asks is to sign out.")
}

async fn handler(
    person: Person,
    State(identity): State<Identity>,
    Path(id): Path<SessionId>,
) -> Result<Done<NoContent>, Error> {
    let oneself = Oneself::of(person.principal())?;
    let tx = person.change_system().await?;
    let open = profile::open_sessions(&tx, oneself.user).filter(Column::Id.eq(id.uuid()));
    let row = open.one(&tx).await.map_err(StoreError::from)?.ok_or(Error::NotFound)?;
    person.require_match(&profile::session(&row, oneself.session))?;
    revoke(&tx, &row, "ended by its owner").await?;
    let done = person.commit_system(tx, NoContent).await?;
    Ok(if id == oneself.session { cookies::drop(&identity, done) } else { done })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{Actor, PASSWORD, TestApp, apps};

    async fn current(test: &TestApp, actor: &Actor) -> Value {
        let page = test.app.get("/api/v1/auth/sessions").token(&actor.token).send().await.expect(200);
        let sessions = page["data"].as_array().unwrap();
        sessions.iter().find(|session| session["current"] == true).unwrap()["id"].clone()
    }

    #[tokio::test]
    async fn it_ends_at_once_and_only_for_its_owner() {
        for test in apps().await {
            let (owner, stranger) = (test.owner().await, test.owner().await);
            let request = json!({ "email": owner.email, "password": PASSWORD });
            let phone = Actor::of(&test.app.post("/api/v1/auth/login").json(&request).send().await.expect(200));
            let id = current(&test, &phone).await;
            let path = format!("/api/v1/auth/sessions/{}", id.as_str().unwrap());
            let end = |actor: &Actor| test.app.delete(&path).token(&actor.token).send();
            end(&stranger).await.refused(404, "not_found");
            test.app.get("/api/v1/me").token(&phone.token).send().await.expect(200);
            let stale = test.app.delete(&path).token(&owner.token).header("if-match", "\"old\"");
            stale.send().await.refused(412, "stale");
            end(&owner).await.expect(204);
            test.app.get("/api/v1/me").token(&phone.token).send().await.refused(401, "token_revoked");
            end(&owner).await.refused(404, "not_found");
            let nonsense = test.app.delete("/api/v1/auth/sessions/nonsense").token(&owner.token);
            nonsense.send().await.refused(404, "not_found");
        }
    }

    #[tokio::test]
    async fn ending_the_present_one_signs_out() {
        for test in apps().await {
            let owner = test.owner().await;
            let id = current(&test, &owner).await;
            let path = format!("/api/v1/auth/sessions/{}", id.as_str().unwrap());
            test.app.delete(&path).token(&owner.token).send().await.expect(204);
            test.app.get("/api/v1/me").token(&owner.token).send().await.refused(401, "token_revoked");
        }
    }
}
