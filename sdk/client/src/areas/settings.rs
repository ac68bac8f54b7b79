//! The tenant's own settings.

use plinth_api::tenants::Settings as Values;
use serde::Serialize;

use super::{Call, Verbs};
use crate::Client;

#[derive(Debug, Clone, Copy)]
pub struct Settings<'a>(pub(super) &'a Client);

impl Settings<'_> {
    pub fn get(self) -> Call<Values> {
        self.0.read("settings")
    }

    /// `change` is a merge patch: what it leaves out stays, `null` takes a value away.
    pub fn update(self, change: &impl Serialize) -> Call<Values> {
        self.0.patch("settings", change)
    }
}
