//! Passwords that are forgotten or changed, links that sign in, and the second factor.

use std::time::Duration;

use plinth_api::auth::{ChangePassword, MailTo, ResetPassword, TotpCode};
use plinth_tests::{Kernel, PASSWORD, on_both_databases};
use serde_json::json;

use crate::journeys::totp_code;

on_both_databases!(a_forgotten_password_is_replaced_through_the_mail);

async fn a_forgotten_password_is_replaced_through_the_mail(kernel: Kernel) {
    let owner = kernel.owner().await;
    let key = owner.api_key(&["*"]).await;
    kernel.client().auth().forgot_password(&MailTo { email: owner.email.clone() }).await.expect("asked");
    let token = kernel.mail_token(&owner.email, "password_reset").await;
    let request = ResetPassword { token, password: "another good password".into() };
    kernel.client().auth().reset_password(&request).await.expect("the token in the mail is good");

    let again = kernel.client().auth().reset_password(&request).await.expect_err("used once");
    assert_eq!(again.code(), Some("one_time_token_invalid"));
    let login = |password: &str| kernel.post("auth/login", &json!({ "email": owner.email, "password": password }));
    login(PASSWORD).send().await.refused(401, "invalid_credentials");
    login("another good password").send().await.expect(200);
    owner.get("me").send().await.refused(401, "token_revoked");
    kernel.get("me").token(&key.key).send().await.expect(200);
}

#[tokio::test]
async fn a_link_to_reset_ends_with_its_time_and_with_the_next_one() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let ask = async || {
        kernel.client().auth().forgot_password(&MailTo { email: owner.email.clone() }).await.expect("asked");
        kernel.mail_token(&owner.email, "password_reset").await
    };
    let reset = async |token: String| {
        let request = ResetPassword { token, password: "another good password".into() };
        kernel.client().auth().reset_password(&request).await
    };
    let (first, second) = (ask().await, ask().await);
    reset(first).await.expect_err("a newer mail was sent");
    kernel.advance(Duration::from_mins(31)).await;
    reset(second).await.expect_err("half an hour is over");
    reset(ask().await).await.expect("in time");
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_only() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let elsewhere = kernel.login(&owner.email, PASSWORD).await;
    let change = |current: &str| ChangePassword {
        current_password: Some(current.into()),
        new_password: "another good password".into(),
    };
    let wrong = owner.client.auth().change_password(&change("wrong")).await.expect_err("the present one is needed");
    assert_eq!(wrong.code(), Some("wrong_proof"));
    owner.client.auth().change_password(&change(PASSWORD)).await.expect("changed");
    owner.get("me").send().await.expect(200);
    elsewhere.get("me").send().await.refused(401, "token_revoked");
}

#[tokio::test]
async fn a_link_from_a_mail_signs_in_once() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    kernel.client().auth().send_magic_link(&MailTo { email: owner.email.clone() }).await.expect("asked");
    let token = kernel.mail_token(&owner.email, "magic_link").await;
    let redeem = || kernel.post("auth/magic-link/redeem", &json!({ "token": token })).send();
    let signed_in = redeem().await.expect(200).json();
    assert_eq!(signed_in["user"]["email"], owner.email.as_str());
    redeem().await.refused(401, "one_time_token_invalid");
    // A token of one purpose is none of another.
    kernel.client().auth().forgot_password(&MailTo { email: owner.email.clone() }).await.expect("asked");
    let reset = kernel.mail_token(&owner.email, "password_reset").await;
    let crossed = kernel.post("auth/magic-link/redeem", &json!({ "token": reset })).send().await;
    crossed.refused(401, "one_time_token_invalid");
}

#[tokio::test]
async fn the_second_factor_is_asked_for_and_recovery_codes_stand_in_once() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let secret = owner.client.auth().enrol_totp().await.expect("enrolled").body.secret;
    // Not asked for before it was shown that the app has the secret.
    kernel.login(&owner.email, PASSWORD).await;
    let code = TotpCode { code: totp_code(&kernel, &secret).await };
    let recovery = owner.client.auth().confirm_totp(&code).await.expect("confirmed").body.recovery_codes;

    let login = |totp: Option<&str>| {
        let mut body = json!({ "email": owner.email, "password": PASSWORD });
        if let Some(totp) = totp {
            body["totp"] = totp.into();
        }
        kernel.post("auth/login", &body).send()
    };
    login(None).await.refused(401, "mfa_required");
    login(Some(&code.code)).await.refused(401, "invalid_credentials");
    kernel.advance(Duration::from_secs(30)).await;
    let next = totp_code(&kernel, &secret).await;
    login(Some(&next)).await.expect(200);
    login(Some(&next)).await.refused(401, "invalid_credentials");
    login(Some(&recovery[0])).await.expect(200);
    login(Some(&recovery[0])).await.refused(401, "invalid_credentials");
    login(Some(&recovery[1])).await.expect(200);
}
