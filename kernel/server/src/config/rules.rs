//! Values that are fine alone and contradict each other, or set something that would then do nothing.

use std::collections::BTreeMap;

use url::Host;

use super::error::{Complaint, Origin, Problem, Related};
use super::merge::Setting;
use super::schema::PROVIDERS;
use super::sections::{
    Config, IdentityConfig, ProviderConfig, SameSite, SecretSource, SecretsConfig, ServerConfig, StoreConfig,
};
use super::values;

/// A contradiction between keys.
pub(super) struct Finding {
    pub keys: Vec<String>,
    complaint: Complaint,
}

impl Finding {
    /// Names first the key that somebody set: that is where to look.
    pub(super) fn into_problem(self, origins: &BTreeMap<String, Setting>) -> Problem {
        let mut involved: Vec<Related> = self
            .keys
            .into_iter()
            .map(|key| {
                let origin = origins.get(&key).map_or_else(Origin::default_value, |setting| setting.origin.clone());
                Related { key, origin }
            })
            .collect();
        // Stable: keys of equal rank keep the order of the rule.
        involved.sort_by_key(|related| related.origin.is_default());
        let first = involved.remove(0);
        Problem { related: involved, ..self.complaint.at(first.key, first.origin) }
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, keys: &[&str], message: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Finding {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            complaint: Complaint::new(message, fix),
        });
    }
}

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut found = Findings::default();
    tls(&config.server, &mut found);
    cors(&config.server, &mut found);
    cookies(&config.server, &mut found);
    store(&config.store, &mut found);
    secrets(&config.secrets, &mut found);
    signing_keys(&config.identity, &mut found);
    for (name, provider) in &config.identity.providers {
        identity_provider(name, provider, &mut found);
    }
    found.0
}

fn tls(server: &ServerConfig, found: &mut Findings) {
    let tls = &server.tls;
    if tls.cert.is_some() != tls.key.is_some() {
        let missing = if tls.cert.is_some() { "key" } else { "cert" };
        found.add(
            &["server.tls.cert", "server.tls.key"],
            "TLS needs a certificate and its private key, and only one is set",
            format!("set server.tls.{missing} too, or neither for plain HTTP"),
        );
    }
    let public_http = server.public_url.as_ref().is_some_and(|url| url.scheme() == "http");
    if tls.files().is_some() && public_http {
        found.add(
            &["server.public_url", "server.tls.cert"],
            "users are sent to an http:// address while the listener speaks only HTTPS",
            "write server.public_url with https://",
        );
    }
}

fn cors(server: &ServerConfig, found: &mut Findings) {
    let cors = &server.cors;
    if cors.allows_any_origin() && cors.origins.len() > 1 {
        found.add(
            &["server.cors.origins"],
            "\"*\" allows every origin, so the others beside it do nothing",
            "write \"*\" alone, or only exact origins",
        );
    }
    if cors.allows_any_origin() && cors.credentials {
        found.add(
            &["server.cors.origins", "server.cors.credentials"],
            "any web site could act as the signed-in user, which browsers refuse",
            "list exact origins, or set server.cors.credentials to false",
        );
    }
    if cors.origins.is_empty() && cors.credentials {
        found.add(
            &["server.cors.credentials", "server.cors.origins"],
            "no origin is allowed, so credentials of none can be",
            "list origins in server.cors.origins, or set server.cors.credentials to false",
        );
    }
}

fn cookies(server: &ServerConfig, found: &mut Findings) {
    let cookies = &server.cookies;
    if !cookies.enabled {
        if cookies.domain.is_some() {
            found.add(
                &["server.cookies.domain", "server.cookies.enabled"],
                "a domain is set for cookies that are not used",
                "set server.cookies.enabled to true, or leave server.cookies.domain empty",
            );
        }
        return;
    }
    if cookies.same_site == SameSite::None && !server.is_https() {
        found.add(
            &["server.cookies.same_site", "server.public_url", "server.tls.cert"],
            "browsers accept cookies with same_site \"none\" only over HTTPS",
            "set server.public_url to an https:// address or set [server.tls], or use \"lax\"",
        );
    }
    let host = server.public_url.as_ref().and_then(|url| url.host_str());
    if let (Some(domain), Some(host)) = (&cookies.domain, host) {
        let inside = host == domain || host.ends_with(&format!(".{domain}"));
        if !inside {
            found.add(
                &["server.cookies.domain", "server.public_url"],
                format!("`{host}` is not inside the domain `{domain}`, so browsers drop the cookies"),
                "write the host of server.public_url or a domain above it, or leave it empty",
            );
        }
    }
}

fn store(store: &StoreConfig, found: &mut Findings) {
    if !store.migration_url.is_empty() && !store.is_postgres() {
        found.add(
            &["store.migration_url", "store.url"],
            "store.migration_url is for PostgreSQL, and store.url names SQLite",
            "set store.url to a postgres:// address, or leave store.migration_url empty",
        );
    }
    if store.app_role == store.system_role {
        found.add(
            &["store.app_role", "store.system_role"],
            "requests would run with the role that reads across tenants",
            "name two different roles",
        );
    }
}

fn secrets(secrets: &SecretsConfig, found: &mut Findings) {
    let with_command = secrets.source == SecretSource::Command;
    let program = secrets.command.first().is_some_and(|program| !program.trim().is_empty());
    if with_command && !program {
        found.add(
            &["secrets.source", "secrets.command"],
            "the keys come from a command and none is named",
            "set secrets.command to a program and its arguments, such as [\"/usr/bin/keys\"]",
        );
    }
    if !with_command && !secrets.command.is_empty() {
        found.add(
            &["secrets.command", "secrets.source"],
            "a command is named and the keys come from elsewhere",
            "set secrets.source to \"command\", or remove secrets.command",
        );
    }
    if secrets.source != SecretSource::File && secrets.file.is_some() {
        found.add(
            &["secrets.file", "secrets.source"],
            "a key file is named and the keys come from elsewhere",
            "set secrets.source to \"file\", or remove secrets.file",
        );
    }
}

fn signing_keys(identity: &IdentityConfig, found: &mut Findings) {
    let overlap_minutes = identity.signing_key_overlap_hours * 60;
    if overlap_minutes < identity.access_token_minutes {
        found.add(
            &["identity.signing_key_overlap_hours", "identity.access_token_minutes"],
            "a replaced key would stop verifying before the tokens it signed have ended",
            "raise identity.signing_key_overlap_hours, or lower identity.access_token_minutes",
        );
    }
    if identity.signing_key_overlap_hours > identity.signing_key_days * 24 {
        found.add(
            &["identity.signing_key_overlap_hours", "identity.signing_key_days"],
            "a replaced key would stay longer than the key that replaced it is used",
            "lower identity.signing_key_overlap_hours, or raise identity.signing_key_days",
        );
    }
}

fn identity_provider(name: &str, provider: &ProviderConfig, found: &mut Findings) {
    let key = |key: &str| format!("{PROVIDERS}.{name}.{key}");
    if !provider.scopes.iter().any(|scope| scope == "openid") {
        found.add(
            &[&key("scopes")],
            "without the scope \"openid\" a provider does not say who signed in",
            "add \"openid\" to the scopes",
        );
    }
    let Some(issuer) = values::parse_web_url(&provider.issuer) else {
        return;
    };
    if issuer.scheme() != "http" {
        return;
    }
    let loopback = match issuer.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(domain)) => domain == "localhost",
        None => false,
    };
    if !loopback {
        found.add(
            &[&key("issuer")],
            "an issuer on another machine is reached over http://, where anyone on the way can sign in as anyone",
            "write the issuer with https://",
        );
    } else if !provider.allow_http_loopback {
        found.add(
            &[&key("issuer"), &key("allow_http_loopback")],
            "the issuer is reached over http://",
            "write it with https://, or set allow_http_loopback to true on a development machine",
        );
    }
}
