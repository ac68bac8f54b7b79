//! Passwords that were forgotten, or are to be another.

mod change;
mod forgot;
mod reset;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![forgot::endpoint(), reset::endpoint(), change::endpoint()]
}
