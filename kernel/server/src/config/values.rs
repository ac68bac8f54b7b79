//! The forms a single value may have: each check says what is wrong and shows a value that would be right.
//!
//! The functions at the end turn checked texts into the types of [`super::sections`].

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::error::Complaint;

type Checked = Result<(), Complaint>;

fn refuse(message: impl Into<String>, fix: impl Into<String>) -> Checked {
    Err(Complaint::new(message, fix))
}

#[expect(clippy::unnecessary_wraps, reason = "has the signature of every check in the table of keys")]
pub(super) fn anything(_: &str) -> Checked {
    Ok(())
}

pub(super) fn not_empty(text: &str) -> Checked {
    if text.trim().is_empty() {
        return refuse("the value is empty", "write a value that is not empty");
    }
    Ok(())
}

pub(super) fn listen_address(text: &str) -> Checked {
    if text.parse::<SocketAddr>().is_err() {
        return refuse(
            format!("`{text}` is not an IP address with a port"),
            "write an address and a port such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080",
        );
    }
    Ok(())
}

pub(super) fn network(text: &str) -> Checked {
    if parse_network(text).is_none() {
        return refuse(
            format!("`{text}` is not a network"),
            "write networks in CIDR form such as 10.0.0.0/8 or fd00::/8",
        );
    }
    Ok(())
}

/// A single address is the network that holds only it.
fn parse_network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().map(|network| network.trunc()).or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()
}

pub(super) fn parse_web_url(text: &str) -> Option<Url> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .filter(|url| url.query().is_none() && url.fragment().is_none())
}

pub(super) fn public_url(text: &str) -> Checked {
    if text.is_empty() || parse_web_url(text).is_some_and(|url| url.path() == "/") {
        return Ok(());
    }
    refuse(
        format!("`{text}` is not the root of a web site"),
        "write scheme and host, and a port if needed, without a path, such as https://platform.example",
    )
}

pub(super) fn issuer(text: &str) -> Checked {
    if parse_web_url(text).is_none() {
        return refuse(
            format!("`{text}` is not the address of a provider"),
            "copy the `issuer` of the provider's discovery document, such as https://login.example.com",
        );
    }
    Ok(())
}

pub(super) fn cors_origin(text: &str) -> Checked {
    let exact = parse_web_url(text).is_some_and(|url| url.origin().ascii_serialization() == text);
    if text == "*" || exact {
        return Ok(());
    }
    refuse(
        format!("`{text}` is not a web origin as browsers send it"),
        "write scheme, host in small letters and a port unless it is the usual one, without a final slash, such as \
         https://shop.example; or \"*\" alone",
    )
}

pub(super) fn cookie_domain(text: &str) -> Checked {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if text.is_empty() || (text.parse::<IpAddr>().is_err() && text.split('.').all(label)) {
        return Ok(());
    }
    refuse(
        format!("`{text}` is not a domain"),
        "write a host name in small letters, without scheme, port or leading dot, such as platform.example",
    )
}

pub(super) fn database_role(text: &str) -> Checked {
    let mut chars = text.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    if first && text.len() <= 63 && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return Ok(());
    }
    refuse(
        format!("`{text}` is not a role name that needs no quoting"),
        "write up to 63 small letters, digits and underscores, not beginning with a digit",
    )
}

pub(super) fn scope(text: &str) -> Checked {
    if text.is_empty() || text.chars().any(char::is_whitespace) {
        return refuse(
            format!("`{text}` is not one scope"),
            "write each scope as its own text, such as [\"openid\", \"email\"]",
        );
    }
    Ok(())
}

/// A bare word is a target to the filter, so a misspelt level would silently log nothing else.
pub(super) fn log_filter(text: &str) -> Checked {
    let fix = "write error, warn, info, debug, trace or off, also by target, such as info,plinth_store=debug";
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in text.split(',').map(str::trim) {
        let bare = !directive.contains(['=', '[', ']', '{', '}']);
        if bare && !levels.contains(&directive.to_ascii_lowercase().as_str()) {
            return refuse(format!("`{directive}` is not a log level"), fix);
        }
    }
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(()),
        Err(error) => refuse(format!("`{text}` is not a log filter: {error}"), fix),
    }
}

/// Names of providers stand in addresses and in variables.
pub(super) fn provider_name(text: &str) -> Checked {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= 32 && text.chars().all(allowed) {
        return Ok(());
    }
    refuse(format!("`{text}` cannot be the name of a provider"), "use up to 32 small letters, digits, - and _")
}

pub(super) fn optional_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    Ok((!text.is_empty()).then_some(text))
}

pub(super) fn optional_path<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(optional_text(from)?.map(PathBuf::from))
}

pub(super) fn optional_url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    optional_text(from)?.map(|text| Url::parse(&text).map_err(D::Error::custom)).transpose()
}

pub(super) fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    Vec::<String>::deserialize(from)?
        .iter()
        .map(|text| parse_network(text).ok_or_else(|| D::Error::custom("not a network")))
        .collect()
}
