//! Tenants and their life.

mod create;
mod erase;
mod export;
mod list;
mod restore;
mod resume;
mod show;
mod suspend;
mod update;

use plinth_gateway::Endpoint;

use crate::Identity;

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![
        list::endpoint(),
        create::endpoint(),
        show::endpoint(),
        update::endpoint(),
        suspend::endpoint(),
        resume::endpoint(),
        export::endpoint(),
        erase::endpoint(),
        restore::endpoint(),
    ]
}
