//! Sign-in with a password. A wrong password, a locked account and no account take as long and are answered alike.

use plinth_core::{
    Fault, NewEvent, SYSTEM_TENANT, TenantId, UserId,
    api::auth::{Login, SignedIn},
};
use plinth_gateway::refuses;
use plinth_store::{Error as StoreError, SystemTx};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, sea_query::Expr};
use serde_json::json;

use crate::{
    Identity,
    accounts::passwords::attempts,
    entities::{memberships, recovery_codes, tenants, users},
    fields::email_key,
    sessions::{self, Device},
    totp, view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the address or the password is wrong")]
    InvalidCredentials,
    #[error("send the code of the authenticator app, or a recovery code, in totp")]
    MfaRequired,
    #[error("you do not belong to a tenant with this slug")]
    NoSuchTenant,
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::InvalidCredentials => Unauthenticated "invalid_credentials",
    Self::MfaRequired => Unauthenticated "mfa_required",
    Self::NoSuchTenant => Forbidden "no_such_tenant",
});

/// What the slow part found, outside of any transaction.
pub struct Attempt {
    request: Login,
    user: Option<users::Model>,
    matches: bool,
    /// A hash by today's parameters, when the stored one is old.
    rehash: Option<String>,
}

pub async fn attempt(identity: &Identity, tx: SystemTx, request: Login) -> Result<Attempt, Error> {
    let key = email_key(&request.email);
    let user =
        tx.find::<users::Entity>().filter(users::Column::EmailKey.eq(key)).one(&tx).await.map_err(StoreError::from)?;
    drop(tx);
    let hasher = identity.hasher();
    let hash_failed = |error| Fault::internal("a password could not be compared").because(error);
    let stored = user.as_ref().and_then(|user| user.password.as_deref());
    let verdict = hasher.verify(stored, request.password.clone()).await.map_err(hash_failed)?;
    let rehash = if verdict.matches && verdict.needs_rehash {
        Some(hasher.hash(identity.world().random(), request.password.clone()).await.map_err(hash_failed)?)
    } else {
        None
    };
    Ok(Attempt { request, user, matches: verdict.matches, rehash })
}

/// What an attempt comes to. A failure changes something too: it is counted, so it must be committed.
pub enum Outcome {
    SignedIn(SignedIn),
    Refused(Error),
}

pub async fn login(identity: &Identity, tx: &SystemTx, attempt: Attempt, device: Device) -> Result<Outcome, Error> {
    let Some(known) = attempt.user else { return Ok(Outcome::Refused(Error::InvalidCredentials)) };
    // Counted and read again: other attempts may have come while this one was hashing.
    let counted = attempts::begin(tx, UserId::from_uuid(known.id)).await?;
    let Some(user) = counted else { return Ok(Outcome::Refused(Error::InvalidCredentials)) };
    let unchanged = user.password == known.password;
    if !attempt.matches || !unchanged {
        attempts::fail(identity, tx, &user).await?;
        return Ok(Outcome::Refused(Error::InvalidCredentials));
    }
    let mut methods = vec!["password"];
    if user.totp_confirmed_at.is_some() {
        let Some(code) = attempt.request.totp.as_deref() else {
            // Half of the proof was right: this was no wrong attempt.
            attempts::take_back(tx, &user).await?;
            return Ok(Outcome::Refused(Error::MfaRequired));
        };
        if !second_factor(tx, &user, code).await? {
            attempts::fail(identity, tx, &user).await?;
            return Ok(Outcome::Refused(Error::InvalidCredentials));
        }
        methods.push("totp");
    }
    let id = UserId::from_uuid(user.id);
    attempts::forgive(tx, id).await?;
    if let Some(hash) = attempt.rehash {
        keep_hash(tx, id, hash).await?;
    }
    let tenant = choose_tenant(tx, id, attempt.request.tenant.as_deref()).await?;
    let home = tenant.as_ref().map(|tenant| TenantId::from_uuid(tenant.id));
    let opened = sessions::open(identity, tx, id, home, &methods, device).await?;
    let told = json!({ "user": id, "session": opened.session, "methods": methods });
    tx.in_tenant(home.unwrap_or(SYSTEM_TENANT)).emit(NewEvent::new("user.signed_in", format!("user/{id}"), &told));
    let tenant = tenant.as_ref().map(view::tenant).transpose()?;
    Ok(Outcome::SignedIn(SignedIn { user: view::user(&user), tenant, tokens: opened.tokens }))
}

/// The tenant with this slug, or the first one that the person joined.
pub async fn choose_tenant(tx: &SystemTx, user: UserId, slug: Option<&str>) -> Result<Option<tenants::Model>, Error> {
    let mine = tx
        .find::<memberships::Entity>()
        .filter(memberships::Column::UserId.eq(user.uuid()))
        .order_by_asc(memberships::Column::JoinedAt)
        .all(tx)
        .await
        .map_err(StoreError::from)?;
    let ids: Vec<_> = mine.iter().map(|membership| membership.tenant).collect();
    let tenants = tx
        .find::<tenants::Entity>()
        .filter(tenants::Column::Id.is_in(ids.clone()))
        .all(tx)
        .await
        .map_err(StoreError::from)?;
    match slug {
        Some(slug) => tenants.into_iter().find(|tenant| tenant.slug == slug).map(Some).ok_or(Error::NoSuchTenant),
        None => {
            let joined =
                |state: &str| ids.iter().find_map(|id| tenants.iter().find(|row| row.id == *id && row.state == state));
            // One where the person can work, if there is one; else one that says why not.
            Ok(["active", "pending_deletion", "suspended"].into_iter().find_map(joined).cloned())
        }
    }
}

/// A code of the app, or one of the recovery codes, which is used up by it.
pub async fn second_factor(tx: &SystemTx, user: &users::Model, code: &str) -> Result<bool, Error> {
    let id = UserId::from_uuid(user.id);
    let Some(sealed) = &user.totp_secret else { return Ok(false) };
    let secret = tx.store().vault().open(tx, &totp_context(id), sealed).await?;
    if let Ok(step) = totp::verify(&secret, code, tx.now().seconds(), Some(user.totp_last_step)) {
        let kept = tx
            .update::<users::Entity>()
            .col_expr(users::Column::TotpLastStep, Expr::value(step))
            .filter(users::Column::Id.eq(user.id))
            .filter(users::Column::TotpLastStep.lt(step))
            .exec(tx)
            .await
            .map_err(StoreError::from)?;
        return Ok(kept.rows_affected == 1);
    }
    use_recovery_code(tx, user, code).await
}

async fn use_recovery_code(tx: &SystemTx, user: &users::Model, code: &str) -> Result<bool, Error> {
    use recovery_codes::{Column, Entity};
    let left = tx
        .find::<Entity>()
        .filter(Column::UserId.eq(user.id))
        .filter(Column::UsedAt.is_null())
        .all(tx)
        .await
        .map_err(StoreError::from)?;
    let hashes: Vec<_> = left.iter().filter_map(|row| totp::RecoveryHash::try_from(row.hash.as_slice()).ok()).collect();
    let Some(index) = totp::find_recovery_code(&hashes, code) else { return Ok(false) };
    let used = tx
        .update::<Entity>()
        .col_expr(Column::UsedAt, Expr::value(Some(tx.now().millis())))
        .filter(Column::UserId.eq(user.id))
        .filter(Column::Hash.eq(hashes[index].to_vec()))
        .filter(Column::UsedAt.is_null())
        .exec(tx)
        .await
        .map_err(StoreError::from)?;
    Ok(used.rows_affected == 1)
}

/// Where the secret of a person's authenticator app is at home.
pub fn totp_context(user: UserId) -> String {
    format!("users.totp_secret {user}")
}

async fn keep_hash(tx: &SystemTx, user: UserId, hash: String) -> Result<(), StoreError> {
    tx.update::<users::Entity>()
        .col_expr(users::Column::Password, Expr::value(Some(hash)))
        .filter(users::Column::Id.eq(user.uuid()))
        .exec(tx)
        .await?;
    Ok(())
}
