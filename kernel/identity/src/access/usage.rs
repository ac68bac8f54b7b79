//! What API keys did, by hour and route. The edge counts in memory; this writes the counts down and reads them back.

use std::{collections::HashMap, time::Duration};

use plinth_core::{
    Cause, Fault, FieldError, KeyId, Timestamp,
    api::keys::{KeyUsage, KeyUsageReport},
};
use plinth_gateway::{Edge, refuses, usage::UsageRow};
use plinth_store::{Error as StoreError, Scope, SystemTx};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value};
use uuid::Uuid;

use super::api_keys;
use crate::{
    Identity,
    entities::{api_keys as keys, key_usage},
};

const HOUR_MS: i64 = 3_600_000;
const LONGEST_REPORT: Duration = Duration::from_hours(31 * 24);
const COMMON_REPORT: Duration = Duration::from_hours(7 * 24);
/// Rows a statement carries: nine values each, far below what either database takes.
const ROWS_PER_STATEMENT: usize = 100;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such API key")]
    NotFound,
    #[error("this needs api_keys:read, unless a key asks for its own usage")]
    PermissionMissing,
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotFound => NotFound "not_found",
    Self::PermissionMissing => Forbidden "permission_missing",
} with fields);

/// Of one key, route and hour.
#[derive(Debug, Default)]
struct Sums {
    calls: i64,
    client_errors: i64,
    server_errors: i64,
    latency_sum_us: i64,
    latency_max_us: i64,
}

impl Sums {
    fn add(&mut self, row: &UsageRow) {
        self.calls += row.calls as i64;
        self.client_errors += row.client_errors as i64;
        self.server_errors += row.server_errors as i64;
        self.latency_sum_us = self.latency_sum_us.saturating_add_unsigned(row.latency_sum_us);
        self.latency_max_us = self.latency_max_us.max(i64::try_from(row.latency_max_us).unwrap_or(i64::MAX));
    }
}

/// Key, route and hour.
type Place = (Uuid, String, i64);

/// Writes down the minutes that are over, or at the end of the process everything. Says how many rows were written.
///
/// The transaction is open before the counts are taken, so a database that is away leaves them where they are.
pub async fn flush(identity: &Identity, edge: &Edge, all: bool) -> Result<u64, Fault> {
    let tx = identity.store().change_system(Cause::system("usage")).await?;
    let now = identity.world().now().millis().max(0) as u64;
    let counted = if all { edge.usage().take_all() } else { edge.usage().take_completed(now) };
    if counted.is_empty() {
        return Ok(0);
    }
    let calls: u64 = counted.iter().map(|row| row.calls).sum();
    let sums = sum(edge, &counted);
    let written = write(tx, sums).await;
    written.map_err(|error| {
        Fault::internal(format!("the usage of {calls} calls could not be written down")).because(error)
    })
}

fn sum(edge: &Edge, counted: &[UsageRow]) -> HashMap<Place, Sums> {
    let mut sums: HashMap<Place, Sums> = HashMap::new();
    for row in counted {
        let route = edge.route_name(row.route).unwrap_or_else(|| "unknown".into());
        let hour = (row.minute_ms as i64).div_euclid(HOUR_MS) * HOUR_MS;
        sums.entry((Uuid::from_u128(row.key), route, hour)).or_default().add(row);
    }
    sums
}

async fn write(tx: SystemTx, sums: HashMap<Place, Sums>) -> Result<u64, StoreError> {
    let homes = homes(&tx, &sums).await?;
    // In one order everywhere, so that two nodes that write at the same moment wait for each other and do not lock up.
    let mut rows: Vec<(Uuid, Place, Sums)> =
        sums.into_iter().filter_map(|(place, sums)| Some((*homes.get(&place.0)?, place, sums))).collect();
    rows.sort_unstable_by(|one, other| one.1.cmp(&other.1));
    for some in rows.chunks(ROWS_PER_STATEMENT) {
        tx.execute_raw(upsert(&tx, some)).await?;
    }
    tx.commit().await?;
    Ok(rows.len() as u64)
}

/// The tenants that keys belong to: an operator's key may act in another one. A key that was erased has none.
async fn homes(tx: &SystemTx, sums: &HashMap<Place, Sums>) -> Result<HashMap<Uuid, Uuid>, StoreError> {
    let mut ids: Vec<Uuid> = sums.keys().map(|place| place.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut homes = HashMap::with_capacity(ids.len());
    for some in ids.chunks(1000) {
        let found: Vec<(Uuid, Uuid)> = tx
            .find::<keys::Entity>()
            .select_only()
            .columns([keys::Column::Id, keys::Column::Tenant])
            .filter(keys::Column::Id.is_in(some.iter().copied()))
            .into_tuple()
            .all(tx)
            .await?;
        homes.extend(found);
    }
    Ok(homes)
}

fn upsert(tx: &SystemTx, rows: &[(Uuid, Place, Sums)]) -> Statement {
    let mut values: Vec<Value> = Vec::with_capacity(rows.len() * 9);
    let mut places = Vec::with_capacity(rows.len());
    for (tenant, (key, route, hour), sums) in rows {
        let first = values.len() + 1;
        let numbers: Vec<String> = (first..first + 9).map(|number| format!("${number}")).collect();
        places.push(format!("({})", numbers.join(", ")));
        values.extend::<[Value; 9]>([
            (*tenant).into(),
            (*key).into(),
            route.clone().into(),
            (*hour).into(),
            sums.calls.into(),
            sums.client_errors.into(),
            sums.server_errors.into(),
            sums.latency_sum_us.into(),
            sums.latency_max_us.into(),
        ]);
    }
    let sql = format!(
        "insert into key_usage (tenant, api_key, route, hour, calls, client_errors, server_errors, latency_sum_us, latency_max_us) \
         values {} \
         on conflict (tenant, api_key, hour, route) do update set \
         calls = key_usage.calls + excluded.calls, \
         client_errors = key_usage.client_errors + excluded.client_errors, \
         server_errors = key_usage.server_errors + excluded.server_errors, \
         latency_sum_us = key_usage.latency_sum_us + excluded.latency_sum_us, \
         latency_max_us = case when excluded.latency_max_us > key_usage.latency_max_us \
         then excluded.latency_max_us else key_usage.latency_max_us end",
        places.join(", ")
    );
    Statement::from_sql_and_values(tx.get_database_backend(), sql, values)
}

/// The hours that a report is asked for, the last week without a wish.
pub fn period(now: Timestamp, from: Option<Timestamp>, to: Option<Timestamp>) -> Result<(Timestamp, Timestamp), Error> {
    let to = to.unwrap_or(now);
    let from = from.unwrap_or(to - COMMON_REPORT);
    let refuse =
        |field: &str, message: String| Err(Error::Invalid(vec![FieldError::new(field, "invalid_value", message)]));
    if from >= to {
        return refuse("from", "a time before `to`".into());
    }
    if to.since(from) > LONGEST_REPORT {
        return refuse("from", format!("at most {} days before `to`", LONGEST_REPORT.as_secs() / 86_400));
    }
    Ok((Timestamp::from_millis(from.millis().div_euclid(HOUR_MS) * HOUR_MS), to))
}

/// What a key did in every hour that begins in the period.
pub async fn report(scope: Scope<'_>, key: KeyId, from: Timestamp, to: Timestamp) -> Result<KeyUsageReport, Error> {
    use key_usage::{Column, Entity};
    api_keys::find(scope, key).await.map_err(|error| match error {
        api_keys::Error::Fault(fault) => Error::Fault(fault),
        _ => Error::NotFound,
    })?;
    let rows = scope
        .find::<Entity>()
        .filter(Column::ApiKey.eq(key.uuid()))
        .filter(Column::Hour.gte(from.millis()))
        .filter(Column::Hour.lt(to.millis()))
        .order_by_asc(Column::Hour)
        .order_by_asc(Column::Route)
        .all(&scope)
        .await
        .map_err(StoreError::from)?;
    Ok(KeyUsageReport { from, to, rows: rows.into_iter().map(show).collect() })
}

fn show(row: key_usage::Model) -> KeyUsage {
    let millis = |micros: i64| micros as f64 / 1000.0;
    KeyUsage {
        hour: Timestamp::from_millis(row.hour),
        route: row.route,
        calls: row.calls.max(0) as u64,
        client_errors: row.client_errors.max(0) as u64,
        server_errors: row.server_errors.max(0) as u64,
        mean_ms: millis(row.latency_sum_us) / row.calls.max(1) as f64,
        max_ms: millis(row.latency_max_us),
    }
}
