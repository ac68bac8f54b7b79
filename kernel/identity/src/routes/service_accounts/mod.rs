//! Service accounts: the machine identities of a tenant.

mod create;
mod delete;
mod list;
mod show;
mod update;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![list::endpoint(), create::endpoint(), show::endpoint(), update::endpoint(), delete::endpoint()]
}
