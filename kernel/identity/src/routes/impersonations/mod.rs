//! Operators who act as a person.

mod end;
mod list;
mod start;
#[cfg(test)]
mod tests;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![start::endpoint(), list::endpoint(), end::endpoint()]
}
