//! One plain HTTP request to a server on this machine, enough to sign in for a suite.
//!
//! HTTP/1.0 on purpose: the answer then comes in one piece and ends with the connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Posts JSON to `base` + `path` and returns the JSON of a 2xx answer; anything else is an error that quotes it.
pub fn post(base: &str, path: &str, body: &Value) -> Result<Value> {
    let authority = base
        .strip_prefix("http://")
        .with_context(|| format!("{base} is not a plain http address"))?
        .trim_end_matches('/');
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(authority).with_context(|| format!("nothing listens on {authority}"))?;
    stream.set_read_timeout(Some(TIMEOUT)).context("the socket takes no time limit")?;
    stream.write_all(request.as_bytes()).with_context(|| format!("POST {path} could not be sent"))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("POST {path} was not answered"))?;
    let (status, content) = split(&String::from_utf8_lossy(&answer)).with_context(|| format!("POST {path}"))?;
    if !(200..300).contains(&status) {
        bail!("POST {path} answered {status}: {content}");
    }
    serde_json::from_str(&content).with_context(|| format!("POST {path} answered with something that is not JSON"))
}

fn split(answer: &str) -> Result<(u16, String)> {
    let (head, content) = answer.split_once("\r\n\r\n").context("the answer has no end of headers")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("the answer has no status")?;
    Ok((status, content.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answer_once(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            let mut buffer = [0; 512];
            while !seen.ends_with(b"}") {
                let read = stream.read(&mut buffer).unwrap();
                seen.extend_from_slice(&buffer[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        });
        base
    }

    #[test]
    fn the_json_of_a_good_answer_is_returned() {
        let base = answer_once("HTTP/1.0 201 Created\r\nContent-Type: application/json\r\n\r\n{\"token\":\"t\"}");
        let answer = post(&base, "/api", &serde_json::json!({ "name": "x" })).unwrap();
        assert_eq!(answer["token"], "t");
    }

    #[test]
    fn a_refusal_is_quoted() {
        let base = answer_once("HTTP/1.0 422 Unprocessable\r\n\r\n{\"code\":\"weak_password\"}");
        let error = post(&base, "/api", &serde_json::json!({ "name": "x" })).unwrap_err().to_string();
        assert!(error.contains("422") && error.contains("weak_password"), "{error}");
    }
}
