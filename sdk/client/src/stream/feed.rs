//! The life of a stream over its connections.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http::{Method, StatusCode, header};
use plinth_api::Timestamp;
use tokio::sync::watch;

use super::{Frame, Parser, ServerEvent, StreamQuery, StreamState, StreamStatus};
use crate::{Client, Error, Meta, Result, Wait, exchange::Opened, request::Call, retry::BackOff};

/// What the server sends last when the token of the stream has expired.
const AUTH_EXPIRED: &str = "auth_expired";

pub(super) struct Feed {
    client: Client,
    query: StreamQuery,
    report: watch::Sender<StreamStatus>,
    connection: Option<Connection>,
    /// Complete and not yet delivered.
    ready: VecDeque<Frame>,
    /// The position behind the last frame that was taken out of `ready`.
    position: String,
    back_off: BackOff,
    /// Failures since the last sign of health.
    failures: u32,
    pause: Option<Duration>,
    ended: bool,
}

struct Connection {
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    parser: Parser,
    meta: Meta,
    generation: Option<u64>,
    since: Timestamp,
    /// No event with an id has come yet, so the next one may be a repetition of the last.
    is_fresh: bool,
}

impl Feed {
    pub fn new(client: Client, query: StreamQuery, report: watch::Sender<StreamStatus>) -> Self {
        let position = query.last_event_id.clone().unwrap_or_default();
        let settings = client.core.settings.back_off;
        let back_off = BackOff { base: Duration::from_millis(500), cap: Duration::from_secs(30), ..settings };
        Self {
            client,
            query,
            report,
            connection: None,
            ready: VecDeque::new(),
            position,
            back_off,
            failures: 0,
            pause: None,
            ended: false,
        }
    }

    pub async fn next(&mut self) -> Option<Result<ServerEvent>> {
        while !self.ended {
            let step = match self.ready.pop_front() {
                Some(frame) => self.take(frame).await,
                None if self.connection.is_some() => self.read().await,
                None => self.connect().await,
            };
            match step {
                Ok(None) => {}
                Ok(Some(event)) => return Some(Ok(event)),
                Err(error) => {
                    self.end();
                    return Some(Err(error));
                }
            }
        }
        None
    }

    async fn take(&mut self, frame: Frame) -> Result<Option<ServerEvent>> {
        match frame {
            Frame::Retry(pause) => {
                self.back_off.base = pause.min(self.back_off.cap);
                Ok(None)
            }
            Frame::Position(position) => {
                self.position = position;
                self.failures = 0;
                Ok(None)
            }
            Frame::Event { event, .. } if event.event == AUTH_EXPIRED => {
                self.position = event.id;
                self.renew().await
            }
            Frame::Event { event, has_own_id } => {
                let is_fresh = self.connection.as_mut().is_some_and(|connection| {
                    let is_fresh = connection.is_fresh;
                    connection.is_fresh &= !has_own_id;
                    is_fresh && has_own_id
                });
                if is_fresh && !event.id.is_empty() && event.id == self.position {
                    return Ok(None);
                }
                self.failures = 0;
                self.position.clone_from(&event.id);
                Ok(Some(event))
            }
        }
    }

    /// Goes on with a new token at once. With a token that cannot be renewed, or a server that finds each new one expired,
    /// it goes on as after any failure.
    async fn renew(&mut self) -> Result<Option<ServerEvent>> {
        let Some(connection) = self.connection.take() else { return Ok(None) };
        self.ready.clear();
        if !connection.is_fresh || self.has_lasted(&connection) {
            self.failures = 0;
        }
        if let Some(generation) = connection.generation {
            match self.client.renew(generation).await {
                Ok(()) if self.failures == 0 => {
                    self.failures = 1;
                    return Ok(None);
                }
                Ok(()) => {}
                Err(error) if is_passing(&error) => return self.lose(error),
                Err(error) => return Err(error),
            }
        }
        self.lose(Error::decode("the stream says that the token has expired", connection.meta))
    }

    async fn read(&mut self) -> Result<Option<ServerEvent>> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let core = &self.client.core;
        let silence = core.settings.heartbeat_timeout;
        let too_long = core.environment.wait(Wait::Heartbeat, silence);
        let chunk = tokio::select! {
            biased;
            chunk = connection.bytes.next() => chunk,
            () = too_long => return self.lose(Error::Timeout { server: core.server(), after: silence }),
        };
        match chunk {
            Some(Ok(bytes)) => {
                let parsed = connection.parser.feed(&bytes, &mut self.ready);
                parsed
                    .map_err(|error| Error::TooLarge { limit: error.limit, meta: Box::new(connection.meta.clone()) })?;
                self.say(StreamState::Live, true);
                Ok(None)
            }
            Some(Err(error)) => {
                let error = self.client.transport(error);
                self.lose(error)
            }
            None => {
                let error = Error::decode("the stream was closed", connection.meta.clone());
                self.lose(error)
            }
        }
    }

    async fn connect(&mut self) -> Result<Option<ServerEvent>> {
        if let Some(pause) = self.pause.take() {
            self.client.core.environment.wait(Wait::BackOff, pause).await;
        }
        self.say(StreamState::Connecting, false);
        let call = self.call()?;
        let opened = match self.client.in_time(&call, self.client.open(&call)).await {
            Ok(opened) => opened,
            Err(error) if is_passing(&error) => return self.lose(error),
            Err(error) => return Err(error),
        };
        let Opened { response, meta, generation } = opened;
        if meta.status == StatusCode::NO_CONTENT {
            // The standard's way of saying: do not come back.
            self.end();
            return Ok(None);
        }
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        if !kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream") {
            return Err(Error::decode(format!("it is no event stream but {kind:?}"), meta));
        }
        self.connection = Some(Connection {
            bytes: response.bytes_stream().boxed(),
            parser: Parser::new(&self.position, self.client.core.settings.max_event),
            meta,
            generation,
            since: self.client.core.environment.now(),
            is_fresh: true,
        });
        self.say(StreamState::Live, true);
        Ok(None)
    }

    fn call(&self) -> Result<Call> {
        let mut request = self.client.request(Method::GET, "stream").header("accept", "text/event-stream");
        if !self.query.topics.is_empty() {
            request = request.query("topics", self.query.topics.join(","));
        }
        if let Some(filter) = &self.query.filter {
            request = request.query("filter", filter);
        }
        if let Some(sample) = self.query.sample {
            request = request.query("sample", sample);
        }
        if let Some(tenant) = self.query.tenant {
            request = request.tenant(tenant);
        }
        if !self.position.is_empty() {
            request = request.header("last-event-id", &self.position);
        }
        request.into_call().map(|(_, call)| call)
    }

    /// Gives the connection up and plans the next one, or ends the stream with `error` when there were too many failures.
    fn lose(&mut self, error: Error) -> Result<Option<ServerEvent>> {
        if self.connection.take().is_some_and(|connection| self.has_lasted(&connection)) {
            self.failures = 0;
        }
        self.failures += 1;
        if self.query.max_failures.is_some_and(|most| self.failures > most) {
            return Err(error);
        }
        let pause = self.back_off.delay(self.failures - 1, error.retry_after(), &*self.client.core.environment);
        tracing::debug!(%error, ?pause, failures = self.failures, position = self.position, "the stream is opened again");
        self.pause = Some(pause);
        self.say(StreamState::Waiting, false);
        Ok(None)
    }

    /// A connection that lived this long was healthy, even if no event came.
    fn has_lasted(&self, connection: &Connection) -> bool {
        self.client.core.environment.now().since(connection.since) >= self.back_off.cap
    }

    fn end(&mut self) {
        self.ended = true;
        self.connection = None;
        self.ready.clear();
        self.say(StreamState::Ended, false);
    }

    fn say(&self, state: StreamState, heard: bool) {
        let now = self.client.core.environment.now();
        self.report.send_modify(|status| {
            status.state = state;
            status.heard_at = if heard { Some(now) } else { status.heard_at };
        });
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.say(StreamState::Ended, false);
    }
}

/// Unlike a call, a stream also outlives a fault inside the server: it changes nothing there.
fn is_passing(error: &Error) -> bool {
    error.is_passing() || error.status().is_some_and(|status| status.is_server_error())
}
