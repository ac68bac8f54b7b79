//! The dependency law: which crate may use what, directly.
//!
//! Cargo forbids cycles, and nothing else. This keeps the rooms apart: dependencies point down, and each heavy or
//! dangerous library is behind the one crate that was made to know it. Only direct dependencies count, since those
//! are what the code of a crate can name.

mod rules;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::repo::{self, DependencyKind, Metadata};
use rules::{LIBRARIES, rooms_below};

/// One dependency that may not be.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    pub package: String,
    pub dependency: String,
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} may not depend on {}: {}", self.package, self.dependency, self.rule)
    }
}

/// Checks the workspace; returns how many dependencies were looked at.
pub fn check() -> Result<usize> {
    let members = members(&repo::metadata()?, repo::root())?;
    let violations = violations(&members);
    if !violations.is_empty() {
        let lines: Vec<String> = violations.iter().map(|violation| format!("  {violation}")).collect();
        bail!("the dependency law is broken (rules: xtask/src/law/rules.rs)\n{}", lines.join("\n"));
    }
    Ok(members.iter().map(|member| member.dependencies.len()).sum())
}

/// A crate of the workspace, by its room: the folder it lies in, such as `kernel/store`.
#[derive(Debug)]
struct Member {
    package: String,
    room: String,
    dependencies: Vec<(String, Option<DependencyKind>)>,
}

fn members(metadata: &Metadata, root: &Path) -> Result<Vec<Member>> {
    let member = |package: &repo::Package| {
        let folder = package.manifest_path.parent().context("a manifest without a folder")?;
        let room = folder.strip_prefix(root).with_context(|| format!("{} lies outside", package.name))?;
        Ok(Member {
            package: package.name.clone(),
            room: room.to_string_lossy().into_owned(),
            dependencies: package.dependencies.iter().map(|found| (found.name.clone(), found.kind)).collect(),
        })
    };
    metadata.packages.iter().map(member).collect()
}

fn violations(members: &[Member]) -> Vec<Violation> {
    let mut found = Vec::new();
    for member in members {
        let Some(below) = rooms_below(&member.room) else {
            found.push(Violation {
                package: member.package.clone(),
                dependency: "anything".into(),
                rule: format!("the room {} has no rule yet; give it one in rules.rs", member.room),
            });
            continue;
        };
        for (dependency, kind) in &member.dependencies {
            let rule = match members.iter().find(|other| other.package == *dependency) {
                Some(other) => refuse_room(member, &below, &other.room, *kind),
                None => refuse_library(member, dependency, *kind),
            };
            found.extend(rule.map(|rule| Violation {
                package: member.package.clone(),
                dependency: dependency.clone(),
                rule,
            }));
        }
    }
    found
}

/// Why a crate of the workspace may not be used, if so.
fn refuse_room(member: &Member, below: &rules::Below, other: &str, kind: Option<DependencyKind>) -> Option<String> {
    let allowed = match kind {
        Some(DependencyKind::Dev) => below.allows(other) || below.allows_in_tests(other) || other == member.room,
        None | Some(DependencyKind::Build) => below.allows(other),
    };
    (!allowed).then(|| format!("{} {}", member.room, below.explain()))
}

/// Why a library may not be used, if so. Tests may use any: they are not what runs.
fn refuse_library(member: &Member, library: &str, kind: Option<DependencyKind>) -> Option<String> {
    if kind == Some(DependencyKind::Dev) {
        return None;
    }
    let law = LIBRARIES.iter().find(|law| law.covers(library))?;
    (!law.users.iter().any(|pattern| rules::matches(pattern, &member.room)))
        .then(|| format!("only {} may use {}, {}", law.users.join(", "), law.name, law.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(package: &str, room: &str, dependencies: &[&str]) -> Member {
        let dependencies = dependencies.iter().map(|name| ((*name).to_owned(), None)).collect();
        Member { package: package.into(), room: room.into(), dependencies }
    }

    fn kernel() -> Vec<Member> {
        vec![
            member("plinth-api", "sdk/api", &["serde"]),
            member("plinth-client", "sdk/client", &["plinth-api", "reqwest"]),
            member("plinth-core", "kernel/core", &["plinth-api"]),
            member("plinth-store", "kernel/store", &["plinth-core", "sea-orm", "sqlx"]),
            member("plinth-bus", "kernel/bus", &["plinth-store"]),
            member("plinth-plugin-host", "kernel/plugin-host", &["plinth-core", "wasmtime", "reqwest"]),
            member("plinth-gateway", "kernel/gateway", &["plinth-bus", "plinth-store", "plinth-core", "axum"]),
            member("plinth-identity", "kernel/identity", &["plinth-gateway", "axum", "sea-orm", "reqwest"]),
            member("plinth-catalog", "kernel/domains/catalog", &["plinth-gateway", "axum", "sea-orm"]),
            member("plinth-orders", "kernel/domains/orders", &["plinth-catalog", "plinth-gateway"]),
            member("plinth-server", "kernel/server", &["plinth-orders", "plinth-plugin-host", "axum", "sqlx"]),
            member("plinth-testkit", "kernel/testkit", &["plinth-store", "plinth-bus", "sqlx"]),
            member("plinth-admin", "admin-tui", &["plinth-client", "plinth-api"]),
            member("plinth-tests", "tests", &["plinth-client"]),
            member("xtask", "xtask", &["clap"]),
        ]
    }

    /// The kernel as it should be, with one dependency more.
    fn broken(package: &str, dependency: &str, kind: Option<DependencyKind>) -> Vec<Violation> {
        let mut members = kernel();
        let member = members.iter_mut().find(|member| member.package == package).unwrap();
        member.dependencies.push((dependency.into(), kind));
        violations(&members)
    }

    #[test]
    fn this_workspace_keeps_the_law() {
        check().unwrap();
    }

    #[test]
    fn the_intended_kernel_keeps_the_law() {
        assert_eq!(violations(&kernel()), []);
    }

    #[test]
    fn libraries_stay_in_their_rooms() {
        for (package, library) in [
            ("plinth-server", "wasmtime"),
            ("plinth-orders", "wasmtime-wasi"),
            ("plinth-core", "axum"),
            ("plinth-store", "axum"),
            ("plinth-gateway", "sea-orm"),
            ("plinth-orders", "sqlx"),
            ("plinth-gateway", "reqwest"),
            ("plinth-admin", "reqwest"),
        ] {
            let found = broken(package, library, None);
            assert_eq!(found.len(), 1, "{package} → {library}");
            let text = found[0].to_string();
            assert!(text.contains(package) && text.contains(library) && text.contains("only "), "{text}");
        }
    }

    #[test]
    fn dependencies_point_down() {
        for (package, dependency) in [
            ("plinth-api", "plinth-core"),
            ("plinth-core", "plinth-store"),
            ("plinth-store", "plinth-bus"),
            ("plinth-bus", "plinth-gateway"),
            ("plinth-gateway", "plinth-identity"),
            ("plinth-plugin-host", "plinth-store"),
            ("plinth-identity", "plinth-orders"),
            ("plinth-catalog", "plinth-orders"),
            ("plinth-orders", "plinth-identity"),
            ("plinth-orders", "plinth-plugin-host"),
            ("plinth-testkit", "plinth-identity"),
            ("plinth-server", "plinth-testkit"),
            ("plinth-admin", "plinth-core"),
            ("plinth-tests", "plinth-testkit"),
            ("plinth-tests", "plinth-server"),
            ("xtask", "plinth-core"),
        ] {
            let found = broken(package, dependency, None);
            assert_eq!(found.len(), 1, "{package} → {dependency}");
            assert_eq!((found[0].package.as_str(), found[0].dependency.as_str()), (package, dependency));
        }
    }

    #[test]
    fn tests_may_use_the_testkit_and_any_library_but_no_room_above() {
        let dev = Some(DependencyKind::Dev);
        assert_eq!(broken("plinth-store", "plinth-testkit", dev), []);
        assert_eq!(broken("plinth-store", "reqwest", dev), []);
        assert_eq!(broken("plinth-store", "plinth-gateway", dev).len(), 1);
        assert_eq!(broken("plinth-tests", "plinth-testkit", dev).len(), 1);
        assert_eq!(broken("plinth-admin", "plinth-core", dev).len(), 1);
    }

    #[test]
    fn build_scripts_obey_like_the_code() {
        assert_eq!(broken("plinth-core", "axum", Some(DependencyKind::Build)).len(), 1);
    }

    #[test]
    fn a_room_without_a_rule_is_told() {
        let mut members = kernel();
        members.push(member("plinth-new", "kernel/new", &[]));
        let found = violations(&members);
        assert!(found[0].to_string().contains("kernel/new has no rule"), "{found:?}");
    }
}
