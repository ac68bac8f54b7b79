//! What a handler is given: bodies, path parameters and query parameters, each refused with the place of the mistake.

use axum::{
    extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request},
    response::Response,
};
use http::{header, request::Parts};
use http_body_util::BodyExt;
use plinth_core::{FieldError, Kind};
use serde::de::DeserializeOwned;

use axum::response::IntoResponse;

use crate::refuse::Refusal;

/// A JSON body. Unknown fields, wrong types and missing fields are named one by one with their pointer.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T, S> FromRequest<S> for Body<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        read(request).await.map(Self).map_err(IntoResponse::into_response)
    }
}

/// A body that may be left out altogether.
impl<T, S> OptionalFromRequest<S> for Body<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, Response> {
        if !request.headers().contains_key(header::CONTENT_TYPE) && http_body::Body::is_end_stream(request.body()) {
            return Ok(None);
        }
        read(request).await.map(|body| Some(Self(body))).map_err(IntoResponse::into_response)
    }
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let json = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_json);
    if !json {
        return Err(Refusal::new(
            Kind::UnsupportedMedia,
            "unsupported_media_type",
            "send the body as JSON with the header Content-Type: application/json",
        ));
    }
    // The layers have put the limit around the body.
    let bytes = request.into_body().collect().await.map_err(|error| body_error(&error))?.to_bytes();
    parse(&bytes)
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.len() > 5
            && essence.is_char_boundary(essence.len() - 5)
            && essence[essence.len() - 5..].eq_ignore_ascii_case("+json")
}

/// A body that could not be read to its end.
pub(crate) fn body_error(error: &(dyn std::error::Error + 'static)) -> Refusal {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<http_body_util::LengthLimitError>() {
            return Refusal::new(Kind::TooLarge, "body_too_large", "the body is larger than this endpoint takes");
        }
        next = error.source();
    }
    Refusal::new(Kind::Malformed, "body_incomplete", "the body ended before it was complete")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        if inner.is_data() {
            let (code, message) = explain(&inner.to_string());
            let pointer = match quoted(&message) {
                // The path ends at the object; the message names the field.
                Some(field) if code == "missing_field" => format!("{pointer}/{field}"),
                _ => pointer,
            };
            Refusal::invalid(vec![FieldError::new(pointer, code, message)])
        } else {
            Refusal::new(Kind::Malformed, "malformed_json", format!("the body is not JSON: {inner}"))
        }
    })?;
    if holds_nul(bytes) {
        let what = "the body holds the character U+0000, which no text may";
        return Err(Refusal::invalid(vec![FieldError::new("", "invalid_value", what)]));
    }
    reader
        .end()
        .map_err(|error| Refusal::new(Kind::Malformed, "malformed_json", format!("the body is not JSON: {error}")))?;
    Ok(parsed)
}

/// Whether a string of this JSON has the escape of U+0000, which is text that a database cannot hold.
fn holds_nul(json: &[u8]) -> bool {
    const ESCAPE: &[u8] = b"\\u0000";
    let mut from = 0;
    while let Some(found) = json[from..].windows(ESCAPE.len()).position(|window| window == ESCAPE) {
        let at = from + found;
        let before = json[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        // After an odd number of backslashes this one is escaped itself.
        if before % 2 == 0 {
            return true;
        }
        from = at + 1;
    }
    false
}

/// serde's message without its place, and a code for it.
fn explain(message: &str) -> (&'static str, String) {
    let plain = message.rsplit_once(" at line ").map_or(message, |(plain, _)| plain).to_owned();
    let code = match () {
        () if plain.starts_with("unknown field") => "unknown_field",
        () if plain.starts_with("missing field") => "missing_field",
        () if plain.starts_with("duplicate field") => "duplicate_field",
        () if plain.starts_with("invalid type") => "wrong_type",
        () if plain.starts_with("unknown variant") => "unknown_value",
        () => "invalid_value",
    };
    (code, plain)
}

fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("/{index}")),
            Segment::Map { key } => text.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { variant } => text.push_str(&format!("/{variant}")),
            Segment::Unknown => {}
        }
    }
    text
}

/// Path parameters. One that cannot be read is an object that does not exist.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(crate::not_found().into_response()),
        }
    }
}

/// Query parameters of an endpoint that is no list.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|axum::extract::Query(value)| Self(value)).map_err(
            |rejection| {
                let text = rejection.body_text();
                let plain = text.trim_start_matches("Failed to deserialize query string: ");
                let (code, message) = explain(plain.rsplit_once(": ").map_or(plain, |(_, reason)| reason));
                let name = quoted(plain)
                    .or_else(|| plain.split_once(": ").map(|(name, _)| name))
                    .unwrap_or_default()
                    .to_owned();
                Refusal::invalid(vec![FieldError::new(name, code, message)]).into_response()
            },
        )
    }
}

/// `?dry_run=true`: say what would happen and change nothing.
#[derive(Debug, Default, Clone, Copy, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRun {
    #[serde(default)]
    pub dry_run: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only how it is read matters")]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only how it is read matters")]
    struct Line {
        quantity: u32,
    }

    fn refused(text: &str) -> (Kind, Vec<(String, String)>) {
        let refusal = parse::<Order>(text.as_bytes()).expect_err("must be refused");
        (refusal.kind, refusal.fields.into_iter().map(|field| (field.pointer, field.code)).collect())
    }

    fn field(pointer: &str, code: &str) -> (Kind, Vec<(String, String)>) {
        (Kind::Invalid, vec![(pointer.into(), code.into())])
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert_eq!(refused(r#"{"lines":[{"quantity":1},{"quantity":"x"}]}"#), field("/lines/1/quantity", "wrong_type"));
        assert_eq!(refused(r#"{"lines":[{"quantity":-1}]}"#), field("/lines/0/quantity", "invalid_value"));
        assert_eq!(refused(r#"{"lines":[{"quantity":1,"price":2}]}"#), field("/lines/0/price", "unknown_field"));
        assert_eq!(refused(r#"{"lines":[{}]}"#), field("/lines/0/quantity", "missing_field"));
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for text in ["", "{", "{}{}", "nonsense", r#"{"lines":[]} x"#] {
            assert_eq!(
                parse::<serde_json::Value>(text.as_bytes()).expect_err("refused").kind,
                Kind::Malformed,
                "{text}"
            );
        }
        let invalid_utf8 = b"{\"a\":\"\xff\"}";
        assert_eq!(parse::<serde_json::Value>(invalid_utf8).expect_err("refused").kind, Kind::Malformed);
    }

    #[test]
    fn text_with_nul_is_refused_and_text_about_nul_is_not() {
        assert!(parse::<serde_json::Value>(br#"{"a":"x\u0000y"}"#).is_err());
        assert!(parse::<serde_json::Value>(br#"{"a":"x\\u0000y"}"#).is_ok());
        assert!(parse::<serde_json::Value>(br#"{"a":"x\\\u0000y"}"#).is_err());
    }

    #[test]
    fn json_types_are_recognised() {
        assert!(is_json("application/json; charset=utf-8") && is_json("application/merge-patch+json"));
        assert!(!is_json("text/plain") && !is_json("application/jsonx") && !is_json(""));
    }
}
