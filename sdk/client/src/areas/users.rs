//! People, as operators see them.

use plinth_api::{Page, UserId, users::User};

use super::{Call, Verbs};
use crate::{Client, Pages, Query};

#[derive(Debug, Clone, Copy)]
pub struct Users<'a>(pub(super) &'a Client);

impl Users<'_> {
    pub fn list(self, query: impl Into<Query>) -> Call<Page<User>> {
        self.0.list("users", query)
    }

    pub fn all(self, query: impl Into<Query>) -> Pages<User> {
        self.0.pages("users", query)
    }

    pub fn get(self, user: UserId) -> Call<User> {
        self.0.read(&format!("users/{user}"))
    }
}
