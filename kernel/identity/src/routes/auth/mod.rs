//! Sign-up and sign-in.

mod jwks;
mod login;
mod logout;
mod refresh;
mod register;
mod switch_tenant;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![
        register::endpoint(),
        login::endpoint(),
        refresh::endpoint(),
        logout::endpoint(),
        switch_tenant::endpoint(),
        jwks::endpoint(),
    ]
}
