//! How a call becomes requests: credentials, signature, time-out, refresh and repetition.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode, header};
use plinth_api::Problem;
use url::Position;

use crate::{Client, Error, Meta, Result, Wait, request::Call, session::Pass, signature};

/// A problem document has a few hundred bytes; a proxy's page of errors is not worth more.
const MAX_REFUSAL: usize = 1 << 20;

/// What the kernel says to a token whose session has ended.
const SESSION_ENDED: [&str; 3] = ["token_revoked", "token_reused", "session_revoked"];

/// A successful answer whose body has not been read.
pub(crate) struct Opened {
    pub response: reqwest::Response,
    pub meta: Meta,
    /// The token pair that was shown, if it was one.
    pub generation: Option<u64>,
}

impl Client {
    /// Makes the call, again if need be, and reads the answer.
    pub(crate) async fn execute(&self, call: &Call) -> Result<(Meta, Bytes)> {
        let core = &*self.core;
        let mut failures = 0;
        loop {
            let error = match self.in_time(call, self.attempt(call)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if failures >= call.retries || !call.is_repeatable() || !core.settings.back_off.is_worth_it(&error) {
                return Err(error);
            }
            let delay = core.settings.back_off.delay(failures, error.retry_after(), &*core.environment);
            failures += 1;
            tracing::debug!(method = %call.method, path = call.url.path(), %error, ?delay, failures, "the call is repeated");
            core.environment.wait(Wait::BackOff, delay).await;
        }
    }

    /// Gives the attempt up when it takes longer than the call may.
    pub(crate) async fn in_time<T>(&self, call: &Call, attempt: impl Future<Output = Result<T>>) -> Result<T> {
        let too_late = self.core.environment.wait(Wait::Answer, call.timeout);
        tokio::select! {
            biased;
            outcome = attempt => outcome,
            () = too_late => Err(Error::Timeout { server: self.core.server(), after: call.timeout }),
        }
    }

    async fn attempt(&self, call: &Call) -> Result<(Meta, Bytes)> {
        let Opened { response, meta, .. } = self.open(call).await?;
        match self.read(response, call.max_body).await? {
            Some(bytes) => Ok((meta, bytes)),
            None => Err(Error::TooLarge { limit: call.max_body, meta: Box::new(meta) }),
        }
    }

    /// Sends the request and waits for the head of a successful answer. A token that the server finds expired is renewed
    /// and the request sent again: it was refused before anything was done, so this is no repetition.
    pub(crate) async fn open(&self, call: &Call) -> Result<Opened> {
        let mut renewed = false;
        loop {
            let pass = if call.anonymous { Pass::Nobody } else { self.pass().await? };
            let generation = pass.renewable();
            let request = self.dress(call, &pass)?;
            let response = self.core.http.execute(request).await.map_err(|error| self.transport(error))?;
            let meta = self.core.meta(response.status(), response.headers());
            if meta.status.is_success() {
                return Ok(Opened { response, meta, generation });
            }
            let error = self.refusal(response, meta).await?;
            let (Some(generation), Some(StatusCode::UNAUTHORIZED)) = (generation, error.status()) else {
                return Err(error);
            };
            match error.code() {
                Some("token_expired") if !renewed => self.renew(generation).await?,
                Some(code) if SESSION_ENDED.contains(&code) => {
                    self.session.sign_out(generation, code);
                    return Err(Error::SignedOut { code: code.to_owned() });
                }
                _ => return Err(error),
            }
            renewed = true;
        }
    }

    /// The request of one attempt: the call with credentials, and signed for this moment if need be.
    fn dress(&self, call: &Call, pass: &Pass) -> Result<reqwest::Request> {
        let mut request = reqwest::Request::new(call.method.clone(), call.url.clone());
        *request.headers_mut() = call.headers.clone();
        let token = match pass {
            Pass::Nobody => None,
            Pass::Token { access, .. } | Pass::AccessToken(access) => Some(access),
            Pass::ApiKey { key, .. } => Some(key),
        };
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| Error::Request("the token or key has characters that cannot be sent".to_owned()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        if let Pass::ApiKey { signing_secret: Some(secret), .. } = pass {
            let now = self.core.environment.now().seconds();
            let path_and_query = &call.url[Position::BeforePath..Position::AfterQuery];
            let body = call.body.as_deref().unwrap_or_default();
            let signature = signature::sign(secret, now, &call.method, path_and_query, body);
            let value = HeaderValue::try_from(signature).map_err(|error| Error::Request(error.to_string()))?;
            request.headers_mut().insert(HeaderName::from_static(signature::HEADER), value);
        }
        *request.body_mut() = call.body.clone().map(Into::into);
        Ok(request)
    }

    /// Turns an answer that is no success into the error it stands for; fails when it cannot even be read.
    async fn refusal(&self, response: reqwest::Response, meta: Meta) -> Result<Error> {
        let location =
            response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = self.read(response, MAX_REFUSAL).await?.unwrap_or_default();
        Ok(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Error::Problem(Box::new(problem), Box::new(meta)),
            Err(_) if meta.status.is_redirection() && location.is_some() => {
                let location = location.unwrap_or_default();
                Error::decode(format!("it redirects to {location}; use that server's address as the base URL"), meta)
            }
            Err(error) => Error::decode(format!("it is no problem document: {error}"), meta),
        })
    }

    /// The body, or nothing when it has more than `limit` bytes.
    async fn read(&self, mut response: reqwest::Response, limit: usize) -> Result<Option<Bytes>> {
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Ok(None);
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(error))? {
            if body.len() + chunk.len() > limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body.freeze()))
    }

    pub(crate) fn transport(&self, error: reqwest::Error) -> Error {
        if error.is_builder() {
            return Error::Request(error.to_string());
        }
        Error::Transport { server: self.core.server(), source: Arc::new(error.without_url()) }
    }
}
