//! Reads each layer into checked leaves: a key, its value and its origin.
//!
//! A value that fails its check is reported and left out, so the layer below shows through and the remaining checks
//! still run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::error::{Complaint, Origin, Problem};
use super::schema::{self, KEYS, Key, Place};
use super::{suggest, values};

const PREFIX: &str = "PLINTH_";

/// One value of one layer.
pub(super) struct Leaf {
    pub path: Vec<String>,
    pub value: Value,
    pub origin: Origin,
}

/// All layers, lowest first, and what was wrong with them.
#[derive(Default)]
pub(super) struct Layers {
    pub leaves: Vec<Leaf>,
    pub problems: Vec<Problem>,
    /// Keys whose value somewhere was refused.
    pub faulty: BTreeSet<String>,
    /// Every provider that some layer mentions, rightly or wrongly, and where it does so first.
    pub providers: BTreeMap<String, Origin>,
    /// The file could not be read as a whole.
    pub unreadable: bool,
}

impl Layers {
    pub(super) fn add_defaults(&mut self, text: &str) {
        self.add_document(text, &|_| Origin::default_value());
    }

    pub(super) fn add_file(&mut self, path: &Path) {
        match fs::read_to_string(path) {
            Ok(text) => self.add_document(&text, &|line| Origin::file(path, line)),
            Err(error) => {
                self.unreadable = true;
                self.problems.push(
                    Complaint::new(
                        format!("the file cannot be read: {error}"),
                        "name a UTF-8 text file that exists and that this user may read",
                    )
                    .at("", Origin::file(path, None)),
                );
            }
        }
    }

    fn add_document(&mut self, text: &str, origin: &dyn Fn(Option<usize>) -> Origin) {
        let (document, errors) = DeTable::parse_recoverable(text);
        self.unreadable |= !errors.is_empty();
        if errors.is_empty() {
            let reader = Document { text, origin };
            reader.walk(document.get_ref(), &mut Vec::new(), self);
        }
        for error in errors {
            // Only the parser's message: the line it would quote may hold a password.
            let line = error.span().map(|span| line_of(text, span.start));
            let fix = "correct the TOML: texts need quotes, and a key may be given once";
            self.problems
                .push(Complaint::new(format!("this is not TOML: {}", error.message()), fix).at("", origin(line)));
        }
    }

    pub(super) fn add_variables(&mut self, variables: &[(String, String)]) {
        for (name, value) in variables {
            if let Some(path) = variable_path(name) {
                self.add_variable(name, &path, value);
            }
        }
    }

    fn add_variable(&mut self, name: &str, path: &[String], value: &str) {
        let origin = Origin::variable(name);
        let upper = name.to_ascii_uppercase();
        if upper != name {
            let complaint =
                Complaint::new("names of variables are written in capital letters", format!("rename it to {upper}"));
            self.refuse(path, complaint, origin);
        } else if value.contains(char::REPLACEMENT_CHARACTER) {
            let complaint = Complaint::new("the value is not UTF-8", "set the variable again");
            self.refuse(path, complaint, origin);
        } else {
            self.add_text(path, value, origin);
        }
    }

    pub(super) fn add_flags(&mut self, flags: &[(String, String)]) {
        for (key, value) in flags {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            self.add_text(&path, value, Origin::flag());
        }
    }

    fn add_text(&mut self, path: &[String], text: &str, origin: Origin) {
        self.mention(path, &origin);
        match schema::place(path) {
            Place::Key(key) => self.add_value(key, path, key.read(text), origin),
            Place::Section => {
                let fix = format!("set {}", keys_below(path));
                self.refuse(path, Complaint::new("this is a section, not a key", fix), origin);
            }
            Place::Unknown => self.refuse(path, unknown_key(path, &origin), origin),
            Place::BadName(complaint) => self.refuse(path, complaint, origin),
        }
    }

    fn add_value(&mut self, key: &Key, path: &[String], value: Result<Value, Complaint>, origin: Origin) {
        match value.and_then(|value| key.check(&value).map(|()| value)) {
            Ok(value) => self.leaves.push(Leaf { path: path.to_vec(), value, origin }),
            Err(complaint) => self.refuse(path, complaint, origin),
        }
    }

    fn mention(&mut self, path: &[String], origin: &Origin) {
        if let Some(name) = schema::provider_of(path)
            && values::provider_name(name).is_ok()
        {
            self.providers.entry(name.to_owned()).or_insert_with(|| origin.clone());
        }
    }

    fn refuse(&mut self, path: &[String], complaint: Complaint, origin: Origin) {
        let key = path.join(".");
        self.faulty.insert(key.clone());
        self.problems.push(complaint.at(key, origin));
    }
}

/// A parsed file, with what is needed to tell the line of a key.
struct Document<'a> {
    text: &'a str,
    origin: &'a dyn Fn(Option<usize>) -> Origin,
}

impl Document<'_> {
    fn walk(&self, table: &DeTable<'_>, path: &mut Vec<String>, into: &mut Layers) {
        for (name, value) in table {
            path.push(name.get_ref().to_string());
            let origin = (self.origin)(Some(line_of(self.text, name.span().start)));
            let value = value.get_ref();
            match (schema::place(path), value) {
                (Place::Section, DeValue::Table(inner)) => {
                    into.mention(path, &origin);
                    self.walk(inner, path, into);
                }
                (Place::Section, _) => {
                    let fix = format!("write [{}] and set {}", path.join("."), keys_below(path));
                    into.refuse(path, Complaint::new("this is a section, not a key", fix), origin);
                }
                (Place::Key(key), _) => into.add_value(key, path, to_json(value), origin),
                (Place::Unknown, DeValue::Table(_)) => {
                    into.refuse(path, unknown_section(path), origin);
                }
                (Place::Unknown, _) => into.refuse(path, unknown_key(path, &origin), origin),
                (Place::BadName(complaint), _) => into.refuse(path, complaint, origin),
            }
            path.pop();
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}

fn to_json(value: &DeValue<'_>) -> Result<Value, Complaint> {
    match value {
        DeValue::String(text) => Ok(Value::from(text.as_ref())),
        DeValue::Boolean(switch) => Ok(Value::from(*switch)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .map_err(|_| Complaint::new("the number is too large", "write a smaller number")),
        // What JSON cannot hold, such as inf, becomes null, which no key accepts.
        DeValue::Float(number) => Ok(Value::from(number.as_str().parse::<f64>().ok())),
        DeValue::Datetime(_) => {
            Err(Complaint::new("a date is of the wrong type", "no key holds a date; write a text in quotes"))
        }
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(_) => Ok(Value::Object(serde_json::Map::new())),
    }
}

/// The key that a variable names, if it is configuration: the variables of tests, of tools and of the master keys share
/// the prefix.
fn variable_path(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix(PREFIX)?;
    if rest.starts_with("TEST_") || rest.starts_with("SOAK_") || !rest.contains("__") {
        return None;
    }
    Some(rest.split("__").map(str::to_ascii_lowercase).collect())
}

pub(super) fn variable_name(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

fn unknown_key(path: &[String], origin: &Origin) -> Complaint {
    let fix = match suggest::key(path) {
        Some(key) if origin.is_variable() => format!("did you mean {}?", variable_name(&key)),
        Some(key) => format!("did you mean {key}?"),
        None => match path.split_last() {
            Some((_, section)) if !section.is_empty() && matches!(schema::place(section), Place::Section) => {
                format!("remove it; [{}] has {}", section.join("."), keys_below(section))
            }
            _ => "remove it; `plinth config print` lists all keys".to_owned(),
        },
    };
    Complaint::new("there is no such key", fix)
}

fn unknown_section(path: &[String]) -> Complaint {
    let fix = suggest::section(path).map_or_else(
        || "remove it; `plinth config print` lists all keys".to_owned(),
        |section| format!("did you mean [{section}]?"),
    );
    Complaint::new("there is no such section", fix)
}

/// The keys and sections directly inside a section, for a message.
fn keys_below(path: &[String]) -> String {
    let mut names: Vec<&str> = KEYS
        .iter()
        .filter_map(|key| {
            let pattern: Vec<&str> = key.pattern.split('.').collect();
            let inside = path.iter().zip(&pattern).all(|(part, want)| *want == "*" || part == want);
            pattern.get(path.len()).copied().filter(|_| inside)
        })
        .map(|name| if name == "*" { "NAME" } else { name })
        .collect();
    names.dedup();
    names.join(", ")
}
