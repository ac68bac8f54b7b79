//! Completes the sections `identity.providers.NAME`, whose names the built-in layer cannot know.

use serde_json::{Value, json};

use super::error::{Complaint, Origin};
use super::layers::{Layers, Leaf};
use super::schema::{self, PROVIDERS};

const REQUIRED: [&str; 3] = ["issuer", "client_id", "client_secret"];

/// Defaults of every provider, as `config/default.toml` documents them.
pub(super) fn defaults() -> [(&'static str, Value); 4] {
    [
        ("scopes", json!(["openid", "email", "profile"])),
        ("display_name", json!("")),
        ("allow_http_loopback", json!(false)),
        ("trust_email", json!(false)),
    ]
}

/// Adds the defaults of each provider below all layers and reports what it lacks. An incomplete provider is taken out,
/// so that everything else can still be checked.
pub(super) fn complete(layers: &mut Layers) {
    let mut added = Vec::new();
    for (name, origin) in layers.providers.clone() {
        let section = format!("{PROVIDERS}.{name}");
        let mut complete = true;
        for key in REQUIRED.map(|key| format!("{section}.{key}")) {
            if layers.leaves.iter().any(|leaf| leaf.path.join(".") == key) {
                continue;
            }
            complete = false;
            // A refused value has been reported already.
            if !layers.faulty.contains(&key) {
                let complaint = Complaint::new(
                    format!("the provider `{name}` needs this key and it is not set"),
                    format!("set {key}, or remove the section [{section}]"),
                );
                layers.problems.push(complaint.at(key, origin.clone()));
            }
        }
        if complete {
            added.extend(defaults().map(|(key, value)| Leaf {
                path: format!("{section}.{key}").split('.').map(str::to_owned).collect(),
                value,
                origin: Origin::default_value(),
            }));
        } else {
            layers.leaves.retain(|leaf| schema::provider_of(&leaf.path) != Some(&name));
        }
    }
    added.append(&mut layers.leaves);
    layers.leaves = added;
}
