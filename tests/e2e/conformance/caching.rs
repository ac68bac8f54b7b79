//! Entity tags and positions: who reads knows what they read, and who changes knows what they change.

use plinth_tests::{Answer, Kernel, on_both_databases};
use serde_json::json;

on_both_databases!(a_change_is_made_only_to_what_was_read);

fn tag(answer: &Answer) -> String {
    answer.header("etag").expect("an ETag").to_owned()
}

async fn a_change_is_made_only_to_what_was_read(kernel: Kernel) {
    let owner = kernel.owner().await;
    let created = owner.post("organizations", &json!({ "name": "A", "slug": "aaa" })).send().await.expect(201);
    let path = format!("organizations/{}", created.json()["id"].as_str().expect("an id"));
    let read = owner.get(&path).send().await.expect(200);
    assert_eq!(tag(&read), tag(&created));

    let unchanged = owner.get(&path).header("if-none-match", tag(&read)).send().await.expect(304);
    assert_eq!((unchanged.body.len(), unchanged.header("etag")), (0, read.header("etag")));
    owner.get(&path).header("if-none-match", format!("\"other\", W/{}", tag(&read))).send().await.expect(304);

    let rename = |name: &str, etag: &str| {
        owner.ask("PATCH", &path).json(&json!({ "name": name })).header("if-match", etag).send()
    };
    rename("B", "\"stale\"").await.refused(412, "stale");
    let renamed = rename("B", &tag(&read)).await.expect(200);
    assert_ne!(tag(&renamed), tag(&read));
    rename("C", &tag(&read)).await.refused(412, "stale");
    let fresh = owner.get(&path).header("if-none-match", tag(&read)).send().await.expect(200);
    assert_eq!((fresh.json()["name"].as_str(), tag(&fresh)), (Some("B"), tag(&renamed)));

    let delete = |etag: &str| owner.ask("DELETE", &path).header("if-match", etag).send();
    delete(&tag(&read)).await.refused(412, "stale");
    delete(&tag(&fresh)).await.expect(204);
    owner.get(&path).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn a_write_tells_its_place_in_the_log() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let mut last = 0;
    for number in 0..5 {
        let body = json!({ "name": "T", "slug": format!("team-{number}") });
        let made = owner.post("organizations", &body).send().await.expect(201);
        let position: u64 = made.header("plinth-position").expect("a position").parse().expect("a number");
        assert!(position > last, "{position} comes after {last}");
        last = position;
        let path = format!("organizations/{}", made.json()["id"].as_str().expect("an id"));
        owner.get(&path).header("plinth-min-position", position.to_string()).send().await.expect(200);
    }
    let read = owner.get("organizations").send().await.expect(200);
    assert_eq!(read.header("plinth-position"), None, "reading writes nothing");
}

#[tokio::test]
async fn a_patch_tells_absent_from_null() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let body = json!({ "name": "R", "description": "d", "permissions": ["tenant:read"] });
    let role = owner.post("roles", &body).send().await.expect(201).json();
    let path = format!("roles/{}", role["id"].as_str().expect("an id"));
    let patch = |body: serde_json::Value| owner.ask("PATCH", &path).json(&body).send();
    let kept = patch(json!({ "name": "S" })).await.expect(200).json();
    assert_eq!((kept["name"].as_str(), kept["description"].as_str()), (Some("S"), Some("d")));
    let gone = patch(json!({ "description": null })).await.expect(200).json();
    assert_eq!((gone["name"].as_str(), gone["description"].as_str()), (Some("S"), None));
    let refused = patch(json!({ "name": null })).await.refused(422, "invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/name");
    let refused = patch(json!({ "nmae": "T" })).await.refused(422, "invalid");
    assert_eq!(refused["errors"][0]["code"], "unknown_field");
}
