//! Time limits on the transfer itself: a peer that withholds request bytes or takes no response bytes is cut.
//!
//! Timers are armed only while a transfer waits, so a connection that moves pays nothing for them.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// A limit on how long one thing may stay pending.
struct Patience {
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, waiting: None }
    }

    /// Passes `progress` through, and turns a pending one into an error once it was pending for the whole limit.
    fn guard<T>(
        &mut self,
        cx: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
        what: &'static str,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.waiting = None;
            return progress;
        }
        let limit = self.limit;
        let timer = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, what)))
    }
}

/// A connection whose peer must take what is written to it.
pub(super) struct TakenInTime<I> {
    io: I,
    patience: Patience,
}

const NOT_TAKEN: &str = "the client took no bytes of the response for too long";

impl<I> TakenInTime<I> {
    pub fn new(io: I, limit: Duration) -> Self {
        Self { io, patience: Patience::new(limit) }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for TakenInTime<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for TakenInTime<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { io, patience } = self.get_mut();
        let progress = Pin::new(io).poll_write(cx, buf);
        patience.guard(cx, progress, NOT_TAKEN)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { io, patience } = self.get_mut();
        let progress = Pin::new(io).poll_write_vectored(cx, bufs);
        patience.guard(cx, progress, NOT_TAKEN)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, patience } = self.get_mut();
        let progress = Pin::new(io).poll_flush(cx);
        patience.guard(cx, progress, NOT_TAKEN)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, patience } = self.get_mut();
        let progress = Pin::new(io).poll_shutdown(cx);
        patience.guard(cx, progress, NOT_TAKEN)
    }
}

/// A request body whose sender must keep sending while it is read.
pub(super) struct SentInTime<B> {
    body: B,
    patience: Patience,
}

impl<B> SentInTime<B> {
    pub fn new(body: B, limit: Duration) -> Self {
        Self { body, patience: Patience::new(limit) }
    }
}

impl<B> Body for SentInTime<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { body, patience } = self.get_mut();
        let progress = Pin::new(body).poll_frame(cx).map(Ok);
        match patience.guard(cx, progress, "the client sent no bytes of the request body for too long") {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(frame)) => Poll::Ready(frame.map(|result| result.map_err(Into::into))),
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
