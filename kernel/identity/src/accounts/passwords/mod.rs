//! Passwords: forgotten, set anew, changed. Beside them what else guards an account against guessing.
//!
//! Whoever sets a password ends the sessions that were opened without it, and the person is told by mail.

pub mod attempts;
pub mod change;
pub mod even_time;
pub mod forgot;
pub mod proof;
pub mod reset;

use plinth_core::{Fault, NewEvent, SYSTEM_TENANT, UserId};
use plinth_store::{Error as StoreError, SystemTx};
use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use super::{
    one_time::Purpose,
    profile,
    verify::{withdraw, withdraw_wish},
};
use crate::{Identity, entities::users};

async fn hash(identity: &Identity, password: String) -> Result<String, Fault> {
    let hash = identity.hasher().hash(identity.world().random(), password).await;
    hash.map_err(|error| Fault::internal("a password could not be hashed").because(error))
}

/// Sets a password. What an intruder may have left behind stops working: links that set another password or sign in
/// without it, and the wish for another address.
async fn set(tx: &SystemTx, user: &users::Model, hash: String, how: &'static str) -> Result<(), StoreError> {
    let id = UserId::from_uuid(user.id);
    tx.update::<users::Entity>()
        .col_expr(users::Column::Password, Expr::value(Some(hash)))
        .filter(users::Column::Id.eq(user.id))
        .exec(tx)
        .await?;
    withdraw(tx, id, &[Purpose::ResetPassword, Purpose::MagicLink]).await?;
    withdraw_wish(tx, user).await?;
    let told = json!({ "user": id, "how": how });
    tx.in_tenant(SYSTEM_TENANT).emit(NewEvent::new("user.password_changed", format!("user/{id}"), &told));
    profile::notify(
        tx,
        &user.email,
        "password_changed",
        "Your password was changed",
        "The password of your account was changed, and the other devices were signed out.\n\n\
         If it was not you, set a new one now: ask for it on the page where you sign in, under “forgotten password”.\n",
    )
    .await
}
