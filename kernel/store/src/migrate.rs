//! Brings a database to the shape this kernel knows: plain SQL files, the same numbers and names for both databases.

use plinth_core::{Timestamp, World};
use ring::digest;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};

use crate::{Error, postgres::quoted};

struct Migration {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migrations {
    ($($number:literal $name:literal;)*) => {
        &[$(Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../../../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../../../migrations/postgres/", $name, ".sql")),
        }),*]
    };
}

const MIGRATIONS: &[Migration] = migrations! {
    1 "0001_foundation";
};

/// How a database compares with what this kernel knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    pub applied: Vec<String>,
    pub pending: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error(
        "migration {0} was changed after it had been applied; restore its file, released migrations are never edited"
    )]
    Changed(String),
    #[error("the database has migration {0}, which this version does not know; start the newer version that made it")]
    FromTheFuture(i64),
    #[error("migration {name} failed; nothing of it was kept")]
    Failed { name: &'static str, source: sqlx::Error },
    #[error(
        "the role {login} may not create the roles {app} and {system}; as a superuser run: \
         create role {app} nologin; create role {system} nologin; grant {app}, {system} to {login}"
    )]
    Roles { login: String, app: String, system: String, source: sqlx::Error },
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for MigrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

const HISTORY: &str = "create table if not exists schema_migrations (number bigint primary key, name text not null, \
                       checksum text not null, applied_at bigint not null)";

/// Compares what was applied with what is known.
fn compare(applied: &[(i64, String)], text_of: impl Fn(&Migration) -> &str) -> Result<Vec<usize>, MigrationError> {
    if let Some((number, _)) = applied.iter().find(|(number, _)| MIGRATIONS.iter().all(|known| known.number != *number))
    {
        return Err(MigrationError::FromTheFuture(*number));
    }
    let mut pending = Vec::new();
    for (index, known) in MIGRATIONS.iter().enumerate() {
        match applied.iter().find(|(number, _)| *number == known.number) {
            Some((_, checksum)) if *checksum == checksum_of(text_of(known)) => {}
            Some(_) => return Err(MigrationError::Changed(known.name.into())),
            None => pending.push(index),
        }
    }
    Ok(pending)
}

fn checksum_of(text: &str) -> String {
    data_encoding::HEXLOWER.encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn state_of(pending: &[usize]) -> MigrationState {
    let name = |(_, migration): (usize, &Migration)| migration.name.to_string();
    let (waiting, done): (Vec<_>, Vec<_>) =
        MIGRATIONS.iter().enumerate().partition(|(index, _)| pending.contains(index));
    MigrationState { applied: done.into_iter().map(name).collect(), pending: waiting.into_iter().map(name).collect() }
}

/// A statement for both databases: their placeholders are spelt alike.
const RECORD: &str = "insert into schema_migrations (number, name, checksum, applied_at) values ($1, $2, $3, $4)";

/// The state of a database that is not there.
pub(crate) fn nothing_applied() -> MigrationState {
    state_of(&(0..MIGRATIONS.len()).collect::<Vec<_>>())
}

pub(crate) async fn sqlite_state(connection: &mut SqliteConnection) -> Result<MigrationState, MigrationError> {
    Ok(state_of(&sqlite_pending(connection).await?))
}

async fn sqlite_pending(connection: &mut SqliteConnection) -> Result<Vec<usize>, MigrationError> {
    let known = sqlx::query("select 1 from sqlite_schema where name = 'schema_migrations'")
        .fetch_optional(&mut *connection)
        .await?;
    let mut applied = Vec::new();
    if known.is_some() {
        for row in sqlx::query("select number, checksum from schema_migrations").fetch_all(&mut *connection).await? {
            applied.push((row.try_get(0)?, row.try_get(1)?));
        }
    }
    compare(&applied, |migration| migration.sqlite)
}

pub(crate) async fn migrate_sqlite(
    connection: &mut SqliteConnection,
    world: &World,
) -> Result<MigrationState, MigrationError> {
    let pending = sqlite_pending(connection).await?;
    for _ in &pending {
        // Asked again under the lock: another process may have been first.
        let mut transaction = connection.begin_with("begin immediate").await?;
        let Some(migration) = sqlite_pending(&mut transaction).await?.first().map(|index| &MIGRATIONS[*index]) else {
            break;
        };
        let failed = |source| MigrationError::Failed { name: migration.name, source };
        sqlx::raw_sql(HISTORY).execute(&mut *transaction).await.map_err(failed)?;
        sqlx::raw_sql(AssertSqlSafe(migration.sqlite)).execute(&mut *transaction).await.map_err(failed)?;
        sqlx::query(RECORD)
            .bind(migration.number)
            .bind(migration.name)
            .bind(checksum_of(migration.sqlite))
            .bind(world.now().millis())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
    }
    Ok(state_of(&pending))
}

/// The names that the SQL files write `plinth_app` and `plinth_system` for.
pub(crate) struct Roles<'a> {
    pub app: &'a str,
    pub system: &'a str,
}

impl Roles<'_> {
    fn fill_in(&self, migration: &Migration) -> String {
        migration.postgres.replace("plinth_app", &quoted(self.app)).replace("plinth_system", &quoted(self.system))
    }
}

pub(crate) async fn postgres_state(connection: &mut PgConnection) -> Result<MigrationState, MigrationError> {
    Ok(state_of(&postgres_pending(connection).await?))
}

async fn postgres_pending(connection: &mut PgConnection) -> Result<Vec<usize>, MigrationError> {
    let known: Option<String> =
        sqlx::query_scalar("select to_regclass('schema_migrations')::text").fetch_one(&mut *connection).await?;
    let mut applied = Vec::new();
    if known.is_some() {
        for row in sqlx::query("select number, checksum from schema_migrations").fetch_all(&mut *connection).await? {
            applied.push((row.try_get(0)?, row.try_get(1)?));
        }
    }
    // The text as it is released: the names of the roles are the operator's.
    compare(&applied, |migration| migration.postgres)
}

/// Migrates as the owner of the tables; `login` is the role that the kernel will sign in with.
pub(crate) async fn migrate_postgres(
    connection: &mut PgConnection,
    roles: &Roles<'_>,
    login: &str,
    now: Timestamp,
) -> Result<MigrationState, MigrationError> {
    // Nodes that start together migrate one after the other.
    sqlx::query("select pg_advisory_lock(7308613715)").execute(&mut *connection).await?;
    create_roles(connection, roles, login).await?;
    let pending = postgres_pending(connection).await?;
    if !pending.is_empty() {
        sqlx::raw_sql(HISTORY).execute(&mut *connection).await?;
    }
    for index in &pending {
        let migration = &MIGRATIONS[*index];
        let failed = |source| MigrationError::Failed { name: migration.name, source };
        let text = roles.fill_in(migration);
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(AssertSqlSafe(text.as_str())).execute(&mut *transaction).await.map_err(failed)?;
        sqlx::query(RECORD)
            .bind(migration.number)
            .bind(migration.name)
            .bind(checksum_of(migration.postgres))
            .bind(now.millis())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
    }
    grant(connection, roles).await?;
    sqlx::query("select pg_advisory_unlock(7308613715)").execute(&mut *connection).await?;
    Ok(state_of(&pending))
}

async fn create_roles(connection: &mut PgConnection, roles: &Roles<'_>, login: &str) -> Result<(), MigrationError> {
    let mut attempt = 1;
    loop {
        match try_create_roles(connection, roles, login).await {
            // Roles belong to the whole server: a migration of another of its databases was at the same one.
            Err(sqlx::Error::Database(error)) if attempt < 5 && error.code().is_some_and(|code| collided(&code)) => {
                attempt += 1;
            }
            result => {
                return result.map_err(|source| MigrationError::Roles {
                    login: login.into(),
                    app: roles.app.into(),
                    system: roles.system.into(),
                    source,
                });
            }
        }
    }
}

/// Duplicate object, unique violation, "tuple concurrently updated".
fn collided(code: &str) -> bool {
    ["42710", "23505", "XX000"].contains(&code)
}

async fn try_create_roles(connection: &mut PgConnection, roles: &Roles<'_>, login: &str) -> Result<(), sqlx::Error> {
    let mut missing = Vec::new();
    for role in [roles.app, roles.system] {
        let held: Option<bool> =
            sqlx::query_scalar("select pg_has_role($2, oid, 'MEMBER') from pg_roles where rolname = $1")
                .bind(role)
                .bind(login)
                .fetch_optional(&mut *connection)
                .await?;
        if held.is_none() {
            missing.push(format!("create role {} nologin", quoted(role)));
        }
        if held != Some(true) {
            missing.push(format!("grant {} to {}", quoted(role), quoted(login)));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    sqlx::raw_sql(AssertSqlSafe(missing.join("; "))).execute(&mut *connection).await.map(drop)
}

/// The log can be added to and read by requests, never rewritten.
async fn grant(connection: &mut PgConnection, roles: &Roles<'_>) -> Result<(), sqlx::Error> {
    let (app, system) = (quoted(roles.app), quoted(roles.system));
    let text = format!(
        "grant usage on schema public to {app}, {system};
         grant select, insert, update, delete on all tables in schema public to {app}, {system};
         grant usage on all sequences in schema public to {app}, {system};
         revoke update, delete on events from {app};
         revoke insert, update, delete on schema_migrations from {app}, {system};"
    );
    sqlx::raw_sql(AssertSqlSafe(text.as_str())).execute(&mut *connection).await.map(drop)
}

/// Changes when a migration does: for whoever keeps a migrated database to copy from.
pub fn migrations_fingerprint() -> String {
    let all: String = MIGRATIONS.iter().map(|migration| migration.postgres).collect();
    checksum_of(&all)[..12].to_owned()
}
