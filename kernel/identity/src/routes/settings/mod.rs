//! The tenant's own settings.

mod show;
mod update;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![show::endpoint(), update::endpoint()]
}
