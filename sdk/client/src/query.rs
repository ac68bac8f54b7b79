//! The query of a list, as pairs of name and value.

/// Built by hand or from pairs: `Query::new().set("status", "paid").set("limit", 50)`, `[("status", "paid")].into()`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `name` to `value`, in the place of what it was before.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts read better without a reference")]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

impl From<()> for Query {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl<K: Into<String>, V: Into<String>> From<Vec<(K, V)>> for Query {
    fn from(pairs: Vec<(K, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Query {
    fn from(pairs: [(K, V); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
