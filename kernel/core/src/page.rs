//! Which part of a list is asked for.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Rows a page has when nothing is asked.
pub const DEFAULT_LIMIT: u32 = 50;
pub const MAX_LIMIT: u32 = 200;

/// A row that the caller has seen: its value in the order of the list, and its id. Opaque to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    #[serde(rename = "v")]
    pub value: CursorValue,
    #[serde(rename = "i")]
    pub id: Uuid,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CursorValue {
    Number(i64),
    Text(String),
}

impl Cursor {
    /// `order` names the order of the list, so that a cursor of another order is refused.
    pub fn to_text(&self, order: &str) -> String {
        let plain = serde_json::to_vec(&(order, self)).unwrap_or_default();
        BASE64URL_NOPAD.encode(&plain)
    }

    pub fn from_text(text: &str, order: &str) -> Option<Self> {
        let plain = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (made_for, cursor): (String, Self) = serde_json::from_slice(&plain).ok()?;
        (made_for == order).then_some(cursor)
    }
}

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    First,
    Last,
    After(Cursor),
    Before(Cursor),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

impl Direction {
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_only_for_the_order_it_was_made_for() {
        let cursor = Cursor { value: CursorValue::Text("zoë".into()), id: Uuid::from_u128(7) };
        let text = cursor.to_text("name");
        assert_eq!(Cursor::from_text(&text, "name"), Some(cursor));
        assert_eq!(Cursor::from_text(&text, "created_at"), None);
        assert_eq!(Cursor::from_text("garbage", "name"), None);
    }
}
