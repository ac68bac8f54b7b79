//! The caller's own profile.

mod show;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![show::endpoint()]
}
