//! The configuration as the rooms want it, and the rooms put together.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use plinth_core::World;
use plinth_gateway::{Cors, EdgeConfig, limit::Policy};
use plinth_identity::{CookieConfig, Identity, IdentityConfig, ProviderConfig, oidc};
use plinth_store::{Database, OpenError, SqliteConfig, Store, StoreConfig, keyring::MasterKeySource};

use crate::{
    config::{self, Config, Registration, SameSite, SecretSource},
    failure::Failure,
};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn minutes(count: u32) -> Duration {
    seconds(u64::from(count) * 60)
}

fn days(count: u32) -> Duration {
    minutes(count * 24 * 60)
}

pub fn store(config: &Config) -> StoreConfig {
    let data = &config.server.data;
    let database = match (config.store.database(data), config.store.migration_database(data)) {
        (config::Database::Postgres(url), config::Database::Postgres(migration_url)) => {
            Database::Postgres { url: url.expose().into(), migration_url: migration_url.expose().into() }
        }
        (config::Database::Postgres(url), config::Database::Sqlite(_)) => {
            Database::Postgres { url: url.expose().into(), migration_url: url.expose().into() }
        }
        (config::Database::Sqlite(path), _) => Database::Sqlite(path),
    };
    let sqlite = &config.store.sqlite;
    StoreConfig {
        database,
        max_connections: config.store.max_connections,
        acquire_timeout: Duration::from_millis(config.store.acquire_timeout_ms),
        statement_timeout: Duration::from_millis(config.store.statement_timeout_ms),
        sqlite: SqliteConfig {
            readers: sqlite.readers,
            group_commit_max: sqlite.group_commit_max,
            checkpoint_pages: sqlite.checkpoint_pages,
            busy_timeout: Duration::from_millis(sqlite.busy_timeout_ms),
        },
        app_role: config.store.app_role.clone(),
        system_role: config.store.system_role.clone(),
    }
}

/// Where the master keys come from.
pub fn master_keys(config: &Config) -> Result<MasterKeySource, Failure> {
    Ok(match config.secrets.source {
        SecretSource::File => MasterKeySource::File(config.secrets.key_file(&config.server.data)),
        SecretSource::Env => {
            let text = std::env::var("PLINTH_MASTER_KEYS").context(
                "secrets.source is env, and the variable PLINTH_MASTER_KEYS is not set; set it to the keys, or choose another source",
            )?;
            MasterKeySource::Environment { variable: "PLINTH_MASTER_KEYS".into(), text: text.into() }
        }
        SecretSource::Command => {
            MasterKeySource::Command { argv: config.secrets.command.clone(), limit: Duration::from_secs(30) }
        }
    })
}

pub fn identity(config: &Config, public_url: &str) -> IdentityConfig {
    let from = &config.identity;
    let cookies = config.server.cookies.enabled.then(|| CookieConfig {
        same_site: match config.server.cookies.same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
            SameSite::None => "None",
        },
        domain: config.server.cookies.domain.clone(),
        secure: config.server.is_https(),
    });
    IdentityConfig {
        public_url: public_url.to_owned(),
        open_registration: from.registration == Registration::Open,
        access_token: minutes(from.access_token_minutes),
        refresh_token: days(from.refresh_token_days),
        refresh_grace: seconds(u64::from(from.refresh_grace_seconds)),
        session_idle: days(from.session_idle_days),
        password_min_length: from.password_min_length,
        email_verification: minutes(from.email_verification_hours * 60),
        password_reset: minutes(from.password_reset_minutes),
        magic_link: minutes(from.magic_link_minutes),
        invitation: days(from.invitation_days),
        lockout_attempts: from.lockout_attempts,
        lockout: minutes(from.lockout_minutes),
        signing_key: days(from.signing_key_days),
        signing_key_overlap: minutes(from.signing_key_overlap_hours * 60),
        deletion_grace: days(from.deletion_grace_days),
        impersonation: minutes(from.impersonation_minutes),
        argon2_memory_kib: from.argon2_memory_kib,
        argon2_iterations: from.argon2_iterations,
        hash_threads: from.hash_threads().get(),
        cookies,
        providers: from
            .providers
            .iter()
            .map(|(name, provider)| (name.clone(), self::provider(name, provider)))
            .collect(),
    }
}

fn provider(name: &str, from: &config::ProviderConfig) -> ProviderConfig {
    let secret = (!from.client_secret.is_empty()).then(|| oidc::ClientSecret::new(from.client_secret.expose()));
    ProviderConfig {
        display_name: from.display_name.clone().unwrap_or_else(|| name.to_owned()),
        provider: oidc::Provider {
            issuer: from.issuer.clone(),
            client_id: from.client_id.clone(),
            client_secret: secret,
            scopes: from.scopes.clone(),
            allow_http_loopback: from.allow_http_loopback,
        },
        trust_email: from.trust_email,
    }
}

pub fn edge(config: &Config) -> EdgeConfig {
    let limits = &config.limits;
    let origins = config.server.cors.origins.iter().filter(|_| !config.server.cors.allows_any_origin());
    EdgeConfig {
        body_limit: config.server.body_limit_kib * 1024,
        request_timeout: seconds(config.server.request_timeout_seconds),
        idempotency_keep: minutes(config.identity.idempotency_hours * 60),
        address: Policy::new(limits.address_per_minute, limits.address_burst),
        sign_in: Policy::new(limits.sign_in_per_minute, limits.sign_in_burst),
        key: Policy::new(limits.key_per_minute, limits.key_burst),
        tenant: Policy::new(limits.tenant_per_minute, limits.tenant_burst),
        cors: (!config.server.cors.origins.is_empty()).then(|| Cors {
            origins: origins.filter_map(|origin| http::HeaderValue::try_from(origin).ok()).collect(),
            credentials: config.server.cors.credentials,
            max_age: seconds(config.server.cors.max_age_seconds),
        }),
        https: config.server.is_https(),
    }
}

/// Opens the database with its keys. The caller holds the lock of the data folder.
pub async fn open_store(config: &Config, world: World) -> Result<(Store, Arc<MasterKeySource>), Failure> {
    let source = master_keys(config)?;
    let keys = source.load(world.random()).await.context("the master keys cannot be loaded")?;
    let store = Store::open(store(config), world, keys).await.map_err(open_failed)?;
    Ok((store, Arc::new(source)))
}

/// What cannot be opened now may be later, but a wrong set-up stays wrong.
pub fn open_failed(error: OpenError) -> Failure {
    let weather = match &error {
        OpenError::Sqlite(..) => true,
        OpenError::Postgres(plinth_store::PostgresError::Store(error)) => {
            matches!(error, plinth_store::Error::Unavailable(_))
        }
        OpenError::Migration(plinth_store::MigrationError::Store(error)) => {
            matches!(error, plinth_store::Error::Unavailable(_))
        }
        _ => false,
    };
    if weather { Failure::Unavailable(error.into()) } else { Failure::Failed(error.into()) }
}

/// The room of identities over an open store, for commands that work on a stopped kernel's data.
pub async fn open_identity(config: &Config) -> Result<(Identity, Arc<MasterKeySource>), Failure> {
    let (store, source) = open_store(config, World::system()).await?;
    let public_url = config.server.base_url(config.server.listen);
    let identity =
        Identity::start(store, identity(config, &public_url)).await.context("the room of identities cannot start")?;
    Ok((identity, source))
}

/// The file of a SQLite database.
pub fn sqlite_path(config: &StoreConfig) -> Option<&Path> {
    if let Database::Sqlite(path) = &config.database { Some(path) } else { None }
}
