//! Which patterns roles and scopes may be made of: words of the vocabulary, `resource:*`, `*:verb`, and `*`.

use plinth_core::{PermissionInfo, PermissionSet, SYSTEM_TENANT, TenantId, api::roles::Permission};

use crate::fields::Checks;

const MOST_PATTERNS: usize = 100;

/// The words that somebody is told of: an operator all of them, others those that they could ever hold.
pub fn visible(vocabulary: &[PermissionInfo], operator: bool) -> impl Iterator<Item = Permission> {
    vocabulary.iter().filter(move |word| operator || !word.operator).map(|word| Permission {
        name: word.name.into(),
        description: word.about.into(),
        operator_only: word.operator,
    })
}

/// A set out of what was sent; each pattern that means nothing in this tenant is refused by itself. Words for operators
/// mean something in the system tenant only.
pub fn check_patterns(
    checks: &mut Checks,
    pointer: &str,
    patterns: &[String],
    vocabulary: &[PermissionInfo],
    tenant: TenantId,
) -> PermissionSet {
    if patterns.is_empty() || patterns.len() > MOST_PATTERNS {
        checks.refuse(pointer, "invalid_length", format!("1 to {MOST_PATTERNS} permissions"));
    }
    for (index, pattern) in patterns.iter().enumerate() {
        if !means_something(pattern, vocabulary, tenant == SYSTEM_TENANT) {
            checks.refuse(
                &format!("{pointer}/{index}"),
                "unknown_permission",
                "a permission of GET /api/v1/permissions, a pattern of them such as roles:* or *:read, or *",
            );
        }
    }
    // `*` says all that the others say.
    if patterns.iter().any(|pattern| pattern == "*") { PermissionSet::all() } else { patterns.iter().collect() }
}

fn means_something(pattern: &str, vocabulary: &[PermissionInfo], operators: bool) -> bool {
    let alone = PermissionSet::from_iter([pattern]);
    vocabulary.iter().any(|word| (operators || !word.operator) && alone.allows(word.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &[PermissionInfo] = &[
        PermissionInfo { name: "roles:read", about: "See roles", operator: false },
        PermissionInfo { name: "roles:write", about: "Change roles", operator: false },
        PermissionInfo { name: "tenants:suspend", about: "Suspend tenants", operator: true },
    ];

    fn refused(patterns: &[&str], tenant: TenantId) -> Vec<String> {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        let mut checks = Checks::default();
        check_patterns(&mut checks, "/p", &patterns, WORDS, tenant);
        checks.done().err().unwrap_or_default().into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn patterns_are_made_of_known_words() {
        let tenant = TenantId::from_uuid(uuid::Uuid::from_u128(7));
        let fine = ["roles:read", "roles:*", "*:write", "*"];
        assert!(refused(&fine, tenant).is_empty());
        for bad in
            ["roles:erase", "role:*", "*:suspend", "tenants:suspend", "tenants:*", "*:*", "roles", "roles:", "", " *"]
        {
            assert_eq!(refused(&["roles:read", bad], tenant), ["/p/1"], "{bad}");
        }
        assert_eq!(refused(&[], tenant), ["/p"]);
        assert!(refused(&["*:suspend", "tenants:suspend", "tenants:*"], SYSTEM_TENANT).is_empty());
    }

    #[test]
    fn a_star_swallows_the_rest() {
        let patterns = ["roles:read".to_owned(), "*".to_owned()];
        let set = check_patterns(&mut Checks::default(), "", &patterns, WORDS, SYSTEM_TENANT);
        assert_eq!(set, PermissionSet::all());
    }

    #[test]
    fn words_for_operators_are_shown_to_operators() {
        let names = |operator| visible(WORDS, operator).map(|word| word.name).collect::<Vec<_>>();
        assert_eq!(names(false), ["roles:read", "roles:write"]);
        assert_eq!(names(true), ["roles:read", "roles:write", "tenants:suspend"]);
    }
}
