//! Sign-in through identity providers, and the identities that are linked to an account.

mod callback;
mod identities;
mod providers;
mod start;
#[cfg(test)]
mod tests;
mod unlink;

use plinth_core::{Actor, UserId, api::Page};
use plinth_gateway::{Endpoint, Person};

use crate::{Identity, accounts::oauth::identities::Error};

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![providers::endpoint(), start::endpoint(), callback::endpoint(), identities::endpoint(), unlink::endpoint()]
}

/// A list that is short enough to be one page always.
fn whole<T>(data: Vec<T>) -> Page<T> {
    let total_estimate = Some(data.len() as u64);
    Page { data, has_more: false, next: None, prev: None, total_estimate }
}

fn person_id(person: &Person) -> Result<UserId, Error> {
    match person.principal().actor {
        Actor::User(user) => Ok(user),
        _ => Err(Error::NoPerson),
    }
}
