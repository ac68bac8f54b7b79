//! Identities that are linked to an account, and unlinked.

use plinth_core::IdentityId;
use serde_json::{Value, json};

use super::{NOBODY, REDIRECT_URI, Room, rooms};

async fn unlink(room: &Room, token: &str, id: &Value) -> plinth_testkit::Reply {
    let path = format!("/api/v1/auth/identities/{}", id.as_str().expect("an id"));
    room.test.app.delete(&path).token(token).send().await
}

#[tokio::test]
async fn who_is_signed_in_links_and_signs_in_with_it_from_then_on() {
    for room in rooms().await {
        let owner = room.test.owner().await;
        room.person("s1", "private@example.com", true);
        let linked = room.link(&owner.token).await.expect(200);
        assert_eq!(linked["user"]["id"], owner.user);
        assert_eq!(room.test.mail_to(&owner.email).await.0, "identity_linked");
        // Once more changes nothing.
        room.link(&owner.token).await.expect(200);
        assert_eq!(room.identities(&owner.token).await.as_array().unwrap().len(), 1);
        assert_eq!(room.sign_in().await.expect(200)["user"]["id"], owner.user);

        let other = room.test.owner().await;
        room.link(&other.token).await.refused(409, "identity_taken");
        assert_eq!(room.identities(&other.token).await, json!([]));
    }
}

#[tokio::test]
async fn a_link_is_finished_by_who_began_it() {
    for room in rooms().await {
        let (owner, lured) = (room.test.owner().await, room.test.owner().await);
        room.person("s1", "victim@example.com", true);
        let back = room.start(&owner.token, None).await;
        room.callback(NOBODY, &back).await.refused(401, "authentication_needed");
        room.callback("garbage", &back).await.refused(401, "token_expired");
        room.callback(&lured.token, &back).await.refused(403, "link_of_another");
        assert_eq!(room.callback(&owner.token, &back).await.expect(200)["user"]["id"], owner.user);
        // A sign-in does not mind who sends it.
        let back = room.start(NOBODY, None).await;
        assert_eq!(room.callback(&lured.token, &back).await.expect(200)["user"]["id"], owner.user);
        let request = json!({ "redirect_uri": REDIRECT_URI, "tenant": { "name": "T", "slug": "tenant-x" } });
        room.post("fake/start", &owner.token, &request).await.refused(422, "invalid");
    }
}

#[tokio::test]
async fn a_link_is_removed_by_its_owner_while_another_way_in_is_left() {
    for room in rooms().await {
        let (owner, other) = (room.test.owner().await, room.test.owner().await);
        room.person("s1", "private@example.com", true);
        room.link(&owner.token).await.expect(200);
        let id = room.identities(&owner.token).await[0]["id"].clone();
        unlink(&room, &other.token, &id).await.refused(404, "not_found");
        let nothing = json!(IdentityId::from_uuid(uuid::Uuid::from_u128(7)).to_string());
        unlink(&room, &owner.token, &nothing).await.refused(404, "not_found");
        let path = format!("/api/v1/auth/identities/{}", id.as_str().unwrap());
        let stale = room.test.app.delete(&path).token(&owner.token).header("if-match", "\"other\"");
        stale.send().await.refused(412, "stale");
        unlink(&room, &owner.token, &id).await.expect(204);
        assert_eq!(room.identities(&owner.token).await, json!([]));
        assert_eq!(room.test.mail_to(&owner.email).await.0, "identity_unlinked");
    }
}

#[tokio::test]
async fn the_last_way_to_sign_in_stays() {
    for room in rooms().await {
        room.person("s1", "ann@example.com", true);
        let signed_in = room.sign_in().await.expect(200);
        let token = signed_in["access_token"].as_str().unwrap();
        let first = room.identities(token).await[0]["id"].clone();
        unlink(&room, token, &first).await.refused(409, "last_way_to_sign_in");
        room.person("s2", "ann@example.com", true);
        room.link(token).await.expect(200);
        unlink(&room, token, &first).await.expect(204);
        let second = room.identities(token).await[0]["id"].clone();
        unlink(&room, token, &second).await.refused(409, "last_way_to_sign_in");
    }
}
