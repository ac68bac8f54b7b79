//! What a handler answers with: typed bodies with their status, ETags, pages, and what was committed together with them.

use std::marker::PhantomData;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use plinth_core::{Fault, FieldError, Representation, api::Page};
use plinth_store::{Slice, idempotency::Answer};
use schemars::JsonSchema;
use serde::Serialize;

use crate::refuse::Refusal;

/// Where in the log a write came to stand.
pub const POSITION: HeaderName = HeaderName::from_static("plinth-position");

/// A typed answer that can be written down before it is sent.
pub trait Reply {
    /// What the OpenAPI document says of it: the status and the schema of the body.
    const STATUS: u16;
    type Body: JsonSchema;
    const EMPTY: bool = false;

    fn write(&self) -> Result<Written, Fault>;
}

/// An answer as bytes.
pub struct Written {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Written {
    fn json(status: u16, value: &impl Serialize, tag: bool) -> Result<Self, Fault> {
        let body =
            serde_json::to_vec(value).map_err(|error| Fault::internal("an answer cannot be written").because(error))?;
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if tag {
            headers.insert(header::ETAG, entity_tag(&body));
        }
        let status = StatusCode::from_u16(status).map_err(|error| Fault::internal("no status").because(error))?;
        Ok(Self { status, headers, body: body.into() })
    }

    pub(crate) fn to_answer(&self) -> Answer {
        let headers =
            self.headers.iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        Answer { status: self.status.as_u16(), headers: headers.collect(), body: self.body.to_vec() }
    }

    pub(crate) fn from_answer(answer: Answer) -> Self {
        let mut headers = HeaderMap::with_capacity(answer.headers.len() + 8);
        for (name, value) in answer.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.append(name, value);
            }
        }
        Self {
            status: StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK),
            headers,
            body: answer.body.into(),
        }
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Tells one representation from another.
pub fn entity_tag(body: &[u8]) -> HeaderValue {
    HeaderValue::try_from(plinth_core::entity_tag(body)).unwrap_or(HeaderValue::from_static("\"\""))
}

/// 200 with an object that was written down before: what is asked for often need not be written each time.
pub struct Ready<T> {
    representation: Representation,
    of: PhantomData<fn() -> T>,
}

impl<T> Ready<T> {
    pub fn new(representation: Representation) -> Self {
        Self { representation, of: PhantomData }
    }
}

impl<T: JsonSchema> Reply for Ready<T> {
    const STATUS: u16 = 200;
    type Body = T;

    fn write(&self) -> Result<Written, Fault> {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let tag = HeaderValue::try_from(&*self.representation.tag);
        headers.insert(header::ETAG, tag.map_err(|error| Fault::internal("a tag is no header").because(error))?);
        Ok(Written { status: StatusCode::OK, headers, body: Bytes::from_owner(self.representation.json.clone()) })
    }
}

impl<T: JsonSchema> IntoResponse for Ready<T> {
    fn into_response(self) -> Response {
        respond(&self)
    }
}

macro_rules! replies {
    ($($(#[$doc:meta])* $name:ident $status:literal $tag:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<T>(pub T);

        impl<T: Serialize + JsonSchema> Reply for $name<T> {
            const STATUS: u16 = $status;
            type Body = T;

            fn write(&self) -> Result<Written, Fault> {
                Written::json($status, &self.0, $tag)
            }
        }

        impl<T: Serialize + JsonSchema> IntoResponse for $name<T> {
            fn into_response(self) -> Response {
                respond(&self)
            }
        }
    )*};
}

replies! {
    /// 200 with an object and its ETag.
    Json 200 true;
    /// 201 with the new object and its ETag.
    Created 201 true;
    /// 202: accepted, not done yet.
    Accepted 202 false;
}

/// 204.
#[derive(Debug)]
pub struct NoContent;

impl Reply for NoContent {
    const STATUS: u16 = 204;
    type Body = ();
    const EMPTY: bool = true;

    fn write(&self) -> Result<Written, Fault> {
        Ok(Written { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: Bytes::new() })
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

fn respond(reply: &impl Reply) -> Response {
    match reply.write() {
        Ok(written) => written.into_response(),
        Err(fault) => crate::refuse(&fault),
    }
}

/// An answer that went into the database together with the change it tells of.
pub struct Done<R> {
    written: Written,
    of: PhantomData<fn() -> R>,
}

impl<R> Done<R> {
    pub(crate) fn new(written: Written) -> Self {
        Self { written, of: PhantomData }
    }

    /// Adds a header to this answer, such as a cookie. It is not part of what an Idempotency-Key replays.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.written.headers.append(name, value);
        self
    }
}

impl<R> IntoResponse for Done<R> {
    fn into_response(self) -> Response {
        self.written.into_response()
    }
}

/// A page of a list, cut down to the fields that were asked for.
pub struct Paged<T> {
    page: Page<T>,
    fields: Vec<String>,
}

impl<T> Paged<T> {
    pub fn new(slice: Slice<T>, listing: &crate::listing::Asked, total_estimate: Option<u64>) -> Self {
        let order = listing.order_name();
        let text = |cursor: plinth_core::page::Cursor| cursor.to_text(order);
        let page = Page {
            data: slice.rows,
            has_more: slice.has_more,
            next: slice.next.map(text),
            prev: slice.prev.map(text),
            total_estimate,
        };
        Self { page, fields: listing.fields.clone() }
    }
}

impl<T: Serialize + JsonSchema> Reply for Paged<T> {
    const STATUS: u16 = 200;
    type Body = Page<T>;

    fn write(&self) -> Result<Written, Fault> {
        if self.fields.is_empty() {
            return Written::json(200, &self.page, true);
        }
        let mut page = serde_json::to_value(&self.page)
            .map_err(|error| Fault::internal("an answer cannot be written").because(error))?;
        for row in page["data"].as_array_mut().into_iter().flatten().filter_map(serde_json::Value::as_object_mut) {
            row.retain(|name, _| self.fields.iter().any(|field| field == name));
        }
        let mut written = Written::json(200, &page, true)?;
        // Rows that were cut are not the objects any more, so they are of another type.
        written.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PARTIAL));
        Ok(written)
    }
}

/// The media type of a page whose rows were cut to the fields that were asked for.
pub(crate) const PARTIAL: &str = "application/vnd.plinth.partial+json";

impl<T: Serialize + JsonSchema> Paged<T> {
    /// Fields that were asked for and that no row ever has.
    fn unknown_fields(&self) -> Vec<FieldError> {
        if self.fields.is_empty() {
            return Vec::new();
        }
        let schema = schemars::schema_for!(T).to_value();
        let known: Vec<&String> = schema["properties"].as_object().into_iter().flat_map(|known| known.keys()).collect();
        let unknown = self.fields.iter().filter(|field| !known.contains(field));
        unknown
            .map(|field| {
                FieldError::new("fields", "unknown_field", format!("rows of this list have no field {field:?}"))
            })
            .collect()
    }
}

impl<T: Serialize + JsonSchema> IntoResponse for Paged<T> {
    fn into_response(self) -> Response {
        let unknown = self.unknown_fields();
        if unknown.is_empty() { respond(&self) } else { Refusal::invalid(unknown).into_response() }
    }
}
