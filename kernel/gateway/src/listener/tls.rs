//! TLS 1.3 with a certificate that can be replaced while connections are open.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use ring::digest::{Context, SHA256};
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::TLS13,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_rustls::TlsAcceptor;

use super::{Error, TlsFiles};

/// The certificate in use and the files it came from.
pub(super) struct Certificates {
    files: TlsFiles,
    current: RwLock<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// Of the last content that was looked at, used or refused, so that a broken file is reported once and not at
    /// every look.
    seen: Vec<u8>,
}

struct Content {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Certificates {
    pub async fn load(files: TlsFiles) -> Result<Self, Error> {
        let content = Content::read(&files).await?;
        let config = content.parse(&files)?;
        let current = RwLock::new(Current { config, seen: content.fingerprint() });
        Ok(Self { files, current })
    }

    /// For one new connection, with the certificate as of now.
    pub fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.config).into()
    }

    /// Looks at the files for ever.
    pub async fn watch(&self) {
        let every = self.files.reload_every;
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.refresh().await {
                Ok(false) => {}
                Ok(true) => tracing::info!(path = %self.files.cert.display(), "using the new certificate"),
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the new certificate cannot be used, the one in use stays: repair the files"
                ),
            }
        }
    }

    /// Uses the files if they hold something new. Says whether they did; what is broken changes nothing and is an
    /// error once.
    pub async fn refresh(&self) -> Result<bool, Error> {
        let read = Content::read(&self.files).await;
        let fingerprint = match &read {
            Ok(content) => content.fingerprint(),
            Err(error) => error.to_string().into_bytes(),
        };
        if self.current.read().unwrap_or_else(PoisonError::into_inner).seen == fingerprint {
            return Ok(false);
        }
        let parsed = read.and_then(|content| content.parse(&self.files));
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.seen = fingerprint;
        current.config = parsed?;
        Ok(true)
    }
}

impl Content {
    async fn read(files: &TlsFiles) -> Result<Self, Error> {
        Ok(Self { cert: read(&files.cert).await?, key: read(&files.key).await? })
    }

    fn fingerprint(&self) -> Vec<u8> {
        let mut context = Context::new(&SHA256);
        // The length keeps a byte that moves from one file to the other from going unseen.
        context.update(&self.cert.len().to_le_bytes());
        context.update(&self.cert);
        context.update(&self.key);
        context.finish().as_ref().to_vec()
    }

    fn parse(&self, files: &TlsFiles) -> Result<Arc<ServerConfig>, Error> {
        let chain = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| Error::Pem { path: files.cert.clone(), wanted: "a certificate" })?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| Error::Pem { path: files.key.clone(), wanted: "a private key" })?;
        let unusable = |source| Error::Certificate { cert: files.cert.clone(), key: files.key.clone(), source };
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            // Named here because another crate of the build may have compiled 1.2 in.
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, Error> {
    tokio::fs::read(path).await.map_err(|source| Error::Read { path: path.to_owned(), source })
}
