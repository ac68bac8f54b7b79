//! HTTP/1.1 by hand: what a test writes is what the kernel gets, and what the kernel answers is seen as it is.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longer than any time limit of the kernel that a test waits for.
const PATIENCE: Duration = Duration::from_mins(1);

/// One connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub async fn connect(port: u16) -> Self {
        Self::try_connect(port).await.expect("the kernel accepts connections")
    }

    pub async fn try_connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Writes bytes. A peer that has stopped reading is no failure: its answer says why.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Reads one answer; `None` when the connection ends before it is whole.
    pub async fn answer(&mut self) -> Option<Answer> {
        self.answer_to("GET").await
    }

    /// Reads one answer to a request with this method: the one to HEAD has no body.
    pub async fn answer_to(&mut self, method: &str) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer(method))
            .await
            .unwrap_or_else(|_| panic!("neither an answer nor an end within {PATIENCE:?}"))
    }

    async fn read_answer(&mut self, method: &str) -> Option<Answer> {
        let end = self.find(b"\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        if method == "HEAD" || status == 204 || status == 304 {
            return Some(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await? {
                answer.body.extend(chunk);
            }
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().ok()?;
            answer.body = self.take(length).await?;
        }
        Some(answer)
    }

    /// The next chunk of a body, `Some(None)` after the last.
    async fn chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let end = self.find(b"\r\n").await?;
        let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 2);
        let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        let mut bytes = self.take(length + 2).await?;
        bytes.truncate(length);
        Some((length > 0).then_some(bytes))
    }

    async fn find(&mut self, wanted: &[u8]) -> Option<usize> {
        loop {
            if let Some(place) = self.buffer.windows(wanted.len()).position(|window| window == wanted) {
                return Some(place);
            }
            self.read_more().await?;
        }
    }

    async fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            self.read_more().await?;
        }
        Some(self.buffer.drain(..length).collect())
    }

    async fn read_more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }

    /// Waits until the kernel has closed the connection, and fails when it says something more.
    pub async fn closed(&mut self) {
        let more = tokio::time::timeout(PATIENCE, self.read_more()).await;
        let more = more.unwrap_or_else(|_| panic!("the connection is still open after {PATIENCE:?}"));
        assert!(more.is_none(), "more was said: {}", String::from_utf8_lossy(&self.buffer));
    }

    /// The connection still carries requests.
    pub async fn is_usable(&mut self) -> bool {
        self.send("GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").await;
        self.answer().await.is_some_and(|answer| answer.status == 200)
    }
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// This answer, when its status is the expected one; otherwise the test fails and shows it.
    #[expect(clippy::return_self_not_must_use, reason = "it is a check first of all")]
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, self.text());
        self
    }

    /// The problem document, when status and code are the expected ones and it is whole.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let answer = self.expect(status);
        let problem = answer.problem();
        assert_eq!(problem["code"], code, "{problem}");
        problem
    }

    /// The problem document, whichever it is, as RFC 9457 and the conventions of the API want it.
    #[track_caller]
    pub fn problem(&self) -> Value {
        let problem = self.json();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        assert_eq!(problem["status"], self.status, "{problem}");
        for field in ["type", "title", "code", "request_id"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} is missing in {problem}");
        }
        if self.header("idempotent-replayed").is_none() {
            // A replayed document names the request that it was written for: that is the one the log tells of.
            assert_eq!(problem["request_id"].as_str(), self.header("request-id"), "{problem}");
        }
        if [429, 503].contains(&self.status) {
            assert!(self.header("retry-after").is_some(), "no Retry-After with {}", self.status);
        }
        problem
    }
}

/// A request on a connection of its own.
#[must_use = "a request does nothing until it is sent"]
#[derive(Clone)]
pub struct Ask {
    port: u16,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    pub fn new(port: u16, method: &str, path: &str) -> Self {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/{path}") };
        Self { port, method: method.to_owned(), path, headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header; a second one of the same name is sent too.
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn token(self, token: impl AsRef<str>) -> Self {
        self.header("authorization", format!("Bearer {}", token.as_ref()))
    }

    pub fn key(self, idempotency_key: impl AsRef<str>) -> Self {
        self.header("idempotency-key", idempotency_key)
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// The bytes as they go over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n", self.method, self.path, self.port);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !self.body.is_empty() || ["POST", "PUT", "PATCH"].contains(&self.method.as_str()) {
            head.extend(["content-length: ", &self.body.len().to_string(), "\r\n"]);
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        self.try_send().await.unwrap_or_else(|| panic!("{what} was not answered"))
    }

    /// Sends it; `None` when there is no whole answer.
    pub async fn try_send(self) -> Option<Answer> {
        let mut wire = Wire::try_connect(self.port).await.ok()?;
        self.on(&mut wire).await
    }

    /// Sends it on a connection that is there.
    pub async fn on(self, wire: &mut Wire) -> Option<Answer> {
        wire.send(self.bytes()).await;
        wire.answer_to(&self.method).await
    }
}
