//! Who may do what, for every operation of the API.
//!
//! The table is written by hand and compared with the document in both directions: a new operation without a row, a row
//! without an operation, and a permission that changed all fail.

mod columns;
mod table;
