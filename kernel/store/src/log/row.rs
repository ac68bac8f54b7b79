//! An event on its way into the table, and its place in the chain.

use plinth_core::{Cause, EventId, NewEvent, TenantId, Timestamp, World};
use ring::digest;
use serde_json::value::RawValue;
use std::{
    hash::{Hash as _, Hasher},
    sync::Arc,
};
use uuid::Uuid;

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub id: EventId,
    pub tenant: TenantId,
    pub subject: String,
    pub expected_version: Option<u64>,
    pub kind: &'static str,
    pub time: Timestamp,
    pub actor: String,
    pub impersonator: Option<Uuid>,
    pub correlation: Option<Arc<str>>,
    pub origin: Option<Arc<str>>,
    pub data: Box<RawValue>,
}

/// What the next event of a tenant is chained to.
pub(crate) type Hash = [u8; 32];

impl Row {
    pub fn new(world: &World, tenant: TenantId, cause: &Cause, event: NewEvent) -> Self {
        Self {
            id: world.mint(),
            tenant,
            subject: event.subject,
            expected_version: event.expected_version,
            kind: event.kind,
            time: world.now(),
            actor: cause.actor.to_string(),
            impersonator: cause.impersonator.map(plinth_core::Id::uuid),
            correlation: Some(cause.correlation.clone()),
            origin: cause.origin.clone(),
            data: event.data,
        }
    }

    /// A number for the subject, for locks. Two subjects may share one: that costs a wait and nothing else.
    pub fn subject_key(&self) -> i64 {
        let mut hasher = rustc_hash::FxHasher::default();
        self.tenant.hash(&mut hasher);
        self.subject.hash(&mut hasher);
        hasher.finish() as i64
    }

    /// Each field is preceded by its length, so that no two rows spell the same bytes.
    pub fn hash(&self, version: u64, previous: Option<&[u8; 32]>) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut field = |bytes: &[u8]| {
            context.update(&(bytes.len() as u32).to_be_bytes());
            context.update(bytes);
        };
        field(previous.map_or(&[][..], |hash| hash));
        field(self.id.uuid().as_bytes());
        field(self.tenant.uuid().as_bytes());
        field(self.subject.as_bytes());
        field(&version.to_be_bytes());
        field(self.kind.as_bytes());
        field(&self.time.millis().to_be_bytes());
        field(self.actor.as_bytes());
        field(self.impersonator.as_ref().map_or(&[][..], |id| id.as_bytes()));
        field(self.correlation.as_deref().unwrap_or_default().as_bytes());
        field(self.origin.as_deref().unwrap_or_default().as_bytes());
        field(self.data.get().as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }
}
