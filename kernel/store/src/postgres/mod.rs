//! PostgreSQL: a pool that works as the application role, bound by row-level security.

use std::str::FromStr;
use std::time::Duration;

use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool, Row,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{Error, config::StoreConfig};

#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error("store.url is not a PostgreSQL address; it looks like postgres://user:password@host:5432/database")]
    Url(#[source] sqlx::Error),
    #[error(
        "the role {0} is above row-level security (superuser or bypassrls), so tenants would not be kept apart; \
         set store.app_role to a plain role, or let plinth migrate create plinth_app"
    )]
    BypassesRowSecurity(String),
    #[error("row-level security is off for the table {0}; run plinth migrate as the owner of the tables")]
    Unprotected(String),
    #[error("the role {0} does not exist yet or may not be taken; run plinth migrate")]
    NoRole(String, #[source] sqlx::Error),
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for PostgresError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

fn options(url: &str) -> Result<PgConnectOptions, PostgresError> {
    Ok(PgConnectOptions::from_str(url).map_err(PostgresError::Url)?.application_name("plinth").disable_statement_logging())
}

/// One connection as the role that the address names, for migrations.
pub(crate) async fn connect(url: &str) -> Result<PgConnection, PostgresError> {
    Ok(PgConnection::connect_with(&options(url)?).await?)
}

/// The role that an address signs in with.
pub(crate) fn login_of(url: &str) -> Result<String, PostgresError> {
    Ok(options(url)?.get_username().to_string())
}

pub(crate) async fn open(url: &str, config: &StoreConfig) -> Result<PgPool, PostgresError> {
    let timeout = config.statement_timeout.as_millis().to_string();
    let role = config.app_role.clone();
    let options = options(url)?.options([("statement_timeout", timeout.as_str()), ("role", role.as_str())]);
    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(Duration::from_secs(300))
        .connect_with(options)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(database) if database.message().contains(&role) => PostgresError::NoRole(role, error),
            _ => error.into(),
        })?;
    check_row_security(&pool).await?;
    Ok(pool)
}

/// Refuses to work as a role that would see every tenant, or over a table that lets it.
async fn check_row_security(pool: &PgPool) -> Result<(), PostgresError> {
    let row = sqlx::query("select rolname::text, rolsuper or rolbypassrls from pg_roles where rolname = current_user")
        .fetch_one(pool)
        .await?;
    if row.try_get(1)? {
        return Err(PostgresError::BypassesRowSecurity(row.try_get(0)?));
    }
    let open: Option<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid \
         where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attname = 'tenant' \
         and not a.attisdropped and not (c.relrowsecurity and c.relforcerowsecurity) limit 1",
    )
    .fetch_optional(pool)
    .await?;
    open.map_or(Ok(()), |table| Err(PostgresError::Unprotected(table)))
}
