//! Lists are read whole by cursor, in either direction, while others write.

use futures::{StreamExt, TryStreamExt, stream};
use plinth_api::{OrganizationId, Page, tenants::Organization};
use plinth_client::Query;
use plinth_tests::{Actor, Kernel, on_both_databases};
use serde_json::json;

const ROWS: usize = 520;

on_both_databases!(a_long_list_is_read_whole_in_both_directions);

async fn filled(kernel: &Kernel) -> Actor {
    let owner = kernel.owner().await;
    let create = |number: usize| {
        let body = json!({ "name": format!("Team {:03}", number * 7 % ROWS), "slug": format!("team-{number:03}") });
        let owner = &owner;
        async move { owner.post("organizations", &body).send().await.expect(201) }
    };
    stream::iter(0..ROWS).map(create).buffer_unordered(16).for_each(|_| async {}).await;
    owner
}

async fn all(owner: &Actor, query: Query) -> Vec<Organization> {
    owner.client.organizations().all(query).try_collect().await.expect("every page can be read")
}

fn ids(rows: &[Organization]) -> Vec<OrganizationId> {
    rows.iter().map(|row| row.id).collect()
}

async fn a_long_list_is_read_whole_in_both_directions(kernel: Kernel) {
    let owner = filled(&kernel).await;
    let forwards = all(&owner, Query::new().set("limit", 200)).await;
    assert_eq!(forwards.len(), ROWS);
    let mut distinct = ids(&forwards);
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), ROWS, "no row twice");

    let small_pages = all(&owner, Query::new().set("limit", 37)).await;
    assert_eq!(ids(&small_pages), ids(&forwards), "the size of the pages changes nothing");

    let by_name = all(&owner, Query::new().set("limit", 100).set("sort", "name")).await;
    assert!(by_name.is_sorted_by(|a, b| a.name <= b.name));
    let downwards = all(&owner, Query::new().set("limit", 100).set("sort", "-name")).await;
    assert!(downwards.is_sorted_by(|a, b| a.name >= b.name));
    assert_eq!((by_name.len(), downwards.len()), (ROWS, ROWS));

    let mut from_the_end = Vec::new();
    let mut query = Query::new().set("limit", 150).set("anchor", "last");
    loop {
        let page: Page<Organization> = owner.client.organizations().list(query).await.expect("a page").body;
        from_the_end.splice(0..0, page.data);
        if !page.has_more {
            break;
        }
        query = Query::new().set("limit", 150).set("before", page.prev.expect("a way back"));
    }
    assert_eq!(ids(&from_the_end), ids(&forwards), "backwards is the same list");
}

#[tokio::test]
async fn cursors_survive_what_others_write() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let create = async |slug: String| {
        let body = json!({ "name": slug, "slug": slug });
        owner.post("organizations", &body).send().await.expect(201).json()["id"].as_str().expect("an id").to_owned()
    };
    let mut made = Vec::new();
    for number in 0..30 {
        made.push(create(format!("old-{number:02}")).await);
    }
    let page = |after: Option<String>| {
        let query = after.map_or(String::new(), |after| format!("&after={after}"));
        owner.get(&format!("organizations?limit=10&sort=name{query}")).send()
    };
    let first = page(None).await.expect(200).json();
    // Before, at and behind the cursor; and the row of the cursor itself goes.
    create("aaa".into()).await;
    create("zzz".into()).await;
    owner.ask("DELETE", &format!("organizations/{}", made[9])).send().await.expect(204);
    let second = page(first["next"].as_str().map(str::to_owned)).await.expect(200).json();
    let names: Vec<&str> =
        second["data"].as_array().expect("rows").iter().filter_map(|row| row["name"].as_str()).collect();
    let expected: Vec<String> = (10..20).map(|number| format!("old-{number:02}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_list_says_what_is_wrong_with_the_question() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let one = owner.post("organizations", &json!({ "name": "One", "slug": "one" })).send().await.expect(201).json();
    owner.post("organizations", &json!({ "name": "Two", "slug": "two" })).send().await.expect(201);
    for question in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=99999999999999999999",
        "after=nonsense",
        "before=%00",
        "sort=colour",
        "anchor=middle",
        "wizard=1",
        "after=a&before=b",
    ] {
        let refused = owner.get(&format!("organizations?{question}")).send().await.refused(422, "invalid");
        let pointer = refused["errors"][0]["pointer"].as_str().expect("a place");
        assert!(question.starts_with(pointer), "{question}: {refused}");
    }
    let id = one["id"].as_str().expect("an id");
    let rows = async |query: &str| {
        owner.get(&format!("organizations?{query}")).send().await.expect(200).json()["data"].clone()
    };
    assert_eq!(rows(&format!("ids={id}")).await, json!([one]));
    assert_eq!(rows("q=tw").await[0]["slug"], "two");
    assert_eq!(rows("fields=slug&sort=name").await, json!([{ "slug": "one" }, { "slug": "two" }]));
    let other_tenant = kernel.other_tenant().await;
    let stolen = other_tenant.get(&format!("organizations?ids={id}")).send().await.expect(200).json();
    assert_eq!(stolen["data"], json!([]), "rows of others are not there");
}
