//! A text that must not reach a log, a message or a terminal by accident.

use std::fmt;

use serde::Deserialize;
use url::Url;

/// What is shown in place of a secret.
pub const MASK: &str = "********";

/// A configured secret. Only [`Secret::expose`] gives it out; `Debug` masks it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { MASK })
    }
}

/// Shows that a secret is set, and nothing else.
pub(super) fn mask_whole(text: &str) -> String {
    if text.is_empty() { String::new() } else { MASK.to_owned() }
}

/// Masks the password of a connection URL, before the host or as a parameter. What cannot be taken apart is masked
/// whole, since nobody knows where its password is.
pub(super) fn mask_url_password(text: &str) -> String {
    if text.is_empty() || text.starts_with("sqlite:") {
        return text.to_owned();
    }
    let Ok(mut url) = Url::parse(text) else {
        return MASK.to_owned();
    };
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    let is_password = |name: &str| name.to_ascii_lowercase().contains("password");
    if url.query_pairs().any(|(name, _)| is_password(&name)) {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        url.query_pairs_mut().clear().extend_pairs(pairs.iter().map(|(name, value)| {
            let shown = if is_password(name) { MASK } else { value };
            (name.as_str(), shown)
        }));
    }
    url.to_string()
}
