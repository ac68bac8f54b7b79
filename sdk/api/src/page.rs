//! The envelope of every list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One page of a list, in the order that was asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// There is more in the direction that was read.
    pub has_more: bool,
    /// Pass as `after` to read on.
    pub next: Option<String>,
    /// Pass as `before` to read back.
    pub prev: Option<String>,
    /// How many there are in all, where counting is cheap.
    pub total_estimate: Option<u64>,
}
