//! Input that no honest client sends. Each is answered with the documented problem or, where HTTP itself is broken, with a
//! refusal and the end of the connection; never with a failure of ours. The kernel goes on.

mod bodies;
mod everywhere;
mod heads;
mod paths;
mod slow;

use plinth_tests::{Answer, Kernel};

/// Sends these bytes on a connection of their own, and checks that the kernel survives.
async fn raw(kernel: &Kernel, bytes: impl AsRef<[u8]>) -> Option<Answer> {
    let mut wire = kernel.wire().await;
    wire.send(bytes).await;
    let answer = wire.answer().await;
    assert!(kernel.wire().await.is_usable().await, "the kernel goes on");
    answer
}

/// The same for what is no HTTP: a refusal without the kernel's doing, or just the end.
async fn not_http(kernel: &Kernel, bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
    if let Some(answer) = raw(kernel, bytes).await {
        assert!((400..500).contains(&answer.status), "{shown:?} was answered with {answer:?}");
    }
}
