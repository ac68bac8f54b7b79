//! What somebody may do: a vocabulary of words such as `api_keys:write`, one type a word.
//!
//! A handler names the word as a type (`Caller<WriteApiKeys>`), so it cannot be misspelt or forgotten, and the OpenAPI
//! document, the roles' vocabulary and the authorisation table are made from the same types. What a principal holds is
//! a set of patterns: a word, all verbs of a resource (`api_keys:*`), one verb of all resources (`*:read`), or `*`.

pub trait Permission: Send + Sync + 'static {
    const NAME: &'static str;
    const ABOUT: &'static str;
    /// Held by people and keys of the system tenant only, whatever `*` their roles say elsewhere.
    const OPERATOR: bool;
}

/// A word of the vocabulary as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PermissionInfo {
    pub name: &'static str,
    pub about: &'static str,
    pub operator: bool,
}

impl PermissionInfo {
    pub const fn of<P: Permission>() -> Self {
        Self { name: P::NAME, about: P::ABOUT, operator: P::OPERATOR }
    }
}

/// Declares words of the vocabulary: `permissions! { ReadKeys = "api_keys:read", "See API keys"; }`.
#[macro_export]
macro_rules! permissions {
    (@one $name:ident $text:literal $about:literal $operator:literal) => {
        #[doc = $about]
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}
        impl $crate::Permission for $name {
            const NAME: &'static str = $text;
            const ABOUT: &'static str = $about;
            const OPERATOR: bool = $operator;
        }
    };
    (operator { $($name:ident = $text:literal, $about:literal;)* }) => {
        $($crate::permissions!(@one $name $text $about true);)*
    };
    ($($name:ident = $text:literal, $about:literal;)*) => {
        $($crate::permissions!(@one $name $text $about false);)*
    };
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionSet {
    patterns: Vec<Box<str>>,
}

impl PermissionSet {
    pub fn all() -> Self {
        Self::from_iter(["*"])
    }

    pub fn allows(&self, permission: &str) -> bool {
        self.patterns.iter().any(|pattern| covers(pattern, permission))
    }

    /// Everything that `other` allows is allowed here: nobody gives away more than they have.
    pub fn includes(&self, other: &Self) -> bool {
        other.patterns.iter().all(|wanted| self.allows(wanted))
    }

    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(AsRef::as_ref)
    }

    pub fn extend(&mut self, other: &Self) {
        self.patterns.extend(other.patterns.iter().cloned());
        self.patterns.sort_unstable();
        self.patterns.dedup();
    }
}

impl<S: AsRef<str>> FromIterator<S> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = S>>(patterns: I) -> Self {
        let mut set = Self { patterns: patterns.into_iter().map(|text| text.as_ref().into()).collect() };
        set.patterns.sort_unstable();
        set.patterns.dedup();
        set
    }
}

/// Also answers for patterns as `wanted`: `api_keys:*` covers `api_keys:read`, and only `*` or itself covers it.
fn covers(pattern: &str, wanted: &str) -> bool {
    if pattern == "*" || pattern == wanted {
        return true;
    }
    let Some((resource, verb)) = pattern.split_once(':') else { return false };
    let Some((wanted_resource, wanted_verb)) = wanted.split_once(':') else { return false };
    (verb == "*" && resource == wanted_resource) || (resource == "*" && verb == wanted_verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(patterns: &[&str]) -> PermissionSet {
        patterns.iter().collect()
    }

    #[test]
    fn patterns_cover_words() {
        assert!(set(&["*"]).allows("api_keys:write"));
        assert!(set(&["api_keys:*"]).allows("api_keys:write"));
        assert!(set(&["*:read"]).allows("api_keys:read"));
        for held in [&["*:read"][..], &["api_keys:read"], &["api_key:*"], &["api_keys"], &[]] {
            assert!(!set(held).allows("api_keys:write"), "{held:?}");
        }
    }

    #[test]
    fn nobody_gives_more_than_they_have() {
        assert!(set(&["*"]).includes(&set(&["*", "a:read"])));
        assert!(set(&["a:*"]).includes(&set(&["a:read", "a:*"])));
        assert!(!set(&["a:read"]).includes(&set(&["a:*"])));
        assert!(!set(&["a:*"]).includes(&set(&["*"])));
        assert!(!set(&["a:*"]).includes(&set(&["*:read"])));
    }
}
