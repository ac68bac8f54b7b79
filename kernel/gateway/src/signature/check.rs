//! The signature as a step of the layers: over the request as it arrived, body and all.

use axum::extract::Request;
use plinth_core::{SigningSecret, ports::AuthenticationError};

use super::{HEADER, SignedRequest, verify};
use crate::{Edge, stack::buffer};

pub(crate) async fn check(
    edge: &Edge,
    request: &mut Request,
    secret: &SigningSecret,
) -> Result<(), AuthenticationError> {
    let header = request.headers().get(HEADER).cloned().ok_or(AuthenticationError::SignatureNeeded)?;
    let header = header.to_str().map_err(|_| AuthenticationError::SignatureInvalid)?;
    let body = buffer(request).await.map_err(|_| AuthenticationError::SignatureInvalid)?;
    let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let signed = SignedRequest { method: request.method().as_str(), path_and_query: target, body: &body };
    let now = edge.store.world().now().seconds();
    verify(&secret.0, header, &signed, now).map_err(|_| AuthenticationError::SignatureInvalid)
}
