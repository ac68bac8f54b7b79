//! Which account an identity opens.

use serde_json::json;

use super::{NOBODY, rooms, rooms_with};
use crate::testing::PASSWORD;

#[tokio::test]
async fn a_new_person_gets_an_account_and_the_tenant_that_was_asked_for() {
    for room in rooms().await {
        room.person("s1", "Ann@Example.com", true);
        let back = room.start(NOBODY, Some(json!({ "name": "Ann's", "slug": "anns" }))).await;
        let signed_in = room.callback(NOBODY, &back).await.expect(200);
        assert_eq!(signed_in["user"]["email"], "Ann@Example.com");
        assert_eq!(signed_in["user"]["email_verified"], true);
        assert_eq!(signed_in["user"]["name"], "Ann at the provider");
        assert_eq!(signed_in["tenant"]["slug"], "anns");
        let token = signed_in["access_token"].as_str().unwrap();
        let me = room.test.app.get("/api/v1/me").token(token).send().await.expect(200);
        assert_eq!(me["roles"], json!(["owner"]));
        let refresh = json!({ "refresh_token": signed_in["refresh_token"] });
        room.test.app.post("/api/v1/auth/refresh").json(&refresh).send().await.expect(200);
        let identities = room.identities(token).await;
        assert_eq!((&identities[0]["subject"], &identities[0]["issuer"]), (&json!("s1"), &json!(room.fake.issuer)));

        // The address at the provider may change; the person stays the same one.
        room.person("s1", "new@example.com", false);
        let again = room.sign_in().await.expect(200);
        assert_eq!(
            (&again["user"]["id"], &again["tenant"]["id"]),
            (&signed_in["user"]["id"], &signed_in["tenant"]["id"])
        );

        let login = json!({ "email": "ann@example.com", "password": PASSWORD });
        room.test.app.post("/api/v1/auth/login").json(&login).send().await.refused(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn an_address_counts_as_verified_only_from_a_provider_that_is_trusted_with_it() {
    for room in rooms_with(|config| config.providers.get_mut("fake").unwrap().trust_email = false).await {
        room.person("s1", "ann@example.com", true);
        let signed_in = room.sign_in().await.expect(200);
        assert_eq!(signed_in["user"]["email_verified"], false);
        assert_eq!(signed_in["tenant"], json!(null));
        assert_eq!(room.test.mail_to("ann@example.com").await.0, "verify_email");
    }
    for room in rooms().await {
        room.person("s1", "ann@example.com", false);
        assert_eq!(room.sign_in().await.expect(200)["user"]["email_verified"], false);
    }
}

#[tokio::test]
async fn a_verified_address_at_a_trusted_provider_opens_the_account_that_has_verified_it() {
    for room in rooms().await {
        let owner = room.test.owner().await;
        room.person("s1", &owner.email, true);
        // Whoever registered the address here may not be who owns it.
        room.sign_in().await.refused(409, "account_exists");
        room.verify(&owner.email).await;
        room.person("s1", &owner.email, false);
        room.sign_in().await.refused(409, "account_exists");
        room.person("s1", &owner.email.to_uppercase(), true);
        let signed_in = room.sign_in().await.expect(200);
        assert_eq!((&signed_in["user"]["id"], &signed_in["tenant"]["id"]), (&json!(owner.user), &json!(owner.tenant)));
        assert_eq!(room.test.mail_to(&owner.email).await.0, "identity_linked");
        assert_eq!(room.identities(&owner.token).await.as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_untrusted_provider_opens_no_account_by_address() {
    for room in rooms_with(|config| config.providers.get_mut("fake").unwrap().trust_email = false).await {
        let owner = room.test.owner().await;
        room.verify(&owner.email).await;
        room.person("s1", &owner.email, true);
        room.sign_in().await.refused(409, "account_exists");
        assert_eq!(room.identities(&owner.token).await, json!([]));
    }
}

#[tokio::test]
async fn nobody_new_comes_in_while_registration_is_closed() {
    for room in rooms_with(|config| config.open_registration = false).await {
        room.person("s1", "ann@example.com", true);
        room.sign_in().await.refused(403, "registration_closed");
    }
}

#[tokio::test]
async fn an_account_needs_an_address() {
    for room in rooms().await {
        room.fake.set().userinfo = json!({ "sub": "s1" });
        for address in ["", "nobody"] {
            room.person("s1", address, true);
            if address.is_empty() {
                room.fake.set().claims["email"] = json!(null);
            }
            room.sign_in().await.refused(409, "email_needed");
        }
    }
}

#[tokio::test]
async fn a_slug_that_is_taken_leaves_nothing_half_made() {
    for room in rooms().await {
        let owner = room.test.owner().await;
        let me = room.test.app.get("/api/v1/me").token(&owner.token).send().await.expect(200);
        let taken = json!({ "name": "Other", "slug": me["tenant"]["slug"] });
        room.person("s1", "ann@example.com", true);
        let back = room.start(NOBODY, Some(taken)).await;
        room.callback(NOBODY, &back).await.refused(409, "slug_taken");
        let back = room.start(NOBODY, Some(json!({ "name": "Other", "slug": "free-slug" }))).await;
        assert_eq!(room.callback(NOBODY, &back).await.expect(200)["tenant"]["slug"], "free-slug");
    }
}
