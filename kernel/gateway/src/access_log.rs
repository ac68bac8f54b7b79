//! One line a request, written by hand and handed to a thread: formatting through the logging framework would cost more
//! than the rest of the edge.

use std::{
    cell::RefCell,
    fmt::Write as _,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Pretty,
    /// No access log.
    Off,
}

pub struct AccessLog {
    format: LogFormat,
    shared: Arc<(Mutex<Pending>, Condvar)>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

#[derive(Default)]
struct Pending {
    lines: String,
    lost: u64,
    closed: bool,
    /// The writer sleeps and wants to be woken for the next line.
    idle: bool,
}

/// How long the writer lets lines gather: waking it for each would cost more than writing it.
const GATHER: Duration = Duration::from_millis(20);

/// Beyond this, lines are counted instead of kept: a log that nobody reads must not take the memory.
const MOST_PENDING: usize = 8 << 20;

/// What a line tells.
pub struct Line<'a> {
    pub time: plinth_core::Timestamp,
    pub request_id: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    pub route: &'a str,
    pub status: u16,
    pub micros: u128,
    pub client: std::net::IpAddr,
    pub tenant: Option<plinth_core::TenantId>,
    pub actor: Option<plinth_core::Actor>,
    pub code: Option<&'a str>,
}

impl AccessLog {
    /// Lines go to `out`, by a thread of its own.
    pub fn start(format: LogFormat, mut out: impl std::io::Write + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new((Mutex::new(Pending::default()), Condvar::new()));
        let theirs = shared.clone();
        let writer = std::thread::Builder::new().name("plinth-access-log".into()).spawn(move || {
            let (pending, wake) = &*theirs;
            let mut batch = String::new();
            loop {
                let mut waiting = pending.lock().unwrap_or_else(PoisonError::into_inner);
                while waiting.lines.is_empty() && !waiting.closed {
                    waiting.idle = true;
                    waiting = wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                    waiting.idle = false;
                }
                if !waiting.closed {
                    waiting = wake.wait_timeout(waiting, GATHER).unwrap_or_else(PoisonError::into_inner).0;
                }
                let ended = waiting.closed && waiting.lines.is_empty();
                std::mem::swap(&mut batch, &mut waiting.lines);
                let lost = std::mem::take(&mut waiting.lost);
                drop(waiting);
                // A log that cannot be written to must not stop the kernel; the next line may succeed.
                out.write_all(batch.as_bytes()).and_then(|()| out.flush()).ok();
                if lost > 0 {
                    tracing::warn!(lost, "access log lines were dropped: the log is not read fast enough");
                }
                if ended {
                    return;
                }
                batch.clear();
            }
        })?;
        Ok(Self { format, shared, writer: Mutex::new(Some(writer)) })
    }

    pub fn enabled(&self) -> bool {
        self.format != LogFormat::Off
    }

    pub fn write(&self, line: &Line<'_>) {
        thread_local! {
            static LINE: RefCell<String> = const { RefCell::new(String::new()) };
        }
        LINE.with_borrow_mut(|text| {
            text.clear();
            // Writing into a string does not fail.
            match self.format {
                LogFormat::Json => json(text, line),
                LogFormat::Pretty => pretty(text, line),
                LogFormat::Off => return,
            }
            .ok();
            self.hand_over(text);
        });
    }

    fn hand_over(&self, text: &str) {
        let (pending, wake) = &*self.shared;
        let mut waiting = pending.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() > MOST_PENDING {
            waiting.lost += 1;
            return;
        }
        waiting.lines.push_str(text);
        let idle = std::mem::take(&mut waiting.idle);
        drop(waiting);
        if idle {
            wake.notify_one();
        }
    }

    /// Writes what is waiting and ends the thread.
    pub fn close(&self) {
        let (pending, wake) = &*self.shared;
        pending.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        wake.notify_one();
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            writer.join().ok();
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.close();
    }
}

fn json(out: &mut String, line: &Line<'_>) -> std::fmt::Result {
    write!(
        out,
        r#"{{"timestamp":"{}","level":"INFO","target":"access","request_id":"{}","method":"{}","path":"#,
        line.time, line.request_id, line.method
    )?;
    escape(out, line.path);
    write!(
        out,
        r#","route":"{}","status":{},"duration_us":{},"client":"{}""#,
        line.route, line.status, line.micros, line.client
    )?;
    if let Some(tenant) = line.tenant {
        write!(out, r#","tenant":"{tenant}""#)?;
    }
    if let Some(actor) = line.actor {
        write!(out, r#","actor":"{actor}""#)?;
    }
    if let Some(code) = line.code {
        write!(out, r#","code":"{code}""#)?;
    }
    out.write_str("}\n")
}

fn pretty(out: &mut String, line: &Line<'_>) -> std::fmt::Result {
    write!(
        out,
        "{} {} {:>6} {} {}.{:03} ms {} {}",
        line.time,
        line.status,
        line.method,
        line.path.escape_debug(),
        line.micros / 1000,
        line.micros % 1000,
        line.client,
        line.request_id
    )?;
    if let Some(code) = line.code {
        write!(out, " {code}")?;
    }
    out.write_str("\n")
}

/// A JSON string. Paths seldom need escaping, so the common case is one copy.
fn escape(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\' && byte < 0x7f) {
        out.push_str(text);
    } else {
        for char in text.chars() {
            match char {
                '"' | '\\' => out.extend(['\\', char]),
                char if char.is_control() => {
                    // Writing into a string does not fail.
                    write!(out, "\\u{:04x}", char as u32).ok();
                }
                char => out.push(char),
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    struct Sink(mpsc::Sender<Vec<u8>>);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).ok();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_hostile_path_stays_one_line_of_json() {
        let (sink, written) = mpsc::channel();
        let log = AccessLog::start(LogFormat::Json, Sink(sink)).expect("thread");
        log.write(&Line {
            time: plinth_core::Timestamp::from_millis(0),
            request_id: "req_1",
            method: "GET",
            path: "/a\"b\\c\nd\u{1b}[31m",
            route: "unmatched",
            status: 404,
            micros: 1234,
            client: std::net::IpAddr::from([127, 0, 0, 1]),
            tenant: None,
            actor: None,
            code: Some("not_found"),
        });
        log.close();
        let text: Vec<u8> = written.into_iter().flatten().collect();
        let text = String::from_utf8(text).expect("text");
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["path"], "/a\"b\\c\nd\u{1b}[31m");
        assert_eq!(line["code"], "not_found");
    }
}
