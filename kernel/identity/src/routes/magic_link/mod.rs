//! Sign-in with a link from a mail.

mod redeem;
mod request;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![request::endpoint(), redeem::endpoint()]
}
