//! How a list is asked for: page, order, filters, fields. Every list of the API understands the same words.

use std::{collections::BTreeMap, marker::PhantomData};

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use plinth_core::{
    FieldError,
    page::{Cursor, DEFAULT_LIMIT, Direction, MAX_LIMIT, Start},
};

use crate::refuse::Refusal;

/// What a list can be ordered and filtered by.
pub trait ListSpec: Send + Sync + 'static {
    /// Names for `sort`, the default first. A leading `-` in the request turns the order round.
    const SORTS: &'static [&'static str];
    /// The default order is descending (newest first).
    const DESCENDING: bool = false;
    /// Names of filters: `?status=active`.
    const FILTERS: &'static [&'static str] = &[];
    /// Whether `q` searches.
    const SEARCH: bool = false;
}

/// The part of a list that was asked for.
#[derive(Debug)]
pub struct Asked {
    pub limit: u32,
    pub start: Start,
    pub sort: &'static str,
    pub direction: Direction,
    pub search: Option<String>,
    pub ids: Option<Vec<String>>,
    pub fields: Vec<String>,
    pub filters: BTreeMap<&'static str, String>,
}

impl Asked {
    /// Names the order for cursors; the direction is not part of it, since a cursor serves both.
    pub(crate) fn order_name(&self) -> &'static str {
        self.sort
    }

    pub fn filter(&self, name: &str) -> Option<&str> {
        self.filters.get(name).map(String::as_str)
    }
}

#[derive(Debug)]
pub struct Listing<S>(pub Asked, PhantomData<fn() -> S>);

impl<S: ListSpec, T: Send + Sync> FromRequestParts<T> for Listing<S> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &T) -> Result<Self, Response> {
        let query = parts.uri.query().unwrap_or_default();
        parse::<S>(query)
            .map(|asked| Self(asked, PhantomData))
            .map_err(|fields| Refusal::invalid(fields).into_response())
    }
}

fn parse<S: ListSpec>(query: &str) -> Result<Asked, Vec<FieldError>> {
    let mut asked = Asked {
        limit: DEFAULT_LIMIT,
        start: Start::First,
        sort: S::SORTS[0],
        direction: if S::DESCENDING { Direction::Descending } else { Direction::Ascending },
        search: None,
        ids: None,
        fields: Vec::new(),
        filters: BTreeMap::new(),
    };
    let mut errors = Vec::new();
    let mut positions = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "limit" => match value.parse() {
                Ok(limit @ 1..=MAX_LIMIT) => asked.limit = limit,
                _ => errors.push(FieldError::new("limit", "invalid_value", format!("a number from 1 to {MAX_LIMIT}"))),
            },
            "after" | "before" | "anchor" => positions.push((name, value)),
            "sort" => match S::SORTS.iter().find(|sort| **sort == value.trim_start_matches('-')) {
                Some(sort) => {
                    asked.sort = sort;
                    asked.direction = if value.starts_with('-') { Direction::Descending } else { Direction::Ascending };
                }
                None => errors.push(FieldError::new(
                    "sort",
                    "invalid_value",
                    format!("one of {}, or with a leading - the other way round", S::SORTS.join(", ")),
                )),
            },
            "q" if S::SEARCH => asked.search = Some(value.into_owned()).filter(|text| !text.is_empty()),
            "ids" => asked.ids = Some(value.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect()),
            "fields" => asked.fields = value.split(',').filter(|field| !field.is_empty()).map(str::to_owned).collect(),
            other => match S::FILTERS.iter().find(|filter| **filter == other) {
                Some(filter) => drop(asked.filters.insert(filter, value.into_owned())),
                None => errors.push(FieldError::new(other, "unknown_parameter", known::<S>())),
            },
        }
    }
    for (name, value) in positions {
        match position(&name, &value, asked.sort) {
            Ok(start) if asked.start == Start::First => asked.start = start,
            Ok(_) => errors.push(FieldError::new(name, "contradiction", "give one of after, before and anchor")),
            Err(message) => errors.push(FieldError::new(name, "invalid_value", message)),
        }
    }
    if errors.is_empty() { Ok(asked) } else { Err(errors) }
}

fn position(name: &str, value: &str, sort: &str) -> Result<Start, &'static str> {
    const STALE: &str = "not a cursor of this list in this order; begin again without it";
    match (name, value) {
        ("anchor", "first") => Ok(Start::First),
        ("anchor", "last") => Ok(Start::Last),
        ("anchor", _) => Err("first or last"),
        ("after", text) => Cursor::from_text(text, sort).map(Start::After).ok_or(STALE),
        (_, text) => Cursor::from_text(text, sort).map(Start::Before).ok_or(STALE),
    }
}

fn known<S: ListSpec>() -> String {
    let mut names = vec!["limit", "after", "before", "anchor", "sort", "ids", "fields"];
    names.extend(S::SEARCH.then_some("q"));
    names.extend(S::FILTERS);
    format!("this list knows {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plinth_core::page::CursorValue;

    struct Users;
    impl ListSpec for Users {
        const SORTS: &'static [&'static str] = &["created_at", "name"];
        const FILTERS: &'static [&'static str] = &["status"];
    }

    #[test]
    fn words_are_understood_together() {
        let cursor = Cursor { value: CursorValue::Text("b".into()), id: uuid::Uuid::from_u128(1) };
        let query = format!("limit=5&sort=-name&after={}&status=a%20b&fields=id,name", cursor.to_text("name"));
        let asked = parse::<Users>(&query).expect("understood");
        assert_eq!((asked.limit, asked.sort, asked.direction), (5, "name", Direction::Descending));
        assert_eq!(asked.start, Start::After(cursor));
        assert_eq!(asked.filter("status"), Some("a b"));
        assert_eq!(asked.fields, ["id", "name"]);
    }

    #[test]
    fn mistakes_are_named_all_at_once() {
        let errors = parse::<Users>("limit=0&sort=age&colour=red&q=x&after=zz&anchor=last").expect_err("refused");
        let names: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(names, ["limit", "sort", "colour", "q", "after"]);
        let cursor = Cursor { value: CursorValue::Number(1), id: uuid::Uuid::nil() }.to_text("created_at");
        assert!(parse::<Users>(&format!("after={cursor}&sort=name")).is_err(), "a cursor of another order");
        assert!(parse::<Users>(&format!("after={cursor}&before={cursor}")).is_err(), "two positions");
    }
}
