//! Lists by key set: a page starts behind a row that the caller has seen, so inserts do not shift it.

use plinth_core::page::{Cursor, CursorValue, Direction, Start};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ModelTrait, Order, QueryFilter, QueryOrder, QuerySelect,
    Select, Value,
};

use crate::Error;

/// The order of a list: a column, and the id where the column is equal.
#[derive(Debug, Clone, Copy)]
pub struct Keyset<C> {
    pub by: C,
    pub id: C,
    pub direction: Direction,
}

/// One page of rows.
#[derive(Debug)]
pub struct Slice<M> {
    pub rows: Vec<M>,
    pub has_more: bool,
    pub next: Option<Cursor>,
    pub prev: Option<Cursor>,
}

impl<M> Slice<M> {
    pub fn map<T>(self, convert: impl FnMut(M) -> T) -> Slice<T> {
        Slice {
            rows: self.rows.into_iter().map(convert).collect(),
            has_more: self.has_more,
            next: self.next,
            prev: self.prev,
        }
    }
}

/// Reads one page of `select`.
pub async fn list<E>(
    connection: &impl ConnectionTrait,
    select: Select<E>,
    order: Keyset<E::Column>,
    start: &Start,
    limit: u32,
) -> Result<Slice<E::Model>, Error>
where
    E: EntityTrait,
    E::Model: Send + Sync,
{
    let backwards = matches!(start, Start::Last | Start::Before(_));
    let direction = if backwards { order.direction.reversed() } else { order.direction };
    let mut select = select;
    if let Start::After(cursor) | Start::Before(cursor) = start {
        select = select.filter(beyond::<E>(order, direction, cursor));
    }
    let sql_order = if direction == Direction::Ascending { Order::Asc } else { Order::Desc };
    let mut rows = select
        .order_by(order.by, sql_order.clone())
        .order_by(order.id, sql_order)
        .limit(u64::from(limit) + 1)
        .all(connection)
        .await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    if backwards {
        rows.reverse();
    }
    let cursor = |row: &E::Model| cursor_of::<E>(order, row);
    // Reading back from a row that exists means that there is something to read on to.
    let next = if has_more || backwards { rows.last().map(cursor).transpose()? } else { None };
    let prev = if matches!(start, Start::First) || (backwards && !has_more) {
        None
    } else {
        rows.first().map(cursor).transpose()?
    };
    Ok(Slice { rows, has_more, next, prev })
}

fn beyond<E: EntityTrait>(order: Keyset<E::Column>, direction: Direction, cursor: &Cursor) -> Condition {
    let value: Value = match &cursor.value {
        CursorValue::Number(number) => (*number).into(),
        CursorValue::Text(text) => text.clone().into(),
    };
    let (past, past_id) = match direction {
        Direction::Ascending => (order.by.gt(value.clone()), order.id.gt(cursor.id)),
        Direction::Descending => (order.by.lt(value.clone()), order.id.lt(cursor.id)),
    };
    Condition::any().add(past).add(Condition::all().add(order.by.eq(value)).add(past_id))
}

fn cursor_of<E: EntityTrait>(order: Keyset<E::Column>, row: &E::Model) -> Result<Cursor, Error> {
    let value = match row.get(order.by) {
        Value::BigInt(Some(number)) => CursorValue::Number(number),
        Value::String(Some(text)) => CursorValue::Text(text.clone()),
        other => return Err(Error::Inconsistent(format!("a list cannot be ordered by {other:?}"))),
    };
    match row.get(order.id) {
        Value::Uuid(Some(id)) => Ok(Cursor { value, id }),
        other => Err(Error::Inconsistent(format!("a list has no id in {other:?}"))),
    }
}
