//! The second factor of the caller's account.

mod confirm;
mod enrol;
mod recovery_codes;
mod remove;
#[cfg(test)]
pub mod testing;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![enrol::endpoint(), confirm::endpoint(), remove::endpoint(), recovery_codes::endpoint()]
}
