//! The typed configuration, section by section. `config/default.toml` says what each key means and holds its default;
//! no field has a default here, so a key forgotten there is noticed by the first test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use super::database::{self, Database};
use super::secret::Secret;
use super::values;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: ServerConfig,
    pub limits: LimitConfig,
    pub store: StoreConfig,
    pub secrets: SecretsConfig,
    pub identity: IdentityConfig,
    pub log: LogConfig,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    pub data: PathBuf,
    #[serde(deserialize_with = "values::optional_url")]
    pub public_url: Option<Url>,
    pub drain_seconds: u64,
    pub request_timeout_seconds: u64,
    pub header_timeout_seconds: u64,
    pub body_limit_kib: usize,
    pub max_connections: usize,
    #[serde(deserialize_with = "values::networks")]
    pub trusted_proxies: Vec<IpNet>,
    pub dev: bool,
    pub docs: bool,
    pub tls: TlsConfig,
    pub cors: CorsConfig,
    pub cookies: CookieConfig,
}

impl ServerConfig {
    /// The address users see, without a final slash. `bound` is where the listener really is, as `listen` may have left
    /// the port open.
    pub fn base_url(&self, bound: SocketAddr) -> String {
        if let Some(url) = &self.public_url {
            return url.origin().ascii_serialization();
        }
        let scheme = if self.tls.files().is_some() { "https" } else { "http" };
        if bound.ip().is_unspecified() {
            // The wildcard address cannot be called.
            return format!("{scheme}://localhost:{}", bound.port());
        }
        format!("{scheme}://{bound}")
    }

    /// Browsers reach the platform over HTTPS, whether the kernel or a proxy ends it.
    pub fn is_https(&self) -> bool {
        match &self.public_url {
            Some(url) => url.scheme() == "https",
            None => self.tls.files().is_some(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    #[serde(deserialize_with = "values::optional_path")]
    pub cert: Option<PathBuf>,
    #[serde(deserialize_with = "values::optional_path")]
    pub key: Option<PathBuf>,
    pub reload_seconds: u64,
}

impl TlsConfig {
    /// Certificate chain and private key; none means plain HTTP.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        Some((self.cert.as_deref()?, self.key.as_deref()?))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsConfig {
    pub origins: Vec<String>,
    pub credentials: bool,
    pub max_age_seconds: u64,
}

impl CorsConfig {
    pub fn allows_any_origin(&self) -> bool {
        self.origins.iter().any(|origin| origin == "*")
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CookieConfig {
    pub enabled: bool,
    pub same_site: SameSite,
    #[serde(deserialize_with = "values::optional_text")]
    pub domain: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    Lax,
    Strict,
    None,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    pub address_per_minute: u32,
    pub address_burst: u32,
    pub key_per_minute: u32,
    pub key_burst: u32,
    pub tenant_per_minute: u32,
    pub tenant_burst: u32,
    pub sign_in_per_minute: u32,
    pub sign_in_burst: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    pub url: Secret,
    pub migration_url: Secret,
    pub app_role: String,
    pub system_role: String,
    pub max_connections: u32,
    pub acquire_timeout_ms: u64,
    pub statement_timeout_ms: u64,
    pub sqlite: SqliteConfig,
}

impl StoreConfig {
    pub fn database(&self, data: &Path) -> Database {
        Database::named(&self.url, data)
    }

    /// The connection that runs migrations.
    pub fn migration_database(&self, data: &Path) -> Database {
        if self.migration_url.is_empty() { self.database(data) } else { Database::named(&self.migration_url, data) }
    }

    pub fn is_postgres(&self) -> bool {
        database::is_postgres(self.url.expose())
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqliteConfig {
    pub readers: u32,
    pub group_commit_max: usize,
    pub checkpoint_pages: u32,
    pub busy_timeout_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsConfig {
    pub source: SecretSource,
    #[serde(deserialize_with = "values::optional_path")]
    pub file: Option<PathBuf>,
    pub command: Vec<String>,
}

impl SecretsConfig {
    /// The key file, for the source that uses one.
    pub fn key_file(&self, data: &Path) -> PathBuf {
        self.file.clone().unwrap_or_else(|| data.join("master.key"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    File,
    Env,
    Command,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {
    pub registration: Registration,
    pub access_token_minutes: u32,
    pub refresh_token_days: u32,
    pub refresh_grace_seconds: u32,
    pub session_idle_days: u32,
    pub password_min_length: usize,
    pub email_verification_hours: u32,
    pub password_reset_minutes: u32,
    pub magic_link_minutes: u32,
    pub invitation_days: u32,
    pub lockout_attempts: u32,
    pub lockout_minutes: u32,
    pub signing_key_days: u32,
    pub signing_key_overlap_hours: u32,
    pub idempotency_hours: u32,
    pub deletion_grace_days: u32,
    pub impersonation_minutes: u32,
    pub argon2_memory_kib: u32,
    pub argon2_iterations: u32,
    pub password_hash_threads: usize,
    /// The one part without a default: most installations have no provider.
    #[serde(default)]
    pub providers: BTreeMap<String, ProviderConfig>,
}

impl IdentityConfig {
    /// Password hashes computed at once, with "one per core" resolved.
    pub fn hash_threads(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.password_hash_threads)
            .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    Open,
    Closed,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// As written: tokens are compared with it letter by letter, and a parsed URL would gain a slash.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Secret,
    pub scopes: Vec<String>,
    #[serde(deserialize_with = "values::optional_text")]
    pub display_name: Option<String>,
    pub allow_http_loopback: bool,
    pub trust_email: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Auto,
    Pretty,
    Json,
}
