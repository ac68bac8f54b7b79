//! Each typed call goes where the API has it.

use futures::future::{BoxFuture, FutureExt};
use plinth_client::{
    Client, Error, Reply, RequestBuilder,
    api::{
        Id, InvitationId, KeyId, Kind, OrganizationId, RoleId, ServiceAccountId, SessionId, TenantId, UserId,
        auth::{
            ChangePassword, Confirm, Impersonate, Login, MailTo, NewTenant, OauthCallback, OauthStart, OneTimeToken,
            Refresh, Register, ResetPassword, SwitchTenant, TotpCode,
        },
        keys::{CreateApiKey, CreateServiceAccount, RotateApiKey, UpdateApiKey, UpdateServiceAccount},
        operations::MoveClock,
        roles::{CreateRole, UpdateRole},
        tenants::{
            AcceptInvitation, CreateInvitation, CreateOrganization, OrganizationRole, Reason, SetOrganizationMember,
            Settings, UpdateOrganization, UpdateTenant,
        },
        users::{UpdateMe, UpdateMember},
    },
};
use std::future::IntoFuture;

use crate::support::{Server, client, problem, tokens};

type Outcome = BoxFuture<'static, Option<Error>>;

fn end<A, T>(call: RequestBuilder<A>) -> Outcome
where
    RequestBuilder<A>: IntoFuture<Output = Result<Reply<T>, Error>>,
    <RequestBuilder<A> as IntoFuture>::IntoFuture: Send + 'static,
    T: 'static,
{
    call.into_future().map(Result::err).boxed()
}

fn id<K: Kind>() -> Id<K> {
    format!("{}_00000000000000000000000001", K::PREFIX).parse().expect("an id")
}

/// Sends every call and compares what arrives: method, path, and whether credentials were shown.
async fn check(calls: Vec<(&'static str, Outcome)>, server: &Server) {
    for (expected, outcome) in calls {
        let before = server.seen().len();
        let error = outcome.await.expect("the server refuses everything");
        assert_eq!(error.code(), Some("not_found"), "{expected}: {error:?}");
        let seen = &server.seen()[before];
        let shown = if seen.headers.contains_key("authorization") { "" } else { " anonymous" };
        let path = seen.path.replace("00000000000000000000000001", "1").replace("/api/v1/", "");
        assert_eq!(format!("{} {path}{shown}", seen.method), expected);
    }
}

async fn refusing() -> (Server, Client) {
    let server = Server::start(|_, _| async { problem(404, "not_found") }).await;
    let (client, _) = client(&server);
    client.adopt(&tokens(1));
    (server, client)
}

#[tokio::test]
async fn signing_in() {
    let (server, client) = refusing().await;
    let auth = client.auth();
    let new = NewTenant { name: "T".into(), slug: "t-1".into() };
    let mail = MailTo { email: "a@b.c".into() };
    let token = OneTimeToken { token: "t".into() };
    let text = || "x".to_owned();
    let calls = vec![
        (
            "POST auth/register anonymous",
            end(auth.register(&Register { email: text(), password: text(), name: text(), tenant: new.clone() })),
        ),
        (
            "POST auth/login anonymous",
            end(auth.login(&Login { email: text(), password: text(), totp: None, tenant: None })),
        ),
        ("POST auth/refresh anonymous", end(auth.exchange(&Refresh { refresh_token: Some(text()) }))),
        ("POST auth/switch-tenant", end(auth.switch_tenant(&SwitchTenant { tenant: id() }))),
        ("POST auth/verify-email anonymous", end(auth.verify_email(&token))),
        ("POST auth/password/forgot anonymous", end(auth.forgot_password(&mail))),
        (
            "POST auth/password/reset anonymous",
            end(auth.reset_password(&ResetPassword { token: text(), password: text() })),
        ),
        (
            "POST auth/password/change",
            end(auth.change_password(&ChangePassword { current_password: None, new_password: text() })),
        ),
        ("POST auth/magic-link anonymous", end(auth.send_magic_link(&mail))),
        ("POST auth/magic-link/redeem anonymous", end(auth.redeem_magic_link(&token))),
        ("GET auth/sessions?limit=5", end(auth.sessions([("limit", "5")]))),
        ("DELETE auth/sessions/ses_1", end(auth.revoke_session(id::<_>() as SessionId))),
        ("POST auth/mfa/totp", end(auth.enrol_totp())),
        ("POST auth/mfa/totp/confirm", end(auth.confirm_totp(&TotpCode { code: text() }))),
        ("DELETE auth/mfa/totp", end(auth.remove_totp(&Confirm { password: Some(text()), totp: None }))),
        ("GET auth/oauth anonymous", end(auth.oauth_providers())),
        (
            "POST auth/oauth/a%2Fb/start",
            end(auth.oauth_start("a/b", &OauthStart { redirect_uri: text(), tenant: Some(new) })),
        ),
        (
            "POST auth/oauth/acme/callback",
            end(auth.oauth_callback("acme", &OauthCallback { state: text(), code: text(), iss: None, totp: None })),
        ),
        ("GET /.well-known/jwks.json anonymous", end(auth.jwks())),
    ];
    check(calls, &server).await;
}

#[tokio::test]
async fn tenancy() {
    let (server, client) = refusing().await;
    let tenant: TenantId = id();
    let (user, organization): (UserId, OrganizationId) = (id(), id());
    let text = || "x".to_owned();
    let (members, organizations) = (client.members(tenant), client.organizations());
    let member = SetOrganizationMember { role: OrganizationRole::Manager };
    let calls = vec![
        ("GET me", end(client.me().get())),
        ("PATCH me", end(client.me().update(&UpdateMe::default()))),
        ("GET tenants?q=x", end(client.tenants().list([("q", "x")]))),
        ("GET tenants/ten_1", end(client.tenants().get(tenant))),
        ("PATCH tenants/ten_1", end(client.tenants().update(tenant, &UpdateTenant::default()))),
        ("POST tenants/ten_1/suspend", end(client.tenants().suspend(tenant, &Reason { reason: text() }))),
        ("POST tenants/ten_1/resume", end(client.tenants().resume(tenant))),
        ("GET tenants/ten_1/export", end(client.tenants().export(tenant))),
        ("POST tenants/ten_1/erase?dry_run=true", end(client.tenants().erase(tenant).dry_run())),
        ("GET tenants/ten_1/members", end(members.list(()))),
        ("GET tenants/ten_1/members/usr_1", end(members.get(user))),
        ("PATCH tenants/ten_1/members/usr_1", end(members.update(user, &UpdateMember { roles: vec![text()] }))),
        ("DELETE tenants/ten_1/members/usr_1", end(members.remove(user))),
        ("GET organizations", end(organizations.list(()))),
        ("GET organizations/org_1", end(organizations.get(organization))),
        ("POST organizations", end(organizations.create(&CreateOrganization { name: text(), slug: text() }))),
        ("PATCH organizations/org_1", end(organizations.update(organization, &UpdateOrganization::default()))),
        ("DELETE organizations/org_1", end(organizations.delete(organization))),
        ("GET organizations/org_1/members", end(organizations.members(organization, ()))),
        ("PUT organizations/org_1/members/usr_1", end(organizations.set_member(organization, user, &member))),
        ("DELETE organizations/org_1/members/usr_1", end(organizations.remove_member(organization, user))),
        ("GET settings", end(client.settings().get())),
        ("PATCH settings", end(client.settings().update(&Settings::default()))),
        ("GET users?q=ada", end(client.users().list([("q", "ada")]))),
        ("GET users/usr_1", end(client.users().get(user))),
    ];
    check(calls, &server).await;
}

#[tokio::test]
async fn access() {
    let (server, client) = refusing().await;
    let (key, account, role): (KeyId, ServiceAccountId, RoleId) = (id(), id(), id());
    let (invitation, session): (InvitationId, SessionId) = (id(), id());
    let text = || "x".to_owned();
    let (keys, accounts, roles) = (client.api_keys(), client.service_accounts(), client.roles());
    let invite = CreateInvitation { email: text(), roles: vec![], organization: None };
    let accept = AcceptInvitation { token: text(), name: None, password: None };
    let new_key =
        CreateApiKey { name: text(), scopes: vec![], expires_at: None, service_account: None, signed_requests: true };
    let new_account = CreateServiceAccount { name: text(), description: None, roles: vec![] };
    let act_as = Impersonate { user: id(), tenant: id(), reason: text() };
    let calls = vec![
        ("GET invitations?status=pending", end(client.invitations().list([("status", "pending")]))),
        ("GET invitations/ivt_1", end(client.invitations().get(invitation))),
        ("POST invitations", end(client.invitations().create(&invite))),
        ("DELETE invitations/ivt_1", end(client.invitations().revoke(invitation))),
        ("POST invitations/accept", end(client.invitations().accept(&accept))),
        ("POST invitations/accept anonymous", end(client.invitations().accept(&accept).anonymous())),
        ("GET roles", end(roles.list(()))),
        ("GET roles/owner", end(roles.get("owner"))),
        ("POST roles", end(roles.create(&CreateRole { name: text(), description: None, permissions: vec![] }))),
        ("PATCH roles/rol_1", end(roles.update(role, &UpdateRole::default()))),
        ("DELETE roles/rol_1", end(roles.delete(role))),
        ("GET permissions", end(roles.permissions())),
        ("GET service-accounts", end(accounts.list(()))),
        ("GET service-accounts/sva_1", end(accounts.get(account))),
        ("POST service-accounts", end(accounts.create(&new_account))),
        ("PATCH service-accounts/sva_1", end(accounts.update(account, &UpdateServiceAccount::default()))),
        ("DELETE service-accounts/sva_1", end(accounts.delete(account))),
        ("GET api-keys", end(keys.list(()))),
        ("GET api-keys/key_1", end(keys.get(key))),
        ("POST api-keys", end(keys.create(&new_key))),
        ("PATCH api-keys/key_1", end(keys.update(key, &UpdateApiKey::default()).if_match("\"1\""))),
        ("POST api-keys/key_1/rotate", end(keys.rotate(key, &RotateApiKey { overlap_seconds: Some(0) }))),
        ("DELETE api-keys/key_1", end(keys.revoke(key))),
        ("GET api-keys/key_1/usage?from=1", end(keys.usage(key, [("from", "1")]))),
        ("GET impersonations", end(client.impersonations().list(()))),
        ("POST impersonations", end(client.impersonations().start(&act_as))),
        ("DELETE impersonations/ses_1", end(client.impersonations().end(session))),
        ("GET /healthz anonymous", end(client.operations().health())),
        ("GET /readyz anonymous", end(client.operations().readiness())),
        ("GET dev/outbox", end(client.operations().outbox())),
        ("GET dev/clock", end(client.operations().clock())),
        ("POST dev/clock", end(client.operations().move_clock(&MoveClock { advance_seconds: 60 }))),
    ];
    check(calls, &server).await;
}
