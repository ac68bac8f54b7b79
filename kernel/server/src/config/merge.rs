//! Lays the layers over each other with figment, which also remembers where each surviving value came from.

use std::collections::BTreeMap;

use figment::error::Error as FigmentError;
use figment::util::nest;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::Serialize;

use super::error::{Complaint, Origin, Problem};
use super::layers::{Layers, Leaf};
use super::schema::{self, Place};
use super::sections::Config;

/// The effective value of a key, masked where secret, and its origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    pub value: serde_json::Value,
    pub origin: Origin,
}

pub(super) struct Merged {
    pub config: Result<Config, Vec<Problem>>,
    pub origins: BTreeMap<String, Setting>,
}

/// One provider per leaf: figment keeps one origin per provider, and every value has its own.
impl Provider for &Leaf {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.as_str().to_owned())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, FigmentError> {
        let nested = nest(&self.path.join("."), Value::serialize(&self.value)?);
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

pub(super) fn merge(layers: &Layers) -> Merged {
    let figment = layers.leaves.iter().fold(Figment::new(), Figment::merge);
    let mut origins = BTreeMap::new();
    if let Ok(mut data) = figment.data()
        && let Some(root) = data.remove(&Profile::Default)
    {
        collect(&figment, &root, &mut Vec::new(), &mut origins);
    }
    Merged { config: figment.extract().map_err(|error| problems(&error)), origins }
}

fn collect(figment: &Figment, dict: &Dict, path: &mut Vec<String>, into: &mut BTreeMap<String, Setting>) {
    for (name, value) in dict {
        path.push(name.clone());
        if let Some(inner) = value.as_dict() {
            collect(figment, inner, path, into);
        } else if let Place::Key(key) = schema::place(path) {
            let origin = figment.get_metadata(value.tag()).map(|from| from.name.to_string());
            // figment's values are plain data, which JSON always holds.
            let value = serde_json::to_value(value).unwrap_or_default();
            let setting = Setting {
                value: key.masked(value),
                origin: origin.map_or_else(Origin::default_value, Origin::from_text),
            };
            into.insert(path.join("."), setting);
        }
        path.pop();
    }
}

/// Every leaf has passed its check, so this is the net under a check that is looser than the type. figment's own text
/// would quote the value.
fn problems(error: &FigmentError) -> Vec<Problem> {
    error
        .clone()
        .into_iter()
        .map(|error| {
            let origin = error.metadata.as_ref().map(|from| from.name.to_string());
            let origin = origin.map_or_else(Origin::default_value, Origin::from_text);
            Complaint::new("the value cannot be used", "compare it with the description in config/default.toml")
                .at(error.path.join("."), origin)
        })
        .collect()
}
