//! People join a tenant because somebody in it invited them.

use std::time::Duration;

use plinth_api::{
    tenants::{AcceptInvitation, CreateInvitation, InvitationStatus},
    users::UpdateMember,
};
use plinth_tests::{Kernel, PASSWORD, on_both_databases};

on_both_databases!(a_colleague_is_invited_promoted_and_removed);

fn invitation(email: &str, roles: &[&str]) -> CreateInvitation {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    CreateInvitation { email: email.into(), roles, organization: None }
}

fn accept(token: String) -> AcceptInvitation {
    AcceptInvitation { token, name: Some("New".into()), password: Some(PASSWORD.into()) }
}

async fn a_colleague_is_invited_promoted_and_removed(kernel: Kernel) {
    let owner = kernel.owner().await;
    let member = kernel.member(&owner).await;
    assert_eq!(member.tenant, owner.tenant);
    let me = member.client.me().get().await.expect("a member").body;
    assert_eq!(me.roles, ["member"]);
    member.get("api-keys").send().await.refused(403, "permission_missing");

    let promoted = UpdateMember { roles: vec!["admin".into()] };
    let members = owner.client.members(owner.tenant());
    members.update(member.user, &promoted).await.expect("an owner gives roles");
    member.get("api-keys").send().await.expect(200);

    members.remove(member.user).await.expect("an owner removes members");
    let status = member.get("api-keys").send().await.status;
    assert!([401, 403].contains(&status), "somebody who was removed is refused at once, not {status}");
    let left: Vec<_> = members.list(()).await.expect("a list").body.data.into_iter().map(|one| one.user.id).collect();
    assert_eq!(left, [owner.user]);
}

#[tokio::test]
async fn an_invitation_is_taken_up_once_in_time_and_while_it_stands() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let invitations = owner.client.invitations();

    invitations.create(&invitation("once@example.com", &["member"])).await.expect("invited");
    let token = kernel.mail_token("once@example.com", "invitation").await;
    kernel.client().invitations().accept(&accept(token.clone())).await.expect("accepted");
    kernel.client().invitations().accept(&accept(token)).await.expect_err("used up");

    let revoked = invitations.create(&invitation("revoked@example.com", &["member"])).await.expect("invited").body;
    let token = kernel.mail_token("revoked@example.com", "invitation").await;
    invitations.revoke(revoked.id).await.expect("revoked");
    kernel.client().invitations().accept(&accept(token)).await.expect_err("revoked");

    let late = invitations.create(&invitation("late@example.com", &["member"])).await.expect("invited").body;
    let token = kernel.mail_token("late@example.com", "invitation").await;
    kernel.advance(Duration::from_hours(8 * 24)).await;
    kernel.client().invitations().accept(&accept(token)).await.expect_err("too late");
    let seen = invitations.get(late.id).await.expect("still listed").body;
    assert_eq!(seen.status, InvitationStatus::Expired);
}

#[tokio::test]
async fn somebody_with_an_account_joins_a_second_tenant_and_switches() {
    let kernel = Kernel::start();
    let (host, guest) = (kernel.owner().await, kernel.owner().await);
    host.client.invitations().create(&invitation(&guest.email, &["viewer"])).await.expect("invited");
    let token = kernel.mail_token(&guest.email, "invitation").await;
    let request = AcceptInvitation { token, name: None, password: None };
    guest.client.invitations().accept(&request).await.expect("the person who is signed in takes it up");

    let switch = plinth_api::auth::SwitchTenant { tenant: host.tenant() };
    let there = guest.client.auth().switch_tenant(&switch).await.expect("a member may switch").body;
    assert_eq!(there.tenant.expect("a tenant").id, host.tenant());
    let list = kernel.get("api-keys").token(&there.tokens.access_token);
    list.send().await.expect(200);
    let write = kernel.post("organizations", &serde_json::json!({ "name": "X", "slug": "xxx" }));
    write.token(&there.tokens.access_token).send().await.refused(403, "permission_missing");
}

#[tokio::test]
async fn nobody_invites_above_their_own_station_nor_with_an_unverified_address() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let admin = kernel.admin(&owner).await;
    let refused = admin.client.invitations().create(&invitation("king@example.com", &["owner"])).await;
    assert_eq!(refused.expect_err("an administrator is no owner").status().map(|status| status.as_u16()), Some(403));

    let newcomer = kernel.newcomer().await;
    let refused = newcomer.client.invitations().create(&invitation("friend@example.com", &["member"])).await;
    let refused = refused.expect_err("an unverified address sends no mail to others");
    assert_eq!(refused.status().map(|status| status.as_u16()), Some(403), "{refused}");
    assert!(kernel.outbox().await.iter().all(|mail| mail.to != "friend@example.com" && mail.to != "king@example.com"));
}
