//! The answer to the mail that asks the owner of an address.

mod resend;
mod verify;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![verify::endpoint(), resend::endpoint()]
}
