//! How a client is set up.

use std::{sync::Arc, time::Duration};

use plinth_api::auth::Tokens;
use rustls::crypto::{CryptoProvider, ring};
use url::Url;

use crate::{
    Client, Credentials, Error, Result,
    client::Core,
    environment::{Environment, SystemEnvironment},
    retry::BackOff,
    session::{Listeners, Session},
};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);

#[must_use = "a builder does nothing until `build`"]
pub struct ClientBuilder {
    base_url: String,
    credentials: Credentials,
    listeners: Listeners,
    user_agent: String,
    root_certificates: Vec<Vec<u8>>,
    environment: Arc<dyn Environment>,
    settings: Settings,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub timeout: Duration,
    pub retries: u32,
    pub back_off: BackOff,
    pub max_body: usize,
    pub max_event: usize,
    pub heartbeat_timeout: Duration,
    pub idempotency_keys: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            retries: 3,
            back_off: BackOff::default(),
            max_body: 16 << 20,
            max_event: 1 << 20,
            heartbeat_timeout: Duration::from_secs(30),
            idempotency_keys: true,
        }
    }
}

impl ClientBuilder {
    pub(crate) fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            credentials: Credentials::Anonymous,
            listeners: Listeners::default(),
            user_agent: concat!("plinth-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            root_certificates: Vec::new(),
            environment: Arc::new(SystemEnvironment::new()),
            settings: Settings::default(),
        }
    }

    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// How long one attempt may take, its body included; 30 seconds if not set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How often a call that failed in passing is repeated; 3 if not set.
    pub fn retries(mut self, retries: u32) -> Self {
        self.settings.retries = retries;
        self
    }

    /// The ceiling of the first wait between attempts and of every wait; 200 ms and 20 s if not set.
    pub fn back_off(mut self, base: Duration, cap: Duration) -> Self {
        self.settings.back_off.base = base;
        self.settings.back_off.cap = cap;
        self
    }

    /// A server that asks to stay away for longer than this is not waited for; one minute if not set.
    pub fn patience(mut self, longest: Duration) -> Self {
        self.settings.back_off.patience = longest;
        self
    }

    /// An answer with more bytes is refused; 16 MiB if not set.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// A stream with a larger event is ended; 1 MiB if not set.
    pub fn max_event(mut self, bytes: usize) -> Self {
        self.settings.max_event = bytes;
        self
    }

    /// A stream that is silent for longer is opened again; 30 seconds if not set.
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.settings.heartbeat_timeout = timeout;
        self
    }

    /// Whether POST, PATCH and DELETE get an Idempotency-Key by themselves. Without one they are never repeated.
    pub fn idempotency_keys(mut self, automatic: bool) -> Self {
        self.settings.idempotency_keys = automatic;
        self
    }

    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Trusts the authorities in this PEM text besides those of the system.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Called with every pair that the session gets, so that it can be stored; the pair before is dead by then.
    pub fn on_tokens(mut self, listener: impl Fn(&Tokens) + Send + Sync + 'static) -> Self {
        self.listeners.tokens = Some(Arc::new(listener));
        self
    }

    /// Called with the code when the session has ended on the server, so that a stored pair can be thrown away.
    pub fn on_signed_out(mut self, listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.listeners.signed_out = Some(Arc::new(listener));
        self
    }

    /// Other time, waiting and randomness than the host's.
    pub fn environment(mut self, environment: Arc<dyn Environment>) -> Self {
        self.environment = environment;
        self
    }

    pub fn build(self) -> Result<Client> {
        let base = base_url(&self.base_url)?;
        let http = reqwest::Client::builder()
            .user_agent(self.user_agent)
            .connect_timeout(CONNECT_WITHIN.min(self.settings.timeout))
            // The API does not redirect; following one would carry the token to another server.
            .redirect(reqwest::redirect::Policy::none());
        let http = tls(http, base.scheme(), &self.root_certificates)?;
        let http = http.build().map_err(|error| setup("the HTTP client refuses these settings", Some(error)))?;
        let session = Session::new(self.credentials, self.listeners, &*self.environment);
        let core = Core { http, base, settings: self.settings, environment: self.environment };
        Ok(Client::assemble(core, session))
    }
}

fn base_url(text: &str) -> Result<Url> {
    let mut base = Url::parse(text).map_err(|error| setup("the base URL cannot be read", Some(error)))?;
    if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
        return Err(setup("the base URL must be like https://plinth.example.com", None::<Error>));
    }
    if base.query().is_some() || base.fragment().is_some() || !base.username().is_empty() || base.password().is_some() {
        return Err(setup("the base URL must have no user, query or fragment", None::<Error>));
    }
    let path = base.path().trim_end_matches('/').to_owned();
    base.set_path(&path);
    Ok(base)
}

fn tls(http: reqwest::ClientBuilder, scheme: &str, roots: &[Vec<u8>]) -> Result<reqwest::ClientBuilder> {
    if scheme == "http" {
        // No TLS is spoken, so the system's authorities, which a bare container may lack, are not asked for.
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| setup("TLS cannot be set up", Some(error)))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        return Ok(http.tls_backend_preconfigured(config));
    }
    if CryptoProvider::get_default().is_none() {
        // Losing a race is as good as winning it: a provider is installed either way.
        drop(ring::default_provider().install_default());
    }
    let mut authorities = Vec::new();
    for pem in roots {
        let bundle = reqwest::Certificate::from_pem_bundle(pem);
        authorities.extend(bundle.map_err(|error| setup("a root certificate is not PEM", Some(error)))?);
    }
    Ok(if authorities.is_empty() { http } else { http.tls_certs_merge(authorities) })
}

fn setup<E: std::error::Error + Send + Sync + 'static>(reason: &str, source: Option<E>) -> Error {
    Error::Setup { reason: reason.to_owned(), source: source.map(|source| Arc::new(source) as _) }
}
