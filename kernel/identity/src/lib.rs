
pub mod jwt;
pub mod oidc;
pub mod password;
pub mod tokens;
pub mod totp;
