//! What is allowed and probably not meant. Nothing here stops a start.

use super::layers::variable_name;
use super::schema::KEYS;
use super::sections::{Config, SecretSource};

const MASTER_KEYS: &str = "PLINTH_MASTER_KEYS";

/// Memory times passes of the weakest Argon2id setting that OWASP recommends (7 MiB, 5 passes).
const WEAKEST_HASH: u64 = 7168 * 5;

pub(super) fn collect(config: &Config, env: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    let server = &config.server;
    let identity = &config.identity;
    if server.dev && !server.listen.ip().is_loopback() {
        found.push(
            "server.dev is on and other machines can connect: they can read all mail and move the time".to_owned(),
        );
    }
    if server.public_url.is_none() && server.listen.ip().is_unspecified() {
        found.push(
            "server.public_url is empty and server.listen names no address: links will point to localhost".to_owned(),
        );
    }
    if server.trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
        found.push(
            "server.trusted_proxies trusts every address: a client can choose the address it is limited by".to_owned(),
        );
    }
    let hash = u64::from(identity.argon2_memory_kib) * u64::from(identity.argon2_iterations);
    if !server.dev && hash < WEAKEST_HASH {
        found.push(
            "identity.argon2_memory_kib times identity.argon2_iterations is low: stolen password hashes are \
             guessed quickly"
                .to_owned(),
        );
    }
    let given = env.iter().any(|(name, value)| name == MASTER_KEYS && !value.is_empty());
    match (config.secrets.source == SecretSource::Env, given) {
        (true, false) => found.push(format!("secrets.source is \"env\" and {MASTER_KEYS} is not set")),
        (false, true) => {
            found.push(format!("{MASTER_KEYS} is set and not used: secrets.source is not \"env\""));
        }
        _ => {}
    }
    found.extend(env.iter().filter_map(|(name, _)| single_underscore(name)));
    found
}

/// PLINTH_STORE_URL is no configuration, yet whoever sets it means PLINTH_STORE__URL.
fn single_underscore(name: &str) -> Option<String> {
    let meant = KEYS
        .iter()
        .map(|key| variable_name(key.pattern))
        .find(|known| !name.contains("__") && known.replace("__", "_") == name)?;
    Some(format!("the variable {name} does nothing: did you mean {meant}?"))
}
