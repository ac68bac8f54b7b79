//! Small traits through which a room asks for something that another room, or the outside world, does.

mod authenticate;
mod mail;

pub use authenticate::{Authenticate, AuthenticationError, Credential};
pub use mail::Mail;
