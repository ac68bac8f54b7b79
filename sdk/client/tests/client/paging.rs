//! Lists that go on over pages.

use futures::{StreamExt, TryStreamExt};
use plinth_client::{Error, Query};
use serde_json::{Value, json};

use crate::support::{Server, client, ok, problem};

fn page(data: &[u32], has_more: bool, next: Option<&str>, prev: Option<&str>) -> Value {
    json!({ "data": data, "has_more": has_more, "next": next, "prev": prev, "total_estimate": null })
}

#[tokio::test]
async fn all_items_come_once_and_in_order() {
    let server = Server::start(|seen, _| async move {
        match seen.path.as_str() {
            "/api/v1/orders?status=paid&limit=2" => ok(&page(&[1, 2], true, Some("c/2="), None)),
            "/api/v1/orders?status=paid&limit=2&after=c%2F2%3D" => ok(&page(&[], true, Some("c3"), None)),
            "/api/v1/orders?status=paid&limit=2&after=c3" => ok(&page(&[3], false, Some("c4"), Some("c0"))),
            other => panic!("asked for {other}"),
        }
    })
    .await;
    let (client, _) = client(&server);
    let query = Query::new().set("status", "paid").set("limit", 2);
    let mut orders = client.pages::<u32>("orders", query);
    assert_eq!(orders.next().await.expect("an item").expect("good"), 1);
    assert_eq!(server.seen().len(), 1, "the next page is fetched when it is needed");
    assert_eq!(orders.try_collect::<Vec<_>>().await.expect("good"), [2, 3]);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_list_read_from_its_end_goes_back() {
    let server = Server::start(|seen, _| async move {
        match seen.path.as_str() {
            "/api/v1/orders?anchor=last" => ok(&page(&[8, 9], true, None, Some("p8"))),
            "/api/v1/orders?before=p8" => ok(&page(&[6, 7], false, Some("n"), Some("p6"))),
            other => panic!("asked for {other}"),
        }
    })
    .await;
    let (client, _) = client(&server);
    let orders = client.pages::<u32>("orders", [("anchor", "last")]);
    assert_eq!(orders.try_collect::<Vec<_>>().await.expect("good"), [8, 9, 6, 7]);
}

#[tokio::test]
async fn an_error_ends_the_list() {
    let server = Server::start(|_, before| async move {
        if before == 0 { ok(&page(&[1], true, Some("c"), None)) } else { problem(403, "forbidden") }
    })
    .await;
    let (client, _) = client(&server);
    let mut orders = client.pages::<u32>("orders", ());
    assert_eq!(orders.next().await.expect("an item").expect("good"), 1);
    assert_eq!(orders.next().await.expect("an error").expect_err("refused").code(), Some("forbidden"));
    assert!(orders.next().await.is_none());
}

#[tokio::test]
async fn a_server_that_leads_in_circles_or_nowhere_is_caught() {
    for cursor in [Some("same"), None] {
        let server = Server::start(move |_, _| async move { ok(&page(&[1], true, cursor, None)) }).await;
        let (client, _) = client(&server);
        let error =
            client.pages::<u32>("orders", [("after", "same")]).try_collect::<Vec<_>>().await.expect_err("caught");
        assert!(matches!(error, Error::Decode { .. }), "{error:?}");
        assert_eq!(error.request_id(), Some("req_1"));
    }
}
