//! What `plinth config print` and `plinth config check` say. Pure: the caller prints.

use serde_json::json;

use super::error::ConfigError;
use super::{Loaded, Setting};

/// Every key with its value and origin. The text is TOML with the origin in a comment; secrets are masked.
pub fn render_print(loaded: &Loaded, json: bool) -> String {
    if json {
        return pretty(&json!({
            "settings": loaded.origins,
            "warnings": loaded.warnings,
        }));
    }
    lines(loaded, |_| true)
}

/// Whether the configuration is valid: what differs from the defaults, or everything that is wrong.
pub fn render_check(result: &Result<Loaded, ConfigError>, json: bool) -> String {
    match (result, json) {
        (Ok(loaded), true) => pretty(&json!({
            "valid": true,
            "problems": [],
            "warnings": loaded.warnings,
        })),
        (Err(error), true) => pretty(&json!({
            "valid": false,
            "problems": error.problems,
            "warnings": [],
        })),
        (Ok(loaded), false) => summary(loaded),
        (Err(error), false) => format!("{error}\n"),
    }
}

fn summary(loaded: &Loaded) -> String {
    let set = |setting: &Setting| !setting.origin.is_default();
    let changed = loaded.origins.values().filter(|setting| set(setting)).count();
    let mut text = match changed {
        0 => "the configuration is valid; every key has its default\n".to_owned(),
        1 => "the configuration is valid; 1 key is set:\n".to_owned(),
        many => format!("the configuration is valid; {many} keys are set:\n"),
    };
    text.push_str(&lines(loaded, set));
    for warning in &loaded.warnings {
        text.push_str("warning: ");
        text.push_str(warning);
        text.push('\n');
    }
    text
}

/// `key = value  # origin`, the origins below each other unless a value is very long.
fn lines(loaded: &Loaded, wanted: impl Fn(&Setting) -> bool) -> String {
    const WIDEST: usize = 60;
    let rows: Vec<(String, &Setting)> = loaded
        .origins
        .iter()
        .filter(|(_, setting)| wanted(setting))
        .map(|(key, setting)| (format!("{key} = {}", setting.value), setting))
        .collect();
    let width = rows.iter().map(|(row, _)| row.chars().count()).max().unwrap_or(0).min(WIDEST);
    let rendered: Vec<String> =
        rows.iter().map(|(row, setting)| format!("{row:width$}  # {}\n", setting.origin)).collect();
    rendered.concat()
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
