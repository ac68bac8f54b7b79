//! The client itself: what all its calls share.

use std::sync::Arc;

use futures::FutureExt;
use http::{HeaderMap, Method};
use plinth_api::auth::{Refresh, Tokens};
use url::Url;

use crate::{
    ClientBuilder, Credentials, Error, RequestBuilder, Result,
    builder::Settings,
    environment::Environment,
    request::Untyped,
    session::{Flight, Listeners, Pass, Renewal, Session},
};

/// A connection pool and a session. Clones share both; they are cheap.
#[derive(Clone)]
pub struct Client {
    pub(crate) core: Arc<Core>,
    pub(crate) session: Arc<Session>,
}

pub(crate) struct Core {
    pub http: reqwest::Client,
    pub base: Url,
    pub settings: Settings,
    pub environment: Arc<dyn Environment>,
}

impl Client {
    /// `base_url` is where the kernel answers, without `/api/v1`.
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(base_url)
    }

    pub(crate) fn assemble(core: Core, session: Session) -> Self {
        Self { core: Arc::new(core), session: Arc::new(session) }
    }

    pub fn base_url(&self) -> &Url {
        &self.core.base
    }

    /// Any call. A path that starts with `/` stands as it is; another one is below `/api/v1/`.
    pub fn request(&self, method: Method, path: impl AsRef<str>) -> RequestBuilder<Untyped> {
        RequestBuilder::new(self.clone(), method, path.as_ref())
    }

    /// A client with the same connections and settings that speaks as somebody else. It has no listeners.
    #[must_use]
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        let session = Session::new(credentials, Listeners::default(), &*self.core.environment);
        Self { core: self.core.clone(), session: Arc::new(session) }
    }

    /// What the client and its clones speak as now; anonymous after the session has ended.
    pub fn credentials(&self) -> Credentials {
        self.session.credentials()
    }

    /// From now on this client and its clones speak as somebody else.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.session.replace(credentials, &*self.core.environment);
    }

    /// Takes the pair of a sign-in: from now on this client and its clones speak as that person.
    pub fn adopt(&self, tokens: &Tokens) {
        self.session.adopt(tokens, &*self.core.environment);
    }

    /// Renews the pair now, or waits for the refresh that is under way. Does nothing without a pair.
    pub async fn refresh(&self) -> Result<()> {
        match self.session.pass()?.renewable() {
            Some(generation) => self.renew(generation).await,
            None => Ok(()),
        }
    }

    /// Who to speak as, with a token that is not about to expire.
    pub(crate) async fn pass(&self) -> Result<Pass> {
        let pass = self.session.pass()?;
        let (Some(generation), true) = (pass.renewable(), pass.is_due(self.core.environment.now())) else {
            return Ok(pass);
        };
        match self.renew(generation).await {
            Ok(()) => self.session.pass(),
            Err(error) if error.is_passing() && !pass.has_expired(self.core.environment.now()) => {
                tracing::warn!(%error, "the early token refresh failed; the old token is used while it lasts");
                Ok(pass)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn renew(&self, generation: u64) -> Flight {
        self.session.renew(generation, |renewal| {
            let server = self.core.server();
            let task = tokio::spawn(self.clone().run_refresh(renewal));
            let outcome = task.map(|joined| match joined {
                Ok(outcome) => outcome,
                // A listener panicked, or the runtime is going down.
                Err(error) => Err(Error::Transport { server, source: Arc::new(error) }),
            });
            outcome.boxed().shared()
        })
    }

    async fn run_refresh(self, renewal: Renewal) -> Result<()> {
        let request = Refresh { refresh_token: Some(renewal.refresh.to_string()) };
        let call = self.request(Method::POST, "auth/refresh").anonymous().idempotency_key(&renewal.key).body(&request);
        let outcome = match call.send::<Tokens>().await {
            Ok(reply) => Ok(reply.body),
            Err(Error::Problem(problem, meta)) if meta.status == http::StatusCode::UNAUTHORIZED => {
                Err(Error::SignedOut { code: problem.code })
            }
            Err(error) => Err(error),
        };
        self.session.finish(renewal.generation, outcome, &*self.core.environment)
    }
}

impl Core {
    /// The server's name for messages.
    pub fn server(&self) -> String {
        self.base[..url::Position::BeforePath].to_owned()
    }

    pub fn meta(&self, status: http::StatusCode, headers: &HeaderMap) -> crate::Meta {
        crate::Meta::read(status, headers, self.environment.now())
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base_url", &self.core.base.as_str()).finish_non_exhaustive()
    }
}
