//! One file an endpoint: what it is for, its handler, its tests.

mod api_keys;
mod auth;
mod cookies;
mod impersonations;
mod invitations;
mod magic_link;
mod me;
mod members;
mod mfa;
mod oauth;
mod organizations;
mod password;
mod roles;
mod service_accounts;
mod sessions;
mod settings;
mod tenants;
mod users;
mod verify_email;

use plinth_gateway::Mounted;

use crate::Identity;

/// Mounts every endpoint of this room.
pub fn mount(mounted: &mut Mounted, identity: &Identity) {
    let sign_in = [
        auth::endpoints(),
        verify_email::endpoints(),
        password::endpoints(),
        magic_link::endpoints(),
        mfa::endpoints(),
        oauth::endpoints(),
        sessions::endpoints(),
        impersonations::endpoints(),
    ];
    mounted.add("sign-in", identity, sign_in.into_iter().flatten().collect());
    let people = [me::endpoints(), users::endpoints()];
    mounted.add("people", identity, people.into_iter().flatten().collect());
    let tenancy = [
        tenants::endpoints(),
        settings::endpoints(),
        members::endpoints(),
        invitations::endpoints(),
        organizations::endpoints(),
    ];
    mounted.add("tenancy", identity, tenancy.into_iter().flatten().collect());
    let access = [roles::endpoints(), service_accounts::endpoints(), api_keys::endpoints()];
    mounted.add("access", identity, access.into_iter().flatten().collect());
}
