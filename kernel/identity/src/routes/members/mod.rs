//! The people of a tenant.

mod list;
mod remove;
mod show;
mod update;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![list::endpoint(), show::endpoint(), update::endpoint(), remove::endpoint()]
}
