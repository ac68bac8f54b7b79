//! From credentials to tokens, and from tokens back to who calls.

mod authenticator;
mod cache;
mod open;
mod refresh;
mod resolve;
pub mod signing;

pub use cache::PrincipalCache;
pub use open::{Device, open};
pub use open::{access_token, issue};
pub use refresh::{Error as RefreshError, Refreshed, refresh, revoke};
pub use resolve::{role_permissions, signing_context};
