//! Reads `text/event-stream` as the WHATWG HTML standard has it, piece by piece.
//!
//! Where the pieces are cut makes no difference. Lines end with CR, LF or CRLF; a byte order mark at the very beginning
//! is skipped; what is not UTF-8 becomes U+FFFD; an event that is not ended by an empty line is never delivered.

use std::{collections::VecDeque, time::Duration};

/// An event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerEvent {
    /// The position to resume from, which an event without an id of its own shares with the one before.
    pub id: String,
    /// The type; `message` if the server gave none.
    pub event: String,
    pub data: String,
}

/// What a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Event {
        event: ServerEvent,
        /// The event came with an `id` line.
        has_own_id: bool,
    },
    /// The position moved without an event.
    Position(String),
    /// How long to wait before connecting again.
    Retry(Duration),
}

/// A line or an event is larger than the parser was told to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {limit} bytes")]
pub struct Oversized {
    pub limit: usize,
}

#[derive(Debug)]
pub struct Parser {
    limit: usize,
    start: Start,
    line: Vec<u8>,
    /// The last byte was a CR, so a LF that follows belongs to the same line end.
    after_cr: bool,
    id: String,
    has_own_id: bool,
    event: String,
    data: String,
}

/// How much of a byte order mark has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Mark(usize),
    Over,
}

const MARK: &[u8] = b"\xEF\xBB\xBF";

impl Parser {
    /// `last_event_id` is where the stream was resumed; `limit` bounds a line and the data of an event.
    pub fn new(last_event_id: impl Into<String>, limit: usize) -> Self {
        Self {
            limit,
            start: Start::Mark(0),
            line: Vec::new(),
            after_cr: false,
            id: last_event_id.into(),
            has_own_id: false,
            event: String::new(),
            data: String::new(),
        }
    }

    /// Takes the next bytes and appends what they complete to `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut VecDeque<Frame>) -> Result<(), Oversized> {
        let mut rest = self.skip_mark(bytes);
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let part = &rest[..end.unwrap_or(rest.len())];
            if self.line.len() + part.len() > self.limit {
                return Err(Oversized { limit: self.limit });
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { break };
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.take_line(&String::from_utf8_lossy(&line), out)?;
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }

    fn skip_mark<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Start::Mark(seen) = self.start else { return bytes };
        let common = bytes.iter().zip(&MARK[seen..]).take_while(|(byte, expected)| byte == expected).count();
        let rest = &bytes[common..];
        if seen + common == MARK.len() {
            self.start = Start::Over;
        } else if rest.is_empty() {
            self.start = Start::Mark(seen + common);
        } else {
            // It only began like a mark: those bytes are text.
            self.start = Start::Over;
            self.line.extend_from_slice(&MARK[..seen + common]);
        }
        rest
    }

    fn take_line(&mut self, line: &str, out: &mut VecDeque<Frame>) -> Result<(), Oversized> {
        if line.is_empty() {
            self.dispatch(out);
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                if self.data.len() + value.len() + 1 > self.limit {
                    return Err(Oversized { limit: self.limit });
                }
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => {
                value.clone_into(&mut self.id);
                self.has_own_id = true;
            }
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                let millis = value.parse().unwrap_or(u64::MAX);
                out.push_back(Frame::Retry(Duration::from_millis(millis)));
            }
            // A comment has an empty field name; other names are for later versions.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, out: &mut VecDeque<Frame>) {
        let has_own_id = std::mem::take(&mut self.has_own_id);
        let event = std::mem::take(&mut self.event);
        let mut data = std::mem::take(&mut self.data);
        if data.is_empty() {
            if has_own_id {
                out.push_back(Frame::Position(self.id.clone()));
            }
            return;
        }
        data.pop();
        let event = if event.is_empty() { "message".to_owned() } else { event };
        out.push_back(Frame::Event { event: ServerEvent { id: self.id.clone(), event, data }, has_own_id });
    }
}
