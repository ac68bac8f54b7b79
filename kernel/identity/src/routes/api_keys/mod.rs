//! API keys: how programs call.

mod create;
mod list;
mod revoke;
mod rotate;
mod show;
#[cfg(test)]
mod signed;
#[cfg(test)]
pub(in crate::routes) mod testing;
mod update;
mod usage;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![
        list::endpoint(),
        create::endpoint(),
        show::endpoint(),
        update::endpoint(),
        revoke::endpoint(),
        rotate::endpoint(),
        usage::endpoint(),
    ]
}
