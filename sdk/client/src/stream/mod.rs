//! The kernel's event stream.
//!
//! An [`EventStream`] outlives its connections: it resumes where it was after a cut, a silence or the expiry of the token,
//! and ends only with an error that no waiting mends. Each event is delivered once, in order, as long as the server keeps
//! what the stream has not seen yet.

mod feed;
mod parser;

#[cfg(test)]
mod parser_tests;

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{
    Stream,
    stream::{self, BoxStream, StreamExt},
};
use plinth_api::{TenantId, Timestamp};
use tokio::sync::watch;

pub use parser::{Frame, Oversized, Parser, ServerEvent};

use crate::{Client, Result};
use feed::Feed;

/// What to listen to.
#[derive(Debug, Clone, Default)]
pub struct StreamQuery {
    /// Event types, such as `order.*`; all that you may see if there are none.
    pub topics: Vec<String>,
    /// An expression that the server applies.
    pub filter: Option<String>,
    /// One of how many events to send.
    pub sample: Option<u32>,
    /// Where to resume; from now on if not set.
    pub last_event_id: Option<String>,
    /// An operator listens in this tenant.
    pub tenant: Option<TenantId>,
    /// The stream ends with the last error after so many failures in a row; it goes on for ever if not set.
    pub max_failures: Option<u32>,
}

impl StreamQuery {
    pub fn topics<T: Into<String>>(topics: impl IntoIterator<Item = T>) -> Self {
        Self { topics: topics.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

/// How a stream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamStatus {
    pub state: StreamState,
    /// When the server was last heard, be it only with a heartbeat.
    pub heard_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamState {
    #[default]
    Connecting,
    Live,
    /// Between a failure and the next attempt.
    Waiting,
    /// The stream has ended or was dropped.
    Ended,
}

/// Events from now on, or from where the query said. It reads only while it is polled.
#[must_use = "a stream does nothing until it is polled"]
pub struct EventStream {
    events: BoxStream<'static, Result<ServerEvent>>,
    status: watch::Receiver<StreamStatus>,
    last_event_id: Option<String>,
}

impl EventStream {
    /// Changes of the state of the connection, for showing them.
    pub fn status(&self) -> watch::Receiver<StreamStatus> {
        self.status.clone()
    }

    /// The id of the last event that was taken out of this stream: pass it to a new one to go on there.
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }
}

impl Stream for EventStream {
    type Item = Result<ServerEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.events.poll_next_unpin(context));
        if let Some(Ok(event)) = &next
            && !event.id.is_empty()
        {
            self.last_event_id = Some(event.id.clone());
        }
        Poll::Ready(next)
    }
}

impl Client {
    /// Listens to events. Nothing is sent until the stream is polled.
    pub fn stream(&self, query: StreamQuery) -> EventStream {
        let (report, status) = watch::channel(StreamStatus::default());
        let last_event_id = query.last_event_id.clone();
        let feed = Feed::new(self.clone(), query, report);
        let events = stream::unfold(feed, |mut feed| async move { Some((feed.next().await?, feed)) });
        EventStream { events: events.boxed(), status, last_event_id }
    }
}
