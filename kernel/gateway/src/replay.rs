//! Step 8: a change under an Idempotency-Key is done once, and its first answer is given again.

use std::sync::{PoisonError, atomic::Ordering};

use axum::{
    extract::{MatchedPath, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue};
use http_body_util::BodyExt;
use plinth_core::{Kind, Principal};
use plinth_store::idempotency::{self, Claim, Ticket};
use ring::digest;

use crate::{
    answer::Written,
    desk::Exchange,
    refuse::{self, Refusal},
    stack::buffer,
};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Does the work unless it was done.
pub(crate) async fn once<F, W>(exchange: &Exchange, mut request: Request, work: F) -> Response
where
    F: FnOnce(Request) -> W,
    W: Future<Output = Response>,
{
    let Some(key) = request.headers().get(KEY).cloned() else { return work(request).await };
    let claimed = match describe(exchange, &mut request, &key).await {
        Ok(wanted) => idempotency::claim(exchange.store(), wanted, &exchange.cause()).await,
        Err(refusal) => return refusal.into_response(),
    };
    match claimed {
        Ok(Claim::Granted(ticket)) => {
            *exchange.ticket.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticket);
            let response = work(request).await;
            settle(exchange, response).await
        }
        Ok(Claim::Done(answer)) => {
            let mut response = Written::from_answer(answer).into_response();
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            response
        }
        Ok(Claim::Running) => {
            let mut refusal = Refusal::new(
                Kind::Conflict,
                "in_progress",
                "a request with this Idempotency-Key is at work; repeat it after the time in Retry-After for its answer",
            );
            refusal.retry_after = Some(1);
            refusal.into_response()
        }
        Ok(Claim::Mismatch) => Refusal::new(
            Kind::Invalid,
            "idempotency_mismatch",
            "this Idempotency-Key was used for another request; use a new key for a new request",
        )
        .into_response(),
        Err(error) => refuse::refuse(&plinth_core::Fault::from(error)),
    }
}

async fn describe(
    exchange: &Exchange,
    request: &mut Request,
    key: &HeaderValue,
) -> Result<idempotency::Request, Refusal> {
    let legal = (1..=255).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
    if !legal {
        return Err(Refusal::new(
            Kind::Malformed,
            "bad_idempotency_key",
            "an Idempotency-Key has 1 to 255 visible ASCII characters",
        ));
    }
    let body = buffer(request).await?;
    let principal = exchange.caller.as_ref().ok().and_then(Option::as_ref);
    let tenant = principal.and_then(|principal| principal.tenant);
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let fingerprint = principal.map_or(0, |principal: &std::sync::Arc<Principal>| principal.fingerprint());
    let scope = hash(&[
        tenant.map(|tenant| *tenant.uuid().as_bytes()).unwrap_or_default().as_slice(),
        &fingerprint.to_be_bytes(),
        request.method().as_str().as_bytes(),
        route.as_bytes(),
        key.as_bytes(),
    ]);
    let target = request.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let if_match = exchange.if_match.as_ref().map_or(&[][..], HeaderValue::as_bytes);
    Ok(idempotency::Request {
        scope,
        tenant,
        hash: hash(&[target.as_bytes(), if_match, &body]),
        keep: exchange.edge.config.idempotency_keep,
    })
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// A commit has taken the ticket. When it is still here nothing was changed: an error after the work began is kept as the
/// answer, and everything else gives the key back.
async fn settle(exchange: &Exchange, response: Response) -> Response {
    let Some(ticket) = exchange.take_ticket() else { return response };
    let refusal = response.extensions().get::<Refusal>();
    let final_error =
        exchange.begun.load(Ordering::Relaxed) && refusal.is_some_and(|refusal| refusal.kind != Kind::Unavailable);
    if !final_error {
        give_back(exchange, ticket).await;
        return response;
    }
    keep(exchange, ticket, response).await
}

async fn give_back(exchange: &Exchange, ticket: Ticket) {
    if let Err(error) = idempotency::release(exchange.store(), ticket, &exchange.cause()).await {
        // The lease runs out by itself; until then the key answers in_progress.
        tracing::warn!(%error, "an idempotency key could not be given back");
    }
}

async fn keep(exchange: &Exchange, ticket: Ticket, mut response: Response) -> Response {
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else { return response };
    if let Some(cause) = &refusal.cause {
        tracing::error!(request_id = &*exchange.request_id, cause, "a request failed");
    }
    let (parts, body) = refusal.into_document(&exchange.request_id).into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let written = Written { status: parts.status, headers: parts.headers, body };
    if let Err(error) =
        idempotency::complete_alone(exchange.store(), ticket, &written.to_answer(), &exchange.cause()).await
    {
        tracing::warn!(%error, "the answer for an idempotency key could not be kept");
    }
    written.into_response()
}
