use plinth_core::Fault;

use crate::Identity;

pub async fn erase_due(_: &Identity) -> Result<u64, Fault> {
    Ok(0)
}
