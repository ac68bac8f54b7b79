//! What must be refused, and how: bad input, missing rights, stolen and forged credentials, guesses.

mod at_rest;
mod authorisation;
mod bad_input;
mod cookies;
mod enumeration;
mod limits;
mod operations;
mod revocation;
mod tokens;
