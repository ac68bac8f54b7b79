//! `config/default.toml`, the table of keys and the typed sections name the same keys.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::super::schema::{KEYS, Kind};
use super::super::{Config, DEFAULTS, ProviderConfig, Sources, load, providers};
use super::{from_path, pairs};

fn document(text: &str) -> toml::Table {
    text.parse().expect("the text is TOML")
}

fn leaves(table: &toml::Table, above: &str, into: &mut BTreeSet<String>) {
    for (name, value) in table {
        let path = format!("{above}{name}");
        match value {
            toml::Value::Table(inner) => leaves(inner, &format!("{path}."), into),
            _ => {
                into.insert(path);
            }
        }
    }
}

/// The part of the reference that is commented out, as TOML with its own comments.
fn provider_example() -> String {
    DEFAULTS
        .lines()
        .skip_while(|line| !line.starts_with("# [identity.providers."))
        .take_while(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim_start_matches(' ').to_owned() + "\n")
        .map(|line| if line.contains(" = ") || line.starts_with('[') { line } else { format!("# {line}") })
        .collect()
}

/// Removes the leaf at a dotted path.
fn without(table: &mut toml::Table, path: &str) {
    let (sections, last) = path.rsplit_once('.').expect("every key is in a section");
    let mut inner = table;
    for section in sections.split('.') {
        inner = inner[section].as_table_mut().expect("a section");
    }
    assert!(inner.remove(last).is_some(), "{path} was there");
}

#[test]
fn the_reference_and_the_table_name_the_same_keys() {
    let mut documented = BTreeSet::new();
    leaves(&document(DEFAULTS), "", &mut documented);
    leaves(&document(&provider_example()), "", &mut documented);
    let known: BTreeSet<String> = KEYS.iter().map(|key| key.pattern.replace('*', "example")).collect();
    assert_eq!(documented, known);
    assert_eq!(known.len(), KEYS.len(), "no key stands in the table twice");
}

/// With `deny_unknown_fields`, the reference has no key that the struct lacks; without field defaults, taking any key
/// away shows that the struct has it.
#[test]
fn the_struct_has_exactly_the_keys_of_the_reference() {
    let full = document(DEFAULTS);
    full.clone().try_into::<Config>().expect("the reference is the struct");
    let mut all = BTreeSet::new();
    leaves(&full, "", &mut all);
    for key in all {
        let mut partial = full.clone();
        without(&mut partial, &key);
        assert!(partial.try_into::<Config>().is_err(), "{key} has a hidden default");
    }
}

#[test]
fn the_provider_example_has_exactly_the_keys_of_a_provider() {
    let example = document(&provider_example());
    let full = example["identity"]["providers"]["example"].as_table().expect("a section").clone();
    full.clone().try_into::<ProviderConfig>().expect("the example is the struct");
    for key in full.keys() {
        let mut partial = full.clone();
        partial.remove(key);
        assert!(partial.try_into::<ProviderConfig>().is_err(), "{key} has a hidden default");
    }
    for (key, value) in providers::defaults() {
        let documented: Value = full[key].clone().try_into().expect("TOML fits JSON");
        assert_eq!(documented, value, "{key}");
    }
}

#[test]
fn every_key_of_the_reference_has_a_comment() {
    for text in [DEFAULTS.to_owned(), provider_example()] {
        let mut above = "";
        for line in text.lines() {
            if line.contains(" = ") && !line.starts_with('#') {
                assert!(above.starts_with("# "), "no comment above: {line}");
            }
            above = line;
        }
    }
}

#[test]
fn the_defaults_load_and_nothing_but_they_is_set() {
    let loaded = load(&Sources::default()).expect("the defaults are valid");
    assert!(loaded.origins.values().all(|setting| setting.origin.is_default()));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let fixed = KEYS.iter().filter(|key| !key.pattern.contains('*')).count();
    assert_eq!(loaded.origins.len(), fixed);
}

#[test]
fn every_choice_and_bound_of_the_table_fits_its_type() {
    let provider = [("issuer", "https://i.example"), ("client_id", "i"), ("client_secret", "s")];
    let base: Vec<(String, String)> =
        provider.iter().map(|(key, value)| (format!("identity.providers.p.{key}"), (*value).to_owned())).collect();
    for key in KEYS {
        let values: Vec<String> = match key.kind {
            Kind::Number { min, max } => vec![min.to_string(), max.to_string()],
            Kind::Choice(choices) => choices.iter().map(|choice| (*choice).to_owned()).collect(),
            Kind::Switch => vec!["true".to_owned(), "false".to_owned()],
            Kind::Text(_) | Kind::List(_) => continue,
        };
        for value in values {
            let mut flags = base.clone();
            flags.push((key.pattern.replace('*', "p"), value.clone()));
            let sources = Sources { flags, ..Sources::default() };
            let Err(error) = load(&sources) else { continue };
            // A rule between keys may speak; the type may not.
            for problem in error.problems {
                assert!(!problem.related.is_empty(), "{} = {value}: {problem}", key.pattern);
            }
        }
    }
}

#[test]
fn the_production_example_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/production.example.toml");
    let loaded = from_path(&path).expect("the example is valid");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(loaded.config.store.is_postgres());
    assert!(loaded.config.server.is_https());

    // With its commented provider too, whose secret comes from the environment.
    let text = std::fs::read_to_string(&path).expect("the example is there");
    let start = text.find("# [identity.providers.").expect("the example shows a provider");
    let (before, after) = text.split_at(start);
    let (example, rest) = after.split_once("\n\n").expect("a paragraph");
    let file = super::File::new(format!("{before}{}\n\n{rest}", example.replace("# ", "")));
    let sources = Sources {
        file: Some(file.0.clone()),
        env: pairs(&[("PLINTH_IDENTITY__PROVIDERS__WORKFORCE__CLIENT_SECRET", "s3cret")]),
        ..Sources::default()
    };
    let loaded = load(&sources).expect("the example with its provider is valid");
    assert!(loaded.config.identity.providers["workforce"].trust_email);
}
