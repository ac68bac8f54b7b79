//! Addresses: an address counts once its owner has answered the mail that was sent to it, and so does a change of it.
//!
//! Who asks for an address that belongs to somebody else is answered as if it were free; only the mailbox learns of it.

use plinth_core::{Fault, NewEvent, SYSTEM_TENANT, UserId};
use plinth_gateway::refuses;
use plinth_store::{Error as StoreError, Invalidation, SystemTx};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, sea_query::Expr};
use serde_json::json;

use super::{
    one_time::{self, Purpose},
    passwords::forgot::account,
    profile::{self, NotOneself, Oneself},
    register::send_verification,
};
use crate::{
    Identity,
    entities::{one_time_tokens, users},
    fields::email_key,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the link was used, is too old, or a newer one was sent; ask for another one")]
    TokenInvalid,
    #[error("the address belongs to another account by now; choose another one, or sign in there")]
    EmailTaken,
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::TokenInvalid => Invalid "one_time_token_invalid",
    Self::EmailTaken => Conflict "email_taken",
});

/// Why nobody is asked to send a mail again.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    #[error(transparent)]
    NotOneself(#[from] NotOneself),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(ResendError {
    Self::NotOneself(NotOneself::SessionNeeded) => Forbidden "session_needed",
    Self::NotOneself(NotOneself::Impersonating) => Forbidden "not_while_impersonating",
});

/// The owner of an address has answered.
pub async fn verify(tx: &SystemTx, token: &str) -> Result<(), Error> {
    let redeemed = one_time::redeem(tx, Purpose::VerifyEmail, token).await?.ok_or(Error::TokenInvalid)?;
    let email = redeemed.email.ok_or(Error::TokenInvalid)?;
    let user = profile::load(tx, redeemed.user).await?;
    if email == user.email {
        mark_verified(tx, &user).await?;
        return Ok(());
    }
    move_to(tx, &user, &email).await
}

/// Notes that the owner of the present address has shown to be the owner of the account.
pub async fn mark_verified(tx: &SystemTx, user: &users::Model) -> Result<(), StoreError> {
    if user.email_verified_at.is_some() {
        return Ok(());
    }
    let id = UserId::from_uuid(user.id);
    tx.update::<users::Entity>()
        .col_expr(users::Column::EmailVerifiedAt, Expr::value(Some(tx.now().millis())))
        .filter(users::Column::Id.eq(user.id))
        .exec(tx)
        .await?;
    tx.in_tenant(SYSTEM_TENANT).emit(NewEvent::new(
        "user.email_verified",
        format!("user/{id}"),
        &json!({ "user": id }),
    ));
    tx.invalidate(Invalidation::User(id));
    Ok(())
}

async fn move_to(tx: &SystemTx, user: &users::Model, email: &str) -> Result<(), Error> {
    let id = UserId::from_uuid(user.id);
    if account(tx, email).await?.is_some_and(|holder| holder.id != user.id) {
        return Err(Error::EmailTaken);
    }
    let moved = tx
        .update::<users::Entity>()
        .col_expr(users::Column::Email, Expr::value(email))
        .col_expr(users::Column::EmailKey, Expr::value(email_key(email)))
        .col_expr(users::Column::EmailVerifiedAt, Expr::value(Some(tx.now().millis())))
        .filter(users::Column::Id.eq(user.id))
        .exec(tx)
        .await
        .map_err(StoreError::from);
    // Somebody registered with the address a moment ago.
    moved.map_err(|error| if error.is_duplicate() { Error::EmailTaken } else { error.into() })?;
    // Links in the mailbox that was left behind open nothing any more.
    withdraw(tx, id, &[Purpose::ResetPassword, Purpose::MagicLink]).await?;
    tx.in_tenant(SYSTEM_TENANT).emit(NewEvent::new("user.email_changed", format!("user/{id}"), &json!({ "user": id })));
    tx.invalidate(Invalidation::User(id));
    profile::notify(
        tx,
        &user.email,
        "email_changed",
        "Your account has another address now",
        "The address of your account was changed; from now on mail goes to the new one.\n\n\
         If it was not you, turn to whoever runs this platform at once.\n",
    )
    .await?;
    Ok(())
}

/// Makes the tokens of some purposes worthless.
pub async fn withdraw(tx: &SystemTx, user: UserId, purposes: &[Purpose]) -> Result<(), StoreError> {
    use one_time_tokens::{Column, Entity};
    tx.delete::<Entity>()
        .filter(Column::UserId.eq(user.uuid()))
        .filter(Column::Purpose.is_in(purposes.iter().map(|purpose| purpose.as_str())))
        .exec(tx)
        .await?;
    Ok(())
}

/// Forgets the wish for another address: whoever made it may have been somebody else.
pub async fn withdraw_wish(tx: &SystemTx, user: &users::Model) -> Result<(), StoreError> {
    use one_time_tokens::{Column, Entity};
    tx.delete::<Entity>()
        .filter(Column::UserId.eq(user.id))
        .filter(Column::Purpose.eq(Purpose::VerifyEmail.as_str()))
        .filter(Column::Email.ne(&user.email))
        .exec(tx)
        .await?;
    Ok(())
}

/// A person wishes for an address. The last wish counts.
pub async fn ask_for(identity: &Identity, tx: &SystemTx, user: &users::Model, email: &str) -> Result<(), StoreError> {
    let id = UserId::from_uuid(user.id);
    if email == user.email && user.email_verified_at.is_some() {
        return withdraw(tx, id, &[Purpose::VerifyEmail]).await;
    }
    send(identity, tx, user, email).await?;
    let told = json!({ "user": id });
    tx.in_tenant(SYSTEM_TENANT).emit(NewEvent::new("user.email_change_requested", format!("user/{id}"), &told));
    Ok(())
}

/// Sends the mail that still waits for an answer once more: to the address that was wished for, or to the present one.
/// Emits no event: its position would go out with the answer and tell whether there was a mail to send.
pub async fn resend(identity: &Identity, tx: &SystemTx, oneself: Oneself) -> Result<(), ResendError> {
    use one_time_tokens::{Column, Entity};
    let user = profile::load(tx, oneself.user).await?;
    let waiting = tx
        .find::<Entity>()
        .filter(Column::UserId.eq(user.id))
        .filter(Column::Purpose.eq(Purpose::VerifyEmail.as_str()))
        .filter(Column::UsedAt.is_null())
        .order_by_desc(Column::CreatedAt)
        .one(tx)
        .await
        .map_err(StoreError::from)?;
    let present = user.email_verified_at.is_none().then(|| user.email.clone());
    match waiting.and_then(|token| token.email).or(present) {
        Some(email) => Ok(send(identity, tx, &user, &email).await?),
        None => Ok(()),
    }
}

async fn send(identity: &Identity, tx: &SystemTx, user: &users::Model, email: &str) -> Result<(), StoreError> {
    let id = UserId::from_uuid(user.id);
    match account(tx, email).await? {
        Some(holder) if holder.id != user.id => {
            withdraw(tx, id, &[Purpose::VerifyEmail]).await?;
            profile::notify(
                tx,
                &holder.email,
                "email_in_use",
                "Somebody wants to use your address",
                "Somebody, perhaps you, asked to use this address for another account. It is the address of your account \
                 already, so nothing was changed.\n\n\
                 If it was you, sign in with this address, or change it there first. If it was not you, do nothing.\n",
            )
            .await
        }
        _ => send_verification(identity, tx, id, email).await,
    }
}
