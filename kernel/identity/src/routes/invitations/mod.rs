//! Invitations into a tenant.

mod accept;
mod create;
mod list;
mod resend;
mod revoke;
mod show;
#[cfg(test)]
mod testing;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![
        list::endpoint(),
        create::endpoint(),
        show::endpoint(),
        revoke::endpoint(),
        resend::endpoint(),
        accept::endpoint(),
    ]
}
