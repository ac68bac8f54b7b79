//! What an answer says besides its body.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use plinth_api::Timestamp;

use crate::retry::retry_after;

/// A successful answer.
#[derive(Debug, Clone)]
pub struct Reply<T> {
    pub body: T,
    pub status: StatusCode,
    /// Pass it to `if_match` to change the object only if nobody else has.
    pub etag: Option<String>,
    /// Where a write stands in the log: pass it to `min_position` to read what was written.
    pub position: Option<String>,
    /// Quote it when you ask for help.
    pub request_id: Option<String>,
    pub rate_limit: Option<RateLimit>,
    /// The call was made before under this Idempotency-Key; this is the answer of that time.
    pub replayed: bool,
}

impl<T> Reply<T> {
    pub(crate) fn new(body: T, meta: Meta) -> Self {
        let Meta { status, etag, position, request_id, rate_limit, replayed, .. } = meta;
        Self { body, status, etag, position, request_id, rate_limit, replayed }
    }
}

/// The headers of an answer that carry meaning.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    pub status: StatusCode,
    pub etag: Option<String>,
    pub position: Option<String>,
    pub request_id: Option<String>,
    pub rate_limit: Option<RateLimit>,
    pub replayed: bool,
    /// How long to stay away, when the server asked for it.
    pub retry_after: Option<Duration>,
}

impl Meta {
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            status,
            etag: text("etag").map(str::to_owned),
            position: text("plinth-position").map(str::to_owned),
            request_id: text("request-id").or_else(|| text("x-request-id")).map(str::to_owned),
            rate_limit: text("ratelimit").and_then(|limit| RateLimit::read(limit, text("ratelimit-policy"))),
            replayed: text("idempotent-replayed") == Some("true"),
            retry_after: text("retry-after").and_then(|value| retry_after(value, now)),
        }
    }
}

/// The limit that is nearest to being reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// The name of the policy.
    pub policy: String,
    /// How many more requests are let through.
    pub remaining: u64,
    /// When the count starts anew.
    pub reset: Option<Duration>,
    /// How many requests are let through in a window, and how long that is.
    pub limit: Option<u64>,
    pub window: Option<Duration>,
}

impl RateLimit {
    /// Reads `RateLimit: "default";r=50;t=30` with `RateLimit-Policy: "default";q=100;w=60`, which both may list several.
    fn read(limits: &str, policies: Option<&str>) -> Option<Self> {
        let nearest = members(limits).filter_map(|item| Some((item.number("r")?, item))).min_by_key(|(left, _)| *left);
        let (remaining, item) = nearest?;
        let policy = policies.and_then(|list| members(list).find(|candidate| candidate.name == item.name));
        let number = |key: &str| policy.as_ref().and_then(|policy| policy.number(key));
        Some(Self {
            policy: item.name.to_owned(),
            remaining,
            reset: item.number("t").map(Duration::from_secs),
            limit: number("q"),
            window: number("w").map(Duration::from_secs),
        })
    }
}

/// One member of a structured header list: a name and its parameters.
struct Member<'a> {
    name: &'a str,
    parameters: &'a str,
}

impl Member<'_> {
    fn number(&self, key: &str) -> Option<u64> {
        let mut pairs = self.parameters.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == key)?.1.parse().ok()
    }
}

fn members(list: &str) -> impl Iterator<Item = Member<'_>> {
    list.split(',').map(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        Member { name: name.trim().trim_matches('"'), parameters }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_limit_is_told_with_its_policy() {
        let read =
            RateLimit::read(r#""tenant";r=900;t=40, "key";r=3;t=7"#, Some(r#""key";q=10;w=60, "tenant";q=1000;w=60"#));
        let expected = RateLimit {
            policy: "key".into(),
            remaining: 3,
            reset: Some(Duration::from_secs(7)),
            limit: Some(10),
            window: Some(Duration::from_mins(1)),
        };
        assert_eq!(read, Some(expected));
    }

    #[test]
    fn a_header_that_says_nothing_is_no_limit() {
        for odd in ["", "abc", r#""key""#, r#""key";r=many"#, ";;;,,,"] {
            assert_eq!(RateLimit::read(odd, None), None, "{odd}");
        }
        let bare = RateLimit::read(r#""key";r=0"#, Some("garbage")).expect("has a count");
        assert_eq!((bare.remaining, bare.limit, bare.reset), (0, None, None));
    }
}
