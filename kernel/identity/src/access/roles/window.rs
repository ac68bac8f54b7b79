//! A page of a list that is short enough to be in memory as a whole. It behaves like the pages that the database cuts.

use std::cmp::Ordering;

use plinth_core::page::{Cursor, CursorValue, Direction, Start};
use plinth_gateway::Asked;
use plinth_store::Slice;
use uuid::Uuid;

/// A thing and its place in the order of the list.
pub struct Placed<T> {
    pub by: CursorValue,
    pub id: Uuid,
    pub thing: T,
}

impl<T> Placed<T> {
    fn cursor(&self) -> Cursor {
        Cursor { value: self.by.clone(), id: self.id }
    }
}

/// The part of `things` that was asked for.
pub fn window<T>(mut things: Vec<Placed<T>>, asked: &Asked) -> Slice<T> {
    let order = |one: &Cursor, other: &Cursor| {
        let ascending = compare(one, other);
        if asked.direction == Direction::Ascending { ascending } else { ascending.reverse() }
    };
    things.sort_by(|one, other| order(&one.cursor(), &other.cursor()));
    let limit = asked.limit as usize;
    let length = things.len();
    let (begin, end) = match &asked.start {
        Start::First => (0, limit.min(length)),
        Start::Last => (length.saturating_sub(limit), length),
        Start::After(seen) => {
            let begin = things.partition_point(|thing| order(&thing.cursor(), seen) != Ordering::Greater);
            (begin, (begin + limit).min(length))
        }
        Start::Before(seen) => {
            let end = things.partition_point(|thing| order(&thing.cursor(), seen) == Ordering::Less);
            (end.saturating_sub(limit), end)
        }
    };
    let backwards = matches!(asked.start, Start::Last | Start::Before(_));
    let has_more = if backwards { begin > 0 } else { end < length };
    let rows: Vec<Placed<T>> = things.drain(begin..end).collect();
    let next = if has_more || backwards { rows.last().map(Placed::cursor) } else { None };
    let from_the_start = matches!(asked.start, Start::First) || (backwards && !has_more);
    let prev = if from_the_start { None } else { rows.first().map(Placed::cursor) };
    Slice { rows: rows.into_iter().map(|placed| placed.thing).collect(), has_more, next, prev }
}

fn compare(one: &Cursor, other: &Cursor) -> Ordering {
    let by = match (&one.value, &other.value) {
        (CursorValue::Number(one), CursorValue::Number(other)) => one.cmp(other),
        (CursorValue::Text(one), CursorValue::Text(other)) => one.cmp(other),
        // One list has values of one sort only; a cursor of another list is refused before.
        (CursorValue::Number(_), CursorValue::Text(_)) => Ordering::Less,
        (CursorValue::Text(_), CursorValue::Number(_)) => Ordering::Greater,
    };
    by.then(one.id.cmp(&other.id))
}
