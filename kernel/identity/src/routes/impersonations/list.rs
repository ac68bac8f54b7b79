//! GET impersonations: who acted as whom, when and why.

use std::str::FromStr;

use plinth_core::{FieldError, Id, SessionId, TenantId, Timestamp, UserId, api::auth::Impersonation};
use plinth_gateway::{Asked, Caller, Endpoint, ListSpec, Listing, Paged, endpoint::get};
use plinth_store::{Error as StoreError, Keyset, Slice, SystemTx, list};
use sea_orm::{ColumnTrait, Condition, QueryFilter};

use crate::{
    Identity,
    access::impersonation::{self, Error},
    entities::sessions::{Column, Entity},
    permissions::ReadImpersonations,
};

struct Impersonations;

impl ListSpec for Impersonations {
    const SORTS: &'static [&'static str] = &["created_at"];
    const DESCENDING: bool = true;
    const FILTERS: &'static [&'static str] = &["operator", "user", "tenant", "active"];
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/impersonations", handler)
        .summary("List who acted as whom")
        .description("`active=true` shows those that are under way, `active=false` those that are over.")
}

async fn handler(
    caller: Caller<ReadImpersonations>,
    listing: Listing<Impersonations>,
) -> Result<Paged<Impersonation>, Error> {
    let asked = listing.0;
    let tx = caller.read_system().await?;
    let wanted = wanted(&asked, tx.now()).map_err(Error::Invalid)?;
    let slice = page(&tx, &asked, wanted).await?;
    Ok(Paged::new(slice, &asked, None))
}

async fn page(tx: &SystemTx, asked: &Asked, wanted: Condition) -> Result<Slice<Impersonation>, StoreError> {
    let select = tx
        .find::<Entity>()
        .filter(Column::Impersonator.is_not_null())
        .filter(Column::Tenant.is_not_null())
        .filter(wanted);
    let order = Keyset { by: Column::CreatedAt, id: Column::Id, direction: asked.direction };
    let Slice { rows, has_more, next, prev } = list(tx, select, order, &asked.start, asked.limit).await?;
    Ok(Slice { rows: rows.iter().filter_map(impersonation::view).collect(), has_more, next, prev })
}

/// Every mistake in the filters at once, or what they come to.
fn wanted(asked: &Asked, now: Timestamp) -> Result<Condition, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut all = Condition::all();
    if let Some(ids) = &asked.ids {
        // One that cannot be read is one that no row has.
        let ids = ids.iter().filter_map(|id| id.parse::<SessionId>().ok());
        all = all.add(Column::Id.is_in(ids.map(Id::uuid)));
    }
    all = all.add_option(value::<UserId>(asked, "operator", &mut errors).map(|id| Column::Impersonator.eq(id.uuid())));
    all = all.add_option(value::<UserId>(asked, "user", &mut errors).map(|id| Column::UserId.eq(id.uuid())));
    all = all.add_option(value::<TenantId>(asked, "tenant", &mut errors).map(|id| Column::Tenant.eq(id.uuid())));
    all = all.add_option(value::<bool>(asked, "active", &mut errors).map(|active| {
        let open = Condition::all().add(Column::RevokedAt.is_null()).add(Column::ExpiresAt.gt(now.millis()));
        if active { open } else { open.not() }
    }));
    if errors.is_empty() { Ok(all) } else { Err(errors) }
}

fn value<T: FromStr<Err: std::fmt::Display>>(asked: &Asked, name: &str, errors: &mut Vec<FieldError>) -> Option<T> {
    match asked.filter(name)?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            errors.push(FieldError::new(name, "invalid_value", error.to_string()));
            None
        }
    }
}
