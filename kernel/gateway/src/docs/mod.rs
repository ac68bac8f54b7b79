//! The readable API documentation at `/docs`: three files in the binary that render `/api/v1/openapi.json` in the
//! browser.
//!
//! Nothing is fetched from elsewhere and nothing is inline, so the page works under the strict policy it is sent with.
//! The page and the description it shows come from one process, hence always fit each other.

use std::sync::LazyLock;

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ring::digest::{SHA256, digest};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static PAGE: LazyLock<Asset> = LazyLock::new(|| Asset::new("text/html; charset=utf-8", include_str!("index.html")));
/// One script for the browser, three files for its readers.
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = concat!(include_str!("dom.js"), include_str!("schema.js"), include_str!("app.js"));
    Asset::new("text/javascript; charset=utf-8", text)
});
static STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("text/css; charset=utf-8", include_str!("style.css")));

struct Asset {
    text: &'static str,
    kind: HeaderValue,
    etag: HeaderValue,
}

impl Asset {
    fn new(kind: &'static str, text: &'static str) -> Self {
        let hash = data_encoding::BASE64URL_NOPAD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..12]);
        let etag = HeaderValue::try_from(format!("\"{hash}\"")).expect("base64 is a header value");
        Self { text, kind: HeaderValue::from_static(kind), etag }
    }

    fn answer(&self, request: &HeaderMap) -> Response {
        let known = request.get_all(header::IF_NONE_MATCH).iter().any(|value| {
            let etag = self.etag.as_bytes();
            // A proxy that compresses weakens the tag; the content is the same.
            value
                .as_bytes()
                .split(|byte| *byte == b',')
                .map(<[u8]>::trim_ascii)
                .any(|tag| tag.strip_prefix(b"W/").unwrap_or(tag) == etag)
        });
        let headers: [(HeaderName, HeaderValue); 5] = [
            (header::CONTENT_TYPE, self.kind.clone()),
            // Asked again each time and answered with 304: an upgrade shows at once.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::ETAG, self.etag.clone()),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        if known { (StatusCode::NOT_MODIFIED, headers).into_response() } else { (headers, self.text).into_response() }
    }
}

/// `/docs`, `/docs/app.js` and `/docs/style.css`.
pub fn routes() -> Router {
    Router::new()
        .route("/docs", get(async |headers: HeaderMap| PAGE.answer(&headers)))
        .route("/docs/app.js", get(async |headers: HeaderMap| SCRIPT.answer(&headers)))
        .route("/docs/style.css", get(async |headers: HeaderMap| STYLE.answer(&headers)))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn fetch(path: &str, etag: Option<&str>) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::get(path);
        if let Some(etag) = etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let response = routes().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn serves_three_files_with_their_types() {
        for (path, kind) in
            [("/docs", "text/html"), ("/docs/app.js", "text/javascript"), ("/docs/style.css", "text/css")]
        {
            let (status, headers, body) = fetch(path, None).await;
            assert_eq!(status, StatusCode::OK);
            assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with(kind));
            assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
            assert!(!body.is_empty());
        }
    }

    #[tokio::test]
    async fn an_unchanged_file_is_not_sent_again() {
        let (_, headers, _) = fetch("/docs/app.js", None).await;
        let etag = headers[header::ETAG].to_str().unwrap();
        let (status, headers, body) = fetch("/docs/app.js", Some(&format!("\"other\", W/{etag}"))).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        assert_eq!(headers[header::ETAG], etag);
        assert_eq!(fetch("/docs/app.js", Some("\"other\"")).await.0, StatusCode::OK);
    }

    /// What the policy would block must not be in the page.
    #[test]
    fn nothing_is_inline_or_from_elsewhere() {
        for text in [PAGE.text, STYLE.text, SCRIPT.text] {
            let outside = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains("http://") && !outside.contains("https://"), "everything comes from the binary");
        }
        assert!(!PAGE.text.contains("<style") && !PAGE.text.contains(" style=") && !PAGE.text.contains(" on"));
        assert!(PAGE.text.matches("<script").all(|_| PAGE.text.contains("<script src=\"/docs/app.js\"")));
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!SCRIPT.text.contains(word), "{word}: a description must not become markup");
        }
    }
}
