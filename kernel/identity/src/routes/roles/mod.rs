//! Roles, and the permissions that they are made of.

mod create;
mod delete;
mod list;
mod permissions;
mod show;
mod update;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![
        permissions::endpoint(),
        list::endpoint(),
        create::endpoint(),
        show::endpoint(),
        update::endpoint(),
        delete::endpoint(),
    ]
}
