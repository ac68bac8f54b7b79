//! PostgreSQL: a pool that works as the application role, bound by row-level security.

mod appender;
mod check;
mod listen;

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub(crate) use appender::Appender;
pub(crate) use listen::{listen, notification};

use crate::{Error, config::StoreConfig, error::is_away};

#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error("store.url is not a PostgreSQL address; it looks like postgres://user:password@host:5432/database")]
    Url(#[source] sqlx::Error),
    #[error(
        "the role {0} is above row-level security (superuser or bypassrls), so tenants would not be kept apart; \
         set store.app_role to a plain role, or let plinth migrate create plinth_app"
    )]
    BypassesRowSecurity(String),
    #[error(
        "the role {app} has the rights of {system}, which sees every tenant; make store.app_role and store.system_role two \
         roles of which the first is no member of the second"
    )]
    NotSeparate { app: String, system: String },
    #[error("row-level security is off for the table {0}; run plinth migrate as the owner of the tables")]
    Unprotected(String),
    #[error(
        "no row of the log is for the role {0}: the tables were made for other roles; set store.app_role to the one of then"
    )]
    Stranger(String),
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

/// Why there is no connection, in words that name the place.
#[derive(Debug, thiserror::Error)]
#[error("no PostgreSQL server answers at {host}:{port}; see that it runs, and that store.url names it")]
struct Unreachable {
    host: String,
    port: u16,
    source: sqlx::Error,
}

fn unreachable(options: &PgConnectOptions) -> impl FnOnce(sqlx::Error) -> PostgresError + use<> {
    let (host, port) = (options.get_host().to_owned(), options.get_port());
    move |source| {
        if is_away(&source) {
            Error::Unavailable(Unreachable { host, port, source }.into()).into()
        } else {
            source.into()
        }
    }
}

fn options(url: &str) -> Result<PgConnectOptions, PostgresError> {
    Ok(PgConnectOptions::from_str(url)
        .map_err(PostgresError::Url)?
        .application_name("plinth")
        .disable_statement_logging())
}

/// A name as SQL writes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// One connection as the role that the address names, for migrations.
pub(crate) async fn connect(url: &str, limit: Duration) -> Result<PgConnection, PostgresError> {
    let options = options(url)?;
    let failed = unreachable(&options);
    let connecting = PgConnection::connect_with(&options);
    tokio::time::timeout(limit, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(failed)
}

/// The role that an address signs in with.
pub(crate) fn login_of(url: &str) -> Result<String, PostgresError> {
    Ok(options(url)?.get_username().to_string())
}

pub(crate) async fn open(url: &str, config: &StoreConfig) -> Result<PgPool, PostgresError> {
    let timeout = config.statement_timeout.as_millis().to_string();
    let role = config.app_role.clone();
    let options = options(url)?.options([("statement_timeout", timeout.as_str()), ("role", role.as_str())]);
    let failed = unreachable(&options);
    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(Duration::from_mins(5))
        .connect_with(options)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(database) if database.message().contains(&role) => PostgresError::NoRole(role, error),
            _ => failed(error),
        })?;
    check::row_security(&pool, &config.system_role).await?;
    Ok(pool)
}
