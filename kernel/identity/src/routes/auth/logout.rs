//! POST auth/logout: ends the session that asks.

use axum::extract::State;
use plinth_core::Fault;
use plinth_gateway::{Done, Endpoint, NoContent, Person, endpoint::post, refuses};
use plinth_store::Error as StoreError;
use sea_orm::{ColumnTrait, QueryFilter};

use crate::{Identity, entities::sessions, routes::cookies, sessions::revoke};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("an API key has no session to end; revoke the key instead")]
    NoSession,
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NoSession => Conflict "no_session",
});

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/logout", handler).summary("End the session").description("Its tokens stop working at once.")
}

async fn handler(person: Person, State(identity): State<Identity>) -> Result<Done<NoContent>, Error> {
    let session = person.principal().session.ok_or(Error::NoSession)?;
    let tx = person.change_system().await?;
    let row = tx
        .find::<sessions::Entity>()
        .filter(sessions::Column::Id.eq(session.uuid()))
        .one(&tx)
        .await
        .map_err(StoreError::from)?;
    if let Some(row) = row {
        revoke(&tx, &row, "signed out").await?;
    }
    let done = person.commit_system(tx, NoContent).await?;
    Ok(cookies::drop(&identity, done))
}
