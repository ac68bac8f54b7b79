//! Lists as callers see them: cursors, fields, and answers to what a list does not know.

use axum::extract::State;
use plinth_core::{
    SYSTEM_TENANT,
    page::{Cursor, CursorValue, Start},
};
use plinth_gateway::{Caller, Endpoint, Failed, ListSpec, Listing, Paged, endpoint::get};
use plinth_store::{Slice, Store};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::room::{ReadThings, WRITER, start};

struct Numbers;
impl ListSpec for Numbers {
    const SORTS: &'static [&'static str] = &["number"];
}

#[derive(Serialize, JsonSchema)]
struct Number {
    number: i64,
    square: i64,
}

pub fn endpoints() -> Vec<Endpoint<Store>> {
    vec![get("/numbers", list).summary("List numbers")]
}

/// The numbers from 0 to 9.
async fn list(
    _: Caller<ReadThings>,
    State(_): State<Store>,
    listing: Listing<Numbers>,
) -> Result<Paged<Number>, Failed> {
    let asked = listing.0;
    let from = match &asked.start {
        Start::After(Cursor { value: CursorValue::Number(last), .. }) => last + 1,
        _ => 0,
    };
    let rows: Vec<i64> = (from..10).take(asked.limit as usize).collect();
    let cursor = |number: &i64| Cursor {
        value: CursorValue::Number(*number),
        id: Uuid::from_u128(SYSTEM_TENANT.uuid().as_u128()),
    };
    let has_more = rows.last().is_some_and(|last| *last < 9);
    let slice = Slice {
        next: rows.last().filter(|_| has_more).map(cursor),
        prev: None,
        has_more,
        rows: rows.into_iter().map(|number| Number { number, square: number * number }).collect(),
    };
    Ok(Paged::new(slice, &asked, Some(10)))
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let test = start(|_| ()).await;
    let mut path = String::from("/numbers?limit=4");
    let mut seen = Vec::new();
    loop {
        let page = test.app.get(&path).token(WRITER).send().await.expect(200);
        seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["number"].as_i64().unwrap()));
        assert_eq!(page["total_estimate"], 10);
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/numbers?limit=4&after={next}");
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn only_the_fields_that_were_asked_for_are_sent() {
    let test = start(|_| ()).await;
    let page = test.app.get("/numbers?limit=1&fields=square").token(WRITER).send().await.expect(200);
    assert_eq!(page["data"], serde_json::json!([{ "square": 0 }]));
    test.app.get("/numbers?fields=square,cube").token(WRITER).send().await.refused(422, "invalid");
}

#[tokio::test]
async fn what_a_list_does_not_know_is_refused_by_name() {
    let test = start(|_| ()).await;
    let problem =
        test.app.get("/numbers?limit=0&colour=red&sort=age").token(WRITER).send().await.refused(422, "invalid");
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(3));
}
