//! The store's own tables: the log, data keys, idempotency records and mail.

pub(crate) mod data_keys;
pub(crate) mod idempotency;
pub(crate) mod mails;

use plinth_core::TenantId;
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use crate::{
    Error,
    log::{Link, Row},
};

/// Statements of the log are written out: both databases spell their placeholders alike, and this path is hot.
fn statement(
    connection: &impl ConnectionTrait,
    sql: &'static str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), sql, values)
}

pub(crate) async fn last_version(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    subject: &str,
) -> Result<u64, Error> {
    let query = statement(
        connection,
        "select max(version) from events where tenant = $1 and subject = $2",
        [tenant.uuid().into(), subject.into()],
    );
    let last: Option<i64> = connection.query_one_raw(query).await?.map(|row| row.try_get_by(0)).transpose()?.flatten();
    Ok(last.unwrap_or(0) as u64)
}

pub(crate) async fn chain_head(connection: &impl ConnectionTrait, tenant: TenantId) -> Result<Option<Link>, Error> {
    let query = statement(connection, "select position, hash from log_heads where tenant = $1", [tenant.uuid().into()]);
    connection.query_one_raw(query).await?.map(|row| link(&row)).transpose()
}

fn link(row: &QueryResult) -> Result<Link, Error> {
    let hash: Vec<u8> = row.try_get_by(1)?;
    let hash = hash.try_into().map_err(|_| Error::Inconsistent("log_heads.hash has not 32 bytes".into()))?;
    Ok(Link { position: row.try_get_by(0)?, hash })
}

pub(crate) async fn set_chain_head(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    head: &Link,
) -> Result<(), Error> {
    let query = statement(
        connection,
        "insert into log_heads (tenant, position, hash) values ($1, $2, $3) \
         on conflict (tenant) do update set position = excluded.position, hash = excluded.hash",
        [tenant.uuid().into(), head.position.into(), head.hash.to_vec().into()],
    );
    connection.execute_raw(query).await?;
    Ok(())
}

fn values(row: &Row, version: u64) -> Vec<Value> {
    vec![
        row.id.uuid().into(),
        row.tenant.uuid().into(),
        row.subject.clone().into(),
        (version as i64).into(),
        row.kind.into(),
        row.time.millis().into(),
        row.actor.clone().into(),
        row.impersonator.into(),
        row.correlation.as_deref().map(str::to_owned).into(),
        row.origin.as_deref().map(str::to_owned).into(),
        row.data.get().to_owned().into(),
    ]
}

/// Returns the position.
pub(crate) async fn insert_sealed(
    connection: &impl ConnectionTrait,
    row: &Row,
    version: u64,
    hash: &[u8; 32],
) -> Result<i64, Error> {
    let mut values = values(row, version);
    values.push(hash.to_vec().into());
    let query = statement(
        connection,
        "insert into events (id, tenant, subject, version, kind, time, actor, impersonator, correlation, origin, data, hash) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        values,
    );
    debug_assert_eq!(connection.get_database_backend(), DbBackend::Sqlite);
    Ok(connection.execute_raw(query).await?.last_insert_id() as i64)
}

pub(crate) async fn insert_unsealed(connection: &impl ConnectionTrait, row: &Row, version: u64) -> Result<(), Error> {
    let query = statement(
        connection,
        "insert into events (id, tenant, subject, version, kind, time, actor, impersonator, correlation, origin, data) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        values(row, version),
    );
    connection.execute_raw(query).await?;
    Ok(())
}
