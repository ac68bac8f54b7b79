//! The profile of the caller.

use plinth_api::users::{Me as Profile, UpdateMe};

use super::{Call, Verbs};
use crate::Client;

#[derive(Debug, Clone, Copy)]
pub struct Me<'a>(pub(super) &'a Client);

impl Me<'_> {
    /// Who calls, where, and what they may do.
    pub fn get(self) -> Call<Profile> {
        self.0.read("me")
    }

    pub fn update(self, change: &UpdateMe) -> Call<Profile> {
        self.0.patch("me", change)
    }
}
