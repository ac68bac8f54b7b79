//! Whose requests these are, shared by all clones of a client.
//!
//! Invariants: at most one refresh of a token pair is under way, and everybody who needs it waits for that one. A refresh
//! runs in a task of its own, so a caller that goes away cannot lose the new pair after the server has given up the old.
//! Each pair has one Idempotency-Key for its refresh, kept until the outcome is known: when a reply is lost, asking again
//! returns the same pair instead of looking like a stolen token.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use data_encoding::BASE64URL_NOPAD;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use plinth_api::{Timestamp, auth::Tokens};

use crate::{
    Credentials, Error, Result,
    environment::{Environment, fresh_key},
};

/// How long before expiry a pair is renewed, at most; short-lived tokens keep nine tenths of their life.
const EARLY: Duration = Duration::from_secs(30);
/// After a failed early refresh the old token is used for this long before the next try.
const POSTPONED: Duration = Duration::from_secs(5);

pub(crate) type Flight = Shared<BoxFuture<'static, Result<()>>>;
pub(crate) type OnTokens = Arc<dyn Fn(&Tokens) + Send + Sync>;
pub(crate) type OnSignedOut = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct Listeners {
    pub tokens: Option<OnTokens>,
    pub signed_out: Option<OnSignedOut>,
}

pub(crate) struct Session {
    state: Mutex<State>,
    listeners: Listeners,
}

struct State {
    /// Grows with every change of `held`, so that an outcome that comes late is told from a current one.
    generation: u64,
    held: Held,
    refreshing: Option<(u64, Flight)>,
}

enum Held {
    Anonymous,
    Pair(Pair),
    AccessToken(Arc<str>),
    ApiKey { key: Arc<str>, signing_secret: Option<Arc<str>> },
    SignedOut { code: String },
}

struct Pair {
    access: Arc<str>,
    refresh: Arc<str>,
    times: Option<Times>,
    refresh_key: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    renew_at: Timestamp,
    expires_at: Timestamp,
}

/// What one request shows of the session.
#[derive(Clone)]
pub(crate) enum Pass {
    Nobody,
    Token { access: Arc<str>, generation: u64, times: Option<Times> },
    AccessToken(Arc<str>),
    ApiKey { key: Arc<str>, signing_secret: Option<Arc<str>> },
}

impl Pass {
    /// The generation to renew, if this can be renewed.
    pub fn renewable(&self) -> Option<u64> {
        if let Self::Token { generation, .. } = self { Some(*generation) } else { None }
    }

    pub fn is_due(&self, now: Timestamp) -> bool {
        matches!(self, Self::Token { times: Some(times), .. } if times.renew_at <= now)
    }

    pub fn has_expired(&self, now: Timestamp) -> bool {
        matches!(self, Self::Token { times: Some(times), .. } if times.expires_at <= now)
    }
}

/// What a refresh needs.
pub(crate) struct Renewal {
    pub generation: u64,
    pub refresh: Arc<str>,
    pub key: String,
}

impl Session {
    pub fn new(credentials: Credentials, listeners: Listeners, environment: &dyn Environment) -> Self {
        let state = State { generation: 0, held: Held::from_credentials(credentials, environment), refreshing: None };
        Self { state: Mutex::new(state), listeners }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn pass(&self) -> Result<Pass> {
        let state = self.lock();
        Ok(match &state.held {
            Held::Anonymous => Pass::Nobody,
            Held::Pair(pair) => {
                Pass::Token { access: pair.access.clone(), generation: state.generation, times: pair.times }
            }
            Held::AccessToken(token) => Pass::AccessToken(token.clone()),
            Held::ApiKey { key, signing_secret } => {
                Pass::ApiKey { key: key.clone(), signing_secret: signing_secret.clone() }
            }
            Held::SignedOut { code } => return Err(Error::SignedOut { code: code.clone() }),
        })
    }

    pub fn credentials(&self) -> Credentials {
        match &self.lock().held {
            Held::Anonymous | Held::SignedOut { .. } => Credentials::Anonymous,
            Held::Pair(pair) => {
                Credentials::Tokens { access: pair.access.to_string(), refresh: pair.refresh.to_string() }
            }
            Held::AccessToken(token) => Credentials::AccessToken(token.to_string()),
            Held::ApiKey { key, signing_secret } => Credentials::ApiKey {
                key: key.to_string(),
                signing_secret: signing_secret.as_ref().map(ToString::to_string),
            },
        }
    }

    pub fn replace(&self, credentials: Credentials, environment: &dyn Environment) {
        self.lock().hold(Held::from_credentials(credentials, environment));
    }

    /// Takes a pair that the server has just given.
    pub fn adopt(&self, tokens: &Tokens, environment: &dyn Environment) {
        self.lock().hold(Held::fresh(tokens, environment));
        if let Some(listener) = &self.listeners.tokens {
            listener(tokens);
        }
    }

    /// Ends the session, unless another has begun since `generation`.
    pub fn sign_out(&self, generation: u64, code: &str) {
        {
            let mut state = self.lock();
            if state.generation != generation {
                return;
            }
            state.hold(Held::SignedOut { code: code.to_owned() });
        }
        if let Some(listener) = &self.listeners.signed_out {
            listener(code);
        }
    }

    /// Joins the refresh of `generation`, or begins it with `start`; at once done when somebody was faster.
    pub fn renew(&self, generation: u64, start: impl FnOnce(Renewal) -> Flight) -> Flight {
        let mut state = self.lock();
        if let Some((under_way, flight)) = &state.refreshing
            && *under_way == generation
        {
            return flight.clone();
        }
        let Held::Pair(pair) = &state.held else { return done() };
        if state.generation != generation {
            return done();
        }
        let flight = start(Renewal { generation, refresh: pair.refresh.clone(), key: pair.refresh_key.clone() });
        state.refreshing = Some((generation, flight.clone()));
        flight
    }

    /// Takes the outcome of the refresh of `generation`.
    pub fn finish(&self, generation: u64, outcome: Result<Tokens>, environment: &dyn Environment) -> Result<()> {
        {
            let mut state = self.lock();
            if state.refreshing.as_ref().is_some_and(|(under_way, _)| *under_way == generation) {
                state.refreshing = None;
            }
            if state.generation != generation {
                return Ok(());
            }
            match (&outcome, &mut state.held) {
                (Ok(tokens), _) => state.hold(Held::fresh(tokens, environment)),
                (Err(_), Held::Pair(Pair { times: Some(times), .. })) => times.renew_at = environment.now() + POSTPONED,
                (Err(_), _) => {}
            }
        }
        match outcome {
            Ok(tokens) => {
                if let Some(listener) = &self.listeners.tokens {
                    listener(&tokens);
                }
                Ok(())
            }
            Err(Error::SignedOut { code }) => {
                self.sign_out(generation, &code);
                Err(Error::SignedOut { code })
            }
            Err(error) => Err(error),
        }
    }
}

fn done() -> Flight {
    std::future::ready(Ok(())).boxed().shared()
}

impl State {
    fn hold(&mut self, held: Held) {
        self.held = held;
        self.generation += 1;
    }
}

impl Held {
    fn from_credentials(credentials: Credentials, environment: &dyn Environment) -> Self {
        match credentials {
            Credentials::Anonymous => Self::Anonymous,
            Credentials::Tokens { access, refresh } => Self::Pair(Pair {
                times: Times::claimed(&access),
                access: access.into(),
                refresh: refresh.into(),
                refresh_key: fresh_key(environment),
            }),
            Credentials::AccessToken(token) => Self::AccessToken(token.into()),
            Credentials::ApiKey { key, signing_secret } => {
                Self::ApiKey { key: key.into(), signing_secret: signing_secret.map(Into::into) }
            }
        }
    }

    fn fresh(tokens: &Tokens, environment: &dyn Environment) -> Self {
        Self::Pair(Pair {
            access: tokens.access_token.as_str().into(),
            refresh: tokens.refresh_token.as_str().into(),
            times: Some(Times::new(environment.now(), Duration::from_secs(tokens.expires_in))),
            refresh_key: fresh_key(environment),
        })
    }
}

impl Times {
    fn new(from: Timestamp, life: Duration) -> Self {
        let expires_at = from + life;
        Self { renew_at: expires_at - EARLY.min(life / 10), expires_at }
    }

    /// What a stored token says of itself. Only a hint when to renew: nobody is let in by it, so nothing is verified.
    fn claimed(access: &str) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Claims {
            exp: i64,
            iat: Option<i64>,
        }
        let payload = BASE64URL_NOPAD.decode(access.split('.').nth(1)?.as_bytes()).ok()?;
        let Claims { exp, iat } = serde_json::from_slice(&payload).ok()?;
        let expires_at = Timestamp::from_millis(exp.checked_mul(1000)?);
        let issued_at = iat.and_then(|iat| iat.checked_mul(1000)).map(Timestamp::from_millis);
        let life = issued_at.map_or(EARLY * 10, |issued_at| expires_at.since(issued_at));
        Some(Self::new(expires_at - life, life))
    }
}
