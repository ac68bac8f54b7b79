//! The keys that sign access tokens: one signs, its successor is published ahead of time, its predecessors verify until the
//! last token they signed has expired.

use plinth_core::{Cause, Fault, Timestamp};
use plinth_store::{Error, Invalidation, Store, SystemTx};
use ring::rand::SystemRandom;
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter, QueryOrder};

use crate::{
    IdentityConfig,
    entities::signing_keys::{ActiveModel, Column, Entity, Model},
    jwt::{SigningKey, SigningKeyError, SigningKeys},
};

pub const AUDIENCE: &str = "plinth";

#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    #[error("the database refused")]
    Store(#[from] Error),
    #[error(transparent)]
    Key(#[from] SigningKeyError),
}

impl From<SigningError> for Fault {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Store(error) => error.into(),
            SigningError::Key(error) => Self::internal("a signing key cannot be used").because(error),
        }
    }
}

/// Reads the keys, making the first one at the first start.
pub async fn load(store: &Store, config: &IdentityConfig) -> Result<SigningKeys, SigningError> {
    let cause = Cause::system("signing-keys");
    let tx = store.read_system(cause.clone()).await?;
    if let Some(keys) = read(&tx, config).await? {
        return Ok(keys);
    }
    drop(tx);
    let tx = store.change_system(cause).await?;
    if let Some(keys) = read(&tx, config).await? {
        return Ok(keys);
    }
    add(&tx, tx.now()).await?;
    let keys = read(&tx, config).await?;
    tx.commit().await?;
    keys.ok_or_else(|| Error::Inconsistent("a signing key was written and cannot be read".into()).into())
}

async fn read(tx: &SystemTx, config: &IdentityConfig) -> Result<Option<SigningKeys>, SigningError> {
    let now = tx.now();
    let rows = tx.find::<Entity>().order_by_desc(Column::ActiveFrom).all(tx).await.map_err(Error::from)?;
    let Some(active) = rows.iter().find(|row| row.active_from <= now.millis()) else { return Ok(None) };
    let mut keys = SigningKeys::new(config.public_url.clone(), AUDIENCE, open(tx, active).await?);
    for row in rows.iter().filter(|row| row.kid != active.kid) {
        if row.retired_at.is_none_or(|retired| retired > now.millis()) {
            keys = keys.trust(open(tx, row).await?.verifying().clone());
        }
    }
    Ok(Some(keys))
}

async fn open(tx: &SystemTx, row: &Model) -> Result<SigningKey, SigningError> {
    let pkcs8 = tx.store().vault().open(tx, &context(&row.kid), &row.private_key).await?;
    Ok(SigningKey::from_pkcs8(&pkcs8)?)
}

async fn add(tx: &SystemTx, active_from: Timestamp) -> Result<(), SigningError> {
    let (key, pkcs8) = SigningKey::generate(&SystemRandom::new())?;
    let row = ActiveModel {
        kid: Set(key.kid().into()),
        private_key: Set(tx.store().vault().seal(tx, &context(key.kid()), pkcs8.as_ref()).await?),
        created_at: Set(tx.now().millis()),
        active_from: Set(active_from.millis()),
        retired_at: Set(None),
    };
    tx.insert(row).await?;
    Ok(())
}

fn context(kid: &str) -> String {
    format!("signing_keys.private_key {kid}")
}

/// Says whether anything changed.
pub async fn rotate_if_due(store: &Store, config: &IdentityConfig, cause: &Cause) -> Result<bool, SigningError> {
    let tx = store.change_system(cause.clone()).await?;
    let now = tx.now();
    let rows = tx.find::<Entity>().order_by_desc(Column::ActiveFrom).all(&tx).await.map_err(Error::from)?;
    let Some(newest) = rows.first() else { return Ok(false) };
    let mut changed = false;
    let successor_at = Timestamp::from_millis(newest.active_from) + config.signing_key;
    if now + config.signing_key_overlap >= successor_at {
        add(&tx, successor_at.max(now)).await?;
        changed = true;
    }
    // Once a key has a successor in use, it verifies for the overlap and then goes.
    let active = rows.iter().find(|row| row.active_from <= now.millis());
    for row in rows.iter().filter(|row| active.is_some_and(|active| row.active_from < active.active_from)) {
        changed |= retire(&tx, row, now, config).await?;
    }
    if changed {
        tx.invalidate(Invalidation::SigningKeys);
        tx.commit().await?;
    }
    Ok(changed)
}

async fn retire(tx: &SystemTx, row: &Model, now: Timestamp, config: &IdentityConfig) -> Result<bool, SigningError> {
    match row.retired_at {
        None => {
            let until = now + config.signing_key_overlap.max(config.access_token);
            tx.update::<Entity>()
                .col_expr(Column::RetiredAt, Some(until.millis()).into())
                .filter(Column::Kid.eq(&row.kid))
                .exec(tx)
                .await
                .map_err(Error::from)?;
            Ok(true)
        }
        Some(retired) if retired <= now.millis() => {
            tx.delete::<Entity>().filter(Column::Kid.eq(&row.kid)).exec(tx).await.map_err(Error::from)?;
            Ok(true)
        }
        Some(_) => Ok(false),
    }
}
