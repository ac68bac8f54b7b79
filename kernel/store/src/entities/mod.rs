//! The store's own tables: the log, data keys, idempotency records and mail.

pub(crate) mod data_keys;
pub(crate) mod idempotency;
pub(crate) mod mails;

use plinth_core::TenantId;
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use crate::{
    Error,
    log::{Hash, Row},
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

pub(crate) async fn chain_head(connection: &impl ConnectionTrait, tenant: TenantId) -> Result<Option<Hash>, Error> {
    let query = "select hash from events where tenant = $1 order by position desc limit 1";
    let query = statement(connection, query, [tenant.uuid().into()]);
    let Some(row) = connection.query_one_raw(query).await? else { return Ok(None) };
    let hash: Vec<u8> = row.try_get_by(0)?;
    hash.try_into().map(Some).map_err(|_| Error::Inconsistent("events.hash has not 32 bytes".into()))
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

/// Makes changes of the same subjects wait for one another, so that each is given the version after the other's. All locks
/// are taken in one order: two changes never wait for each other in a circle.
pub(crate) async fn lock_subjects(connection: &impl ConnectionTrait, keys: &[i64]) -> Result<(), Error> {
    let list: Vec<String> = keys.iter().map(i64::to_string).collect();
    let text = format!("select pg_advisory_xact_lock(key) from unnest('{{{}}}'::bigint[]) as key", list.join(","));
    connection.query_all_raw(Statement::from_string(DbBackend::Postgres, text)).await?;
    Ok(())
}
