//! The identities at providers that sign a person in, as the person sees them.

use plinth_core::{
    Fault, IdentityId, NewEvent, SYSTEM_TENANT, Timestamp, UserId, api::auth::LinkedIdentity, ports::Mail,
};
use plinth_gateway::{Stale, refuses};
use plinth_store::{Error as StoreError, SystemTx, mail};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::json;

use crate::{
    Identity,
    entities::{
        linked_identities::{Column, Entity, Model},
        users,
    },
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no identity with this id is linked to your account")]
    NotFound,
    #[error("this is the only way left to sign in to your account; set a password or link another identity first")]
    LastWay,
    #[error("a service account has no identities")]
    NoPerson,
    #[error("who acts as somebody else cannot change how that person signs in")]
    Impersonated,
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotFound => NotFound "not_found",
    Self::LastWay => Conflict "last_way_to_sign_in",
    Self::NoPerson => Forbidden "person_needed",
    Self::Impersonated => Forbidden "impersonated",
    Self::Stale(_) => PreconditionFailed "stale",
});

pub fn view(row: &Model) -> LinkedIdentity {
    LinkedIdentity {
        id: IdentityId::from_uuid(row.id),
        provider: row.provider.clone(),
        issuer: row.issuer.clone(),
        subject: row.subject.clone(),
        email: row.email.clone(),
        created_at: Timestamp::from_millis(row.created_at),
    }
}

pub async fn of(tx: &SystemTx, user: UserId) -> Result<Vec<Model>, StoreError> {
    let mine = tx.find::<Entity>().filter(Column::UserId.eq(user.uuid()));
    Ok(mine.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id).all(tx).await?)
}

/// Removes a link unless it is the last way in. `unchanged` is asked about the link as it stands.
pub async fn unlink(
    identity: &Identity,
    tx: &SystemTx,
    user: UserId,
    id: IdentityId,
    unchanged: impl FnOnce(&LinkedIdentity) -> Result<(), Stale>,
) -> Result<(), Error> {
    // Locked, so that two removals at the same moment do not each take the other's link for the one that stays.
    let owner = tx.find::<users::Entity>().filter(users::Column::Id.eq(user.uuid())).lock_exclusive().one(tx).await;
    let owner = owner.map_err(StoreError::from)?.ok_or(Error::NotFound)?;
    let all = of(tx, user).await?;
    let row = all.iter().find(|row| row.id == id.uuid()).ok_or(Error::NotFound)?;
    unchanged(&view(row))?;
    // A provider that is no longer configured signs nobody in.
    let providers = &identity.config().providers;
    let another = all.iter().any(|other| other.id != row.id && providers.contains_key(&other.provider));
    if owner.password.is_none() && !another {
        return Err(Error::LastWay);
    }
    tx.delete::<Entity>().filter(Column::Id.eq(row.id)).exec(tx).await.map_err(StoreError::from)?;
    let told = json!({ "user": user, "identity": id, "provider": row.provider });
    tx.in_tenant(SYSTEM_TENANT).emit(NewEvent::new("identity.unlinked", format!("user/{user}"), &told));
    let name = providers.get(&row.provider).map_or(row.provider.as_str(), |provider| provider.display_name.as_str());
    let mail = Mail {
        tenant: None,
        to: owner.email,
        subject: format!("{name} no longer signs you in"),
        text: format!(
            "Your account is no longer linked to your account at {name}.\n\n\
             If it was not you, somebody else can use your account: change your password and end all sessions.\n"
        ),
        purpose: "identity_unlinked",
        token: None,
    };
    mail::queue(tx, mail).await?;
    Ok(())
}
