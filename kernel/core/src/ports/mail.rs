//! Mail to people. Written in the transaction of the change that causes it and sent by whoever fills the port, so no
//! mail tells of what was rolled back.

use crate::TenantId;

#[derive(Debug, Clone)]
pub struct Mail {
    /// The tenant in whose name it is sent; none for the platform's own.
    pub tenant: Option<TenantId>,
    pub to: String,
    pub subject: String,
    pub text: String,
    /// What it is for, such as `password_reset`.
    pub purpose: &'static str,
    /// The one-time token that the text carries.
    pub token: Option<String>,
}
