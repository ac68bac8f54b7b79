//! The teams of a tenant and who belongs to them.

mod create;
mod delete;
mod list;
mod members;
mod remove_member;
mod set_member;
mod show;
mod update;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![
        list::endpoint(),
        create::endpoint(),
        show::endpoint(),
        update::endpoint(),
        delete::endpoint(),
        members::endpoint(),
        set_member::endpoint(),
        remove_member::endpoint(),
    ]
}
