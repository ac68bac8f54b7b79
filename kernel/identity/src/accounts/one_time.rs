//! Tokens from mails: made for one purpose, used once, forgotten when they expire.

use std::time::Duration;

use plinth_core::{Timestamp, UserId};
use plinth_store::{Error, SystemTx};
use ring::rand::SystemRandom;
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter, sea_query::Expr};

use crate::{
    entities::one_time_tokens::{ActiveModel, Column, Entity},
    tokens::{Secret, TokenKind},
};

/// What a token is for. A token of one purpose is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    VerifyEmail,
    ResetPassword,
    MagicLink,
}

impl Purpose {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "password_reset",
            Self::MagicLink => "magic_link",
        }
    }
}

/// What a redeemed token stands for.
#[derive(Debug)]
pub struct Redeemed {
    pub user: UserId,
    /// The address it was sent to.
    pub email: Option<String>,
}

/// Makes a token and ends all earlier ones of the same purpose. Returns the text for the mail.
pub async fn make(
    tx: &SystemTx,
    purpose: Purpose,
    user: UserId,
    email: &str,
    lifetime: Duration,
) -> Result<String, Error> {
    tx.delete::<Entity>()
        .filter(Column::UserId.eq(user.uuid()))
        .filter(Column::Purpose.eq(purpose.as_str()))
        .exec(tx)
        .await?;
    let secret = Secret::generate(TokenKind::OneTime, &SystemRandom::new())
        .map_err(|error| Error::Inconsistent(error.to_string()))?;
    let row = ActiveModel {
        hash: Set(secret.hash().as_bytes().to_vec()),
        purpose: Set(purpose.as_str().into()),
        user_id: Set(user.uuid()),
        email: Set(Some(email.to_owned())),
        created_at: Set(tx.now().millis()),
        expires_at: Set((tx.now() + lifetime).millis()),
        used_at: Set(None),
    };
    tx.insert(row).await?;
    Ok(secret.expose().to_owned())
}

/// Uses a token up. None when it is unknown, of another purpose, used or too old.
pub async fn redeem(tx: &SystemTx, purpose: Purpose, text: &str) -> Result<Option<Redeemed>, Error> {
    let Ok(presented) = Secret::parse(text) else { return Ok(None) };
    let hash = presented.hash().as_bytes().to_vec();
    let now: Timestamp = tx.now();
    let Some(row) = tx.find::<Entity>().filter(Column::Hash.eq(hash.clone())).one(tx).await? else { return Ok(None) };
    let usable = row.purpose == purpose.as_str() && row.used_at.is_none() && row.expires_at > now.millis();
    if !usable {
        return Ok(None);
    }
    let used = tx
        .update::<Entity>()
        .col_expr(Column::UsedAt, Expr::value(Some(now.millis())))
        .filter(Column::Hash.eq(hash))
        .filter(Column::UsedAt.is_null())
        .exec(tx)
        .await?;
    let redeemed = Redeemed { user: UserId::from_uuid(row.user_id), email: row.email };
    Ok((used.rows_affected == 1).then_some(redeemed))
}
