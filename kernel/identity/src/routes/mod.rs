//! One file an endpoint: what it is for, its handler, its tests.

mod auth;
mod cookies;
mod me;

use plinth_gateway::Mounted;

use crate::Identity;

/// Mounts every endpoint of this room.
pub fn mount(mounted: &mut Mounted, identity: &Identity) {
    mounted.add("auth", identity, auth::endpoints());
    mounted.add("me", identity, me::endpoints());
}
