//! What the parts of this room share.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use plinth_core::{Cause, Fault, PermissionInfo, World};
use plinth_gateway::Edge;
use plinth_store::{Invalidation, Store};

use crate::{
    IdentityConfig,
    jwt::SigningKeys,
    oidc::{Oidc, harden},
    password::{PasswordError, PasswordHasher},
    permissions::ASKED_INSIDE,
    sessions::{PrincipalCache, signing},
};

/// The room, as handlers hold it.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    config: IdentityConfig,
    store: Store,
    hasher: PasswordHasher,
    signing: RwLock<Arc<SigningKeys>>,
    oidc: Oidc,
    principals: PrincipalCache,
    vocabulary: OnceLock<Vec<PermissionInfo>>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the cost of password hashing cannot be used (identity.argon2_memory_kib, identity.argon2_iterations)")]
    Password(#[from] PasswordError),
    #[error("the keys that sign access tokens cannot be loaded")]
    Signing(#[from] signing::SigningError),
    #[error("the client for identity providers cannot be built")]
    Http(#[from] reqwest::Error),
}

impl Identity {
    pub async fn start(store: Store, config: IdentityConfig) -> Result<Self, StartError> {
        let hasher = PasswordHasher::new(config.argon2_memory_kib, config.argon2_iterations, config.hash_threads)?;
        let signing = signing::load(&store, &config).await?;
        let oidc = Oidc::new(harden(reqwest::Client::builder()).build()?);
        let principals = PrincipalCache::new();
        let inner = Inner {
            config,
            store: store.clone(),
            hasher,
            signing: RwLock::new(Arc::new(signing)),
            oidc,
            principals,
            vocabulary: OnceLock::new(),
        };
        let identity = Self { inner: Arc::new(inner) };
        let heard = Arc::downgrade(&identity.inner);
        store.on_invalidation(move |invalidation| {
            let Some(inner) = heard.upgrade() else { return };
            inner.principals.forget(invalidation);
            if matches!(invalidation, Invalidation::SigningKeys | Invalidation::Everything) {
                tokio::spawn(Self { inner }.reload_signing_keys());
            }
        });
        Ok(identity)
    }

    pub fn config(&self) -> &IdentityConfig {
        &self.inner.config
    }

    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub fn world(&self) -> &World {
        self.inner.store.world()
    }

    pub(crate) fn hasher(&self) -> &PasswordHasher {
        &self.inner.hasher
    }

    pub(crate) fn oidc(&self) -> &Oidc {
        &self.inner.oidc
    }

    pub(crate) fn principals(&self) -> &PrincipalCache {
        &self.inner.principals
    }

    pub(crate) fn signing(&self) -> Arc<SigningKeys> {
        self.inner.signing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every permission of the platform, once everything is mounted.
    pub fn learn_vocabulary(&self, words: &[PermissionInfo]) {
        let mut all = words.to_vec();
        all.extend_from_slice(ASKED_INSIDE);
        all.sort_unstable();
        all.dedup();
        self.inner.vocabulary.set(all).ok();
    }

    pub(crate) fn vocabulary(&self) -> &[PermissionInfo] {
        self.inner.vocabulary.get().map_or(&[], Vec::as_slice)
    }

    /// Writes down what API keys did; `all` includes the minute that has not ended.
    pub async fn flush_usage(&self, edge: &Edge, all: bool) -> Result<u64, Fault> {
        crate::access::usage::flush(self, edge, all).await
    }

    /// Erases every tenant whose grace has ended.
    pub async fn erase_due_tenants(&self) -> Result<u64, Fault> {
        crate::tenancy::erasure::erase_due(self).await
    }

    async fn reload_signing_keys(self) {
        match signing::load(&self.inner.store, &self.inner.config).await {
            Ok(keys) => *self.inner.signing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys),
            Err(error) => tracing::error!(%error, "signing keys could not be read again; the ones in use stay"),
        }
    }

    /// Makes the next signing key when it is time for it, and drops what can verify nothing any more. Cheap to call often.
    pub async fn rotate_signing_keys(&self) -> Result<bool, StartError> {
        let rotated =
            signing::rotate_if_due(&self.inner.store, &self.inner.config, &Cause::system("signing-keys")).await?;
        if rotated {
            self.clone().reload_signing_keys().await;
        }
        Ok(rotated)
    }
}
