//! An authenticator app here is asked for, whatever the provider has asked.

use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
use serde_json::{Value, json};
use totp_rs::{Algorithm, TOTP};

use super::{NOBODY, Room, rooms};
use crate::{
    accounts::login::totp_context,
    entities::users,
    testing::{Actor, PASSWORD},
};

const SECRET: &[u8] = b"twenty bytes of secret";

/// Somebody with a linked identity and an authenticator app.
async fn enrolled(room: &Room) -> Actor {
    let owner = room.test.owner().await;
    room.person("s1", "private@example.com", true);
    room.link(&owner.token).await.expect(200);
    let user: plinth_core::UserId = owner.user.parse().unwrap();
    let tx = room.change().await;
    let sealed = tx.store().vault().seal(&tx, &totp_context(user), SECRET).await.unwrap();
    tx.update::<users::Entity>()
        .col_expr(users::Column::TotpSecret, Expr::value(Some(sealed)))
        .col_expr(users::Column::TotpConfirmedAt, Expr::value(Some(tx.now().millis())))
        .filter(users::Column::Id.eq(user.uuid()))
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    owner
}

fn right_code(room: &Room) -> String {
    let totp = TOTP::new(Algorithm::SHA1, 6, 1, 30, SECRET.to_vec(), None, String::new()).unwrap();
    totp.generate(room.test.identity.world().now().seconds() as u64)
}

fn wrong_code(room: &Room) -> String {
    let right: u32 = right_code(room).parse().unwrap();
    // Far from the codes of the steps before and after, too, unless chance has it otherwise by one in a million.
    format!("{:06}", (right + 500_000) % 1_000_000)
}

fn with(back: &Value, code: &str) -> Value {
    let mut body = back.clone();
    body["totp"] = json!(code);
    body
}

#[tokio::test]
async fn the_same_request_with_the_code_ends_the_sign_in() {
    for room in rooms().await {
        let owner = enrolled(&room).await;
        let back = room.start(NOBODY, None).await;
        for _ in 0..2 {
            room.callback(NOBODY, &back).await.refused(401, "mfa_required");
        }
        let redeemed = room.fake.hits("/token");
        room.callback(NOBODY, &with(&back, &wrong_code(&room))).await.refused(401, "invalid_credentials");
        let mut other_code = with(&back, &right_code(&room));
        other_code["code"] = json!("another");
        room.callback(NOBODY, &other_code).await.refused(401, "oauth_state_invalid");
        let right = with(&back, &right_code(&room));
        assert_eq!(room.callback(NOBODY, &right).await.expect(200)["user"]["id"], owner.user);
        assert_eq!(room.fake.hits("/token"), redeemed, "the provider is not asked again");
        room.callback(NOBODY, &right).await.refused(401, "oauth_state_invalid");
    }
}

#[tokio::test]
async fn the_code_may_come_along_at_once_and_counts_once() {
    for room in rooms().await {
        let owner = enrolled(&room).await;
        let back = room.start(NOBODY, None).await;
        let code = right_code(&room);
        assert_eq!(room.callback(NOBODY, &with(&back, &code)).await.expect(200)["user"]["id"], owner.user);
        let again = room.start(NOBODY, None).await;
        room.callback(NOBODY, &with(&again, &code)).await.refused(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn the_code_is_waited_for_for_five_minutes() {
    for room in rooms().await {
        enrolled(&room).await;
        let back = room.start(NOBODY, None).await;
        room.callback(NOBODY, &back).await.refused(401, "mfa_required");
        room.test.advance(200).await;
        room.callback(NOBODY, &back).await.refused(401, "mfa_required");
        room.test.advance(101).await;
        let late = with(&back, &right_code(&room));
        room.callback(NOBODY, &late).await.refused(401, "oauth_state_invalid");
    }
}

#[tokio::test]
async fn wrong_codes_lock_the_account_however_often_the_provider_is_asked() {
    for room in rooms().await {
        let owner = enrolled(&room).await;
        for _ in 0..5 {
            let back = room.start(NOBODY, None).await;
            for _ in 0..2 {
                room.callback(NOBODY, &with(&back, &wrong_code(&room))).await.refused(401, "invalid_credentials");
            }
        }
        assert_eq!(room.test.mail_to(&owner.email).await.0, "account_locked");
        let back = room.start(NOBODY, None).await;
        room.callback(NOBODY, &with(&back, &right_code(&room))).await.refused(401, "invalid_credentials");
        let login = json!({ "email": owner.email, "password": PASSWORD, "totp": right_code(&room) });
        room.test.app.post("/api/v1/auth/login").json(&login).send().await.refused(401, "invalid_credentials");
        room.test.advance(16 * 60).await;
        room.person("s1", "private@example.com", true);
        let back = room.start(NOBODY, None).await;
        room.callback(NOBODY, &with(&back, &right_code(&room))).await.expect(200);
    }
}

#[tokio::test]
async fn an_address_that_a_provider_vouches_for_does_not_get_around_it() {
    for room in rooms().await {
        let owner = enrolled(&room).await;
        room.verify(&owner.email).await;
        room.person("s2", &owner.email, true);
        let back = room.start(NOBODY, None).await;
        room.callback(NOBODY, &back).await.refused(401, "mfa_required");
        assert_eq!(
            room.identities(&owner.token).await.as_array().unwrap().len(),
            1,
            "nothing is linked without the code"
        );
        room.callback(NOBODY, &with(&back, &right_code(&room))).await.expect(200);
        assert_eq!(room.identities(&owner.token).await.as_array().unwrap().len(), 2);
    }
}
