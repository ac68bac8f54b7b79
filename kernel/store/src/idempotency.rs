//! Requests under an Idempotency-Key: the first answer is kept and given again.
//!
//! A claim is committed before the work begins, with a lease. Success completes the claim in the transaction of the
//! effect, so that there is never one without the other; an error completes it in a transaction of its own. A claim
//! whose lease has run out (the process died) is taken over, and the late owner of the old lease can no longer complete
//! it, so its effect is rolled back.

use std::time::Duration;

use plinth_core::{Cause, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, sea_query::OnConflict};

use crate::{
    Error, Scope, Store, SystemTx, Work,
    entities::idempotency::{ActiveModel, Column, Entity, Model},
};

/// Longer than any request may take.
const LEASE: Duration = Duration::from_secs(90);

/// The right to do the work of a request.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    scope: [u8; 32],
    tenant: Option<TenantId>,
    lease_until: Timestamp,
}

/// An answer as it went out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names and values, as JSON.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub enum Claim {
    /// Do the work, then complete or release the ticket.
    Granted(Ticket),
    /// It was done: give this answer again.
    Done(Answer),
    /// Another request with this key is at work.
    Running,
    /// The key was used for another request.
    Mismatch,
}

/// What is claimed.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Hash over tenant, principal, method, route and key.
    pub scope: [u8; 32],
    pub tenant: Option<TenantId>,
    /// Hash over what was asked.
    pub hash: [u8; 32],
    pub keep: Duration,
}

pub async fn claim(store: &Store, request: Request, cause: &Cause) -> Result<Claim, Error> {
    // Committed whatever the answer is: on SQLite a claim may have read what others in its group have not yet on disk, and
    // an answer may not go out ahead of it.
    if let Some(tenant) = request.tenant {
        let tx = store.change(tenant, cause.clone()).await?;
        let claim = claim_in(&tx.scope(), request).await?;
        tx.commit().await?;
        Ok(claim)
    } else {
        let tx = store.change_system(cause.clone()).await?;
        let claim = claim_in(&tx, request).await?;
        tx.commit().await?;
        Ok(claim)
    }
}

#[expect(clippy::disallowed_methods, reason = "a claim is found by the hash that covers its tenant")]
async fn claim_in(work: &impl Work, request: Request) -> Result<Claim, Error> {
    let now = work.store().world().now();
    let lease_until = now + LEASE;
    let ticket = Ticket { scope: request.scope, tenant: request.tenant, lease_until };
    let Some(row) = Entity::find().filter(Column::Scope.eq(request.scope.to_vec())).one(work).await? else {
        let row = ActiveModel {
            scope: Set(request.scope.to_vec()),
            tenant: Set(request.tenant.map(plinth_core::Id::uuid)),
            request_hash: Set(request.hash.to_vec()),
            lease_until: Set(Some(lease_until.millis())),
            created_at: Set(now.millis()),
            expires_at: Set((now + request.keep).millis()),
            ..ActiveModel::default()
        };
        // Of two at the same moment the later one waits here, and finds the key taken.
        let unless_taken = OnConflict::column(Column::Scope).do_nothing().to_owned();
        let inserted = Entity::insert(row).on_conflict(unless_taken).exec_without_returning(work).await?;
        return Ok(if inserted == 1 { Claim::Granted(ticket) } else { Claim::Running });
    };
    if row.lease_until.is_some_and(|until| until > now.millis()) {
        let same = row.request_hash == request.hash;
        return Ok(if same { Claim::Running } else { Claim::Mismatch });
    }
    let expired = row.expires_at <= now.millis();
    if !expired && row.request_hash != request.hash {
        return Ok(Claim::Mismatch);
    }
    if !expired && let Some(answer) = answer_of(work, &row).await? {
        return Ok(Claim::Done(answer));
    }
    let taken = Entity::update_many()
        .col_expr(Column::RequestHash, request.hash.to_vec().into())
        .col_expr(Column::LeaseUntil, Some(lease_until.millis()).into())
        .col_expr(Column::Status, Option::<i64>::None.into())
        .col_expr(Column::Body, Option::<Vec<u8>>::None.into())
        .col_expr(Column::ExpiresAt, (now + request.keep).millis().into())
        .filter(Column::Scope.eq(request.scope.to_vec()))
        .filter(match row.lease_until {
            Some(until) => Column::LeaseUntil.eq(until),
            None => Column::LeaseUntil.is_null(),
        })
        .exec(work)
        .await?;
    Ok(if taken.rows_affected == 1 { Claim::Granted(ticket) } else { Claim::Running })
}

async fn answer_of(work: &impl Work, row: &Model) -> Result<Option<Answer>, Error> {
    let (Some(status), Some(sealed)) = (row.status, &row.body) else { return Ok(None) };
    let headers = row.headers.as_deref().unwrap_or("[]");
    let headers =
        serde_json::from_str(headers).map_err(|_| Error::Inconsistent("idempotency.headers is not JSON".into()))?;
    let body = work.store().vault().open(work, &context(&row.scope), sealed).await?;
    Ok(Some(Answer { status: status as u16, headers, body }))
}

/// Keeps the answer in the transaction of the effect. Fails when the lease was lost, and with it the effect.
#[expect(clippy::disallowed_methods, reason = "a claim is found by the hash that covers its tenant")]
pub async fn complete(work: &impl Work, ticket: Ticket, answer: &Answer) -> Result<(), Error> {
    if work.owner() != ticket.tenant {
        // Sealed with another's key, the answer could never be given again.
        return Err(Error::Inconsistent("a claim is completed by another tenant than the one that made it".into()));
    }
    let body = work.store().vault().seal(work, &context(&ticket.scope), &answer.body).await?;
    let headers = serde_json::to_string(&answer.headers).map_err(|error| Error::Inconsistent(error.to_string()))?;
    let completed = Entity::update_many()
        .col_expr(Column::Status, Some(i64::from(answer.status)).into())
        .col_expr(Column::Headers, Some(headers).into())
        .col_expr(Column::Body, Some(body).into())
        .col_expr(Column::LeaseUntil, Option::<i64>::None.into())
        .filter(Column::Scope.eq(ticket.scope.to_vec()))
        .filter(Column::LeaseUntil.eq(ticket.lease_until.millis()))
        .exec(work)
        .await?;
    if completed.rows_affected == 1 { Ok(()) } else { Err(Error::Stale) }
}

/// Keeps an answer whose work left no effect, such as an error.
pub async fn complete_alone(store: &Store, ticket: Ticket, answer: &Answer, cause: &Cause) -> Result<(), Error> {
    if let Some(tenant) = ticket.tenant {
        let tx = store.change(tenant, cause.clone()).await?;
        complete(&tx.scope(), ticket, answer).await?;
        tx.commit().await?;
    } else {
        let tx = store.change_system(cause.clone()).await?;
        complete(&tx, ticket, answer).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Gives the key back: the work was refused before it began, and may be tried again at once.
pub async fn release(store: &Store, ticket: Ticket, cause: &Cause) -> Result<(), Error> {
    let tx = store.change_system(cause.clone()).await?;
    tx.delete::<Entity>()
        .filter(Column::Scope.eq(ticket.scope.to_vec()))
        .filter(Column::LeaseUntil.eq(ticket.lease_until.millis()))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Forgets answers that need not be kept any longer; says how many.
pub async fn clean_up(tx: &SystemTx) -> Result<u64, Error> {
    let now = tx.now().millis();
    let idle = Condition::any().add(Column::LeaseUntil.is_null()).add(Column::LeaseUntil.lte(now));
    let old = Condition::all().add(Column::ExpiresAt.lte(now)).add(idle);
    Ok(tx.delete::<Entity>().filter(old).exec(tx).await?.rows_affected)
}

/// The claim is completed by the tenant's transaction or the platform's; a scope of another tenant could not.
pub fn belongs_to(ticket: Ticket, scope: Scope<'_>) -> bool {
    ticket.tenant == Some(scope.tenant())
}

impl Ticket {
    pub fn tenant(self) -> Option<TenantId> {
        self.tenant
    }
}

fn context(scope: &[u8]) -> String {
    format!("idempotency.body {}", data_encoding::HEXLOWER.encode(scope))
}
