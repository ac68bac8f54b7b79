use plinth_core::Fault;
use plinth_gateway::Edge;

use crate::Identity;

pub async fn flush(_: &Identity, _: &Edge, _: bool) -> Result<u64, Fault> {
    Ok(0)
}
