//! The one table of keys: form, range and secrecy of each. Layers are checked against it, secrets are marked in it, and
//! a test compares it with the typed sections and with `config/default.toml`.

use serde_json::Value;

use super::error::Complaint;
use super::secret::{mask_url_password, mask_whole};
use super::{database, suggest, values};

type Check = fn(&str) -> Result<(), Complaint>;

/// The form of a value.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Switch,
    Number { min: u64, max: u64 },
    Choice(&'static [&'static str]),
    Text(Check),
    List(Check),
}

/// How much of a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mask {
    Nothing,
    UrlPassword,
    Whole,
}

pub(super) struct Key {
    /// Dotted; `*` stands for the name of a provider.
    pub pattern: &'static str,
    pub kind: Kind,
    pub mask: Mask,
}

const fn key(pattern: &'static str, kind: Kind) -> Key {
    Key { pattern, kind, mask: Mask::Nothing }
}

const fn secret(pattern: &'static str, mask: Mask, check: Check) -> Key {
    Key { pattern, kind: Kind::Text(check), mask }
}

const fn number(pattern: &'static str, min: u64, max: u64) -> Key {
    key(pattern, Kind::Number { min, max })
}

/// Where provider sections live; the next level is their name.
pub(super) const PROVIDERS: &str = "identity.providers";

#[rustfmt::skip]
pub(super) static KEYS: &[Key] = &[
    key("server.listen", Kind::Text(values::listen_address)),
    key("server.data", Kind::Text(values::not_empty)),
    key("server.public_url", Kind::Text(values::public_url)),
    number("server.drain_seconds", 0, 3_600),
    number("server.request_timeout_seconds", 1, 3_600),
    number("server.header_timeout_seconds", 1, 300),
    number("server.body_limit_kib", 1, 1_048_576),
    number("server.max_connections", 1, 1_000_000),
    key("server.trusted_proxies", Kind::List(values::network)),
    key("server.dev", Kind::Switch),
    key("server.docs", Kind::Switch),
    key("server.tls.cert", Kind::Text(values::anything)),
    key("server.tls.key", Kind::Text(values::anything)),
    number("server.tls.reload_seconds", 1, 86_400),
    key("server.cors.origins", Kind::List(values::cors_origin)),
    key("server.cors.credentials", Kind::Switch),
    number("server.cors.max_age_seconds", 0, 86_400),
    key("server.cookies.enabled", Kind::Switch),
    key("server.cookies.same_site", Kind::Choice(&["lax", "strict", "none"])),
    key("server.cookies.domain", Kind::Text(values::cookie_domain)),
    number("limits.address_per_minute", 1, 100_000_000),
    number("limits.address_burst", 1, 10_000_000),
    number("limits.key_per_minute", 1, 100_000_000),
    number("limits.key_burst", 1, 10_000_000),
    number("limits.tenant_per_minute", 1, 100_000_000),
    number("limits.tenant_burst", 1, 10_000_000),
    number("limits.sign_in_per_minute", 1, 100_000_000),
    number("limits.sign_in_burst", 1, 10_000_000),
    secret("store.url", Mask::UrlPassword, database::check_url),
    secret("store.migration_url", Mask::UrlPassword, database::check_postgres_url),
    key("store.app_role", Kind::Text(values::database_role)),
    key("store.system_role", Kind::Text(values::database_role)),
    number("store.max_connections", 1, 10_000),
    number("store.acquire_timeout_ms", 1, 600_000),
    number("store.statement_timeout_ms", 1, 3_600_000),
    number("store.sqlite.readers", 1, 256),
    number("store.sqlite.group_commit_max", 1, 65_536),
    number("store.sqlite.checkpoint_pages", 1, 1_000_000),
    number("store.sqlite.busy_timeout_ms", 0, 600_000),
    key("secrets.source", Kind::Choice(&["file", "env", "command"])),
    key("secrets.file", Kind::Text(values::anything)),
    key("secrets.command", Kind::List(values::anything)),
    key("identity.registration", Kind::Choice(&["open", "closed"])),
    number("identity.access_token_minutes", 1, 1_440),
    number("identity.refresh_token_days", 1, 3_650),
    number("identity.refresh_grace_seconds", 0, 600),
    number("identity.session_idle_days", 1, 3_650),
    number("identity.password_min_length", 8, 128),
    number("identity.email_verification_hours", 1, 8_760),
    number("identity.password_reset_minutes", 1, 10_080),
    number("identity.magic_link_minutes", 1, 1_440),
    number("identity.invitation_days", 1, 365),
    number("identity.lockout_attempts", 1, 10_000),
    number("identity.lockout_minutes", 1, 10_080),
    number("identity.signing_key_days", 1, 3_650),
    number("identity.signing_key_overlap_hours", 1, 8_760),
    number("identity.idempotency_hours", 1, 720),
    number("identity.deletion_grace_days", 0, 3_650),
    number("identity.impersonation_minutes", 1, 1_440),
    number("identity.argon2_memory_kib", 8, 4_194_304),
    number("identity.argon2_iterations", 1, 100),
    number("identity.password_hash_threads", 0, 1_024),
    key("identity.providers.*.issuer", Kind::Text(values::issuer)),
    key("identity.providers.*.client_id", Kind::Text(values::not_empty)),
    secret("identity.providers.*.client_secret", Mask::Whole, values::not_empty),
    key("identity.providers.*.scopes", Kind::List(values::scope)),
    key("identity.providers.*.display_name", Kind::Text(values::anything)),
    key("identity.providers.*.allow_http_loopback", Kind::Switch),
    key("identity.providers.*.trust_email", Kind::Switch),
    key("log.level", Kind::Text(values::log_filter)),
    key("log.format", Kind::Choice(&["auto", "pretty", "json"])),
];

/// What stands at a path.
pub(super) enum Place {
    Key(&'static Key),
    Section,
    Unknown,
    /// Inside a provider section whose name is not allowed.
    BadName(Complaint),
}

/// Paths are lists and not dotted texts: a quoted TOML key may itself contain a dot.
pub(super) fn place(path: &[String]) -> Place {
    if let Some(name) = provider_of(path)
        && let Err(complaint) = values::provider_name(name)
    {
        return Place::BadName(complaint);
    }
    let mut section = path.is_empty();
    for key in KEYS {
        let pattern: Vec<&str> = key.pattern.split('.').collect();
        let fits =
            path.len() <= pattern.len() && path.iter().zip(&pattern).all(|(part, want)| *want == "*" || part == want);
        if fits && path.len() == pattern.len() {
            return Place::Key(key);
        }
        section |= fits;
    }
    if section { Place::Section } else { Place::Unknown }
}

/// The provider whose section a path names or lies in.
pub(super) fn provider_of(path: &[String]) -> Option<&str> {
    match path {
        [first, second, name, ..] if format!("{first}.{second}") == PROVIDERS => Some(name),
        _ => None,
    }
}

impl Key {
    /// The value of a variable or a flag, as what this key holds.
    pub(super) fn read(&self, text: &str) -> Result<Value, Complaint> {
        let trimmed = text.trim();
        match self.kind {
            Kind::Text(_) | Kind::Choice(_) => Ok(Value::from(text)),
            Kind::Switch => Ok(trimmed.parse::<bool>().map_or_else(|_| text.into(), Value::from)),
            Kind::Number { .. } => Ok(trimmed.parse::<i64>().map_or_else(|_| text.into(), Value::from)),
            Kind::List(_) => serde_json::from_str(text).map_err(|_| {
                Complaint::new(
                    format!("`{text}` is not a JSON array"),
                    "write a JSON array of texts, such as [\"one\", \"two\"], or [] for none",
                )
            }),
        }
    }

    /// Checks form and range.
    pub(super) fn check(&self, value: &Value) -> Result<(), Complaint> {
        match (self.kind, value) {
            (Kind::Switch, Value::Bool(_)) => Ok(()),
            (Kind::Number { min, max }, Value::Number(found)) => match found.as_u64() {
                Some(number) if (min..=max).contains(&number) => Ok(()),
                _ => Err(self.mismatch(value, "out of range")),
            },
            (Kind::Choice(choices), Value::String(text)) => {
                if choices.contains(&text.as_str()) {
                    Ok(())
                } else {
                    Err(self.unknown_choice(text, choices))
                }
            }
            (Kind::Text(check), Value::String(text)) => check(text),
            (Kind::List(check), Value::Array(items)) => items.iter().try_for_each(|item| match item {
                Value::String(text) => check(text),
                other => Err(self.mismatch(other, "not what the list holds")),
            }),
            _ => Err(self.mismatch(value, "of the wrong type")),
        }
    }

    /// Masks what must not be shown.
    pub(super) fn masked(&self, value: Value) -> Value {
        match (self.mask, value) {
            (Mask::Whole, Value::String(text)) => mask_whole(&text).into(),
            (Mask::UrlPassword, Value::String(text)) => mask_url_password(&text).into(),
            (_, value) => value,
        }
    }

    fn mismatch(&self, value: &Value, what: &str) -> Complaint {
        let (form, found) = describe(value);
        let message = if self.mask == Mask::Nothing && !found.is_empty() {
            format!("{form} {found} is {what}")
        } else {
            format!("{form} is {what}")
        };
        Complaint::new(message, self.wanted())
    }

    fn unknown_choice(&self, text: &str, choices: &[&str]) -> Complaint {
        let fix = suggest::nearest(text, choices.iter().copied())
            .map_or_else(|| self.wanted(), |choice| format!("did you mean \"{choice}\"? {}", self.wanted()));
        Complaint::new(format!("`{text}` is not one of the choices"), fix)
    }

    fn wanted(&self) -> String {
        match self.kind {
            Kind::Switch => "write true or false".to_owned(),
            Kind::Number { min, max } => format!("write a whole number from {min} to {max}"),
            Kind::Choice(choices) => format!("write one of \"{}\"", choices.join("\", \"")),
            Kind::Text(_) => "write a text, in a file in quotes".to_owned(),
            Kind::List(_) => "write a list of texts, such as [\"one\", \"two\"]".to_owned(),
        }
    }
}

fn describe(value: &Value) -> (&'static str, String) {
    match value {
        Value::Null => ("an empty value", String::new()),
        Value::Bool(switch) => ("the switch", switch.to_string()),
        Value::Number(number) => ("the number", number.to_string()),
        Value::String(text) => ("the text", format!("`{text}`")),
        Value::Array(_) => ("a list", String::new()),
        Value::Object(_) => ("a section", String::new()),
    }
}
