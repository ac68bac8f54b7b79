//! People, as those see them who share a tenant with them.

mod list;
mod show;

use plinth_core::{Fault, SYSTEM_TENANT, TenantId};
use plinth_gateway::{Caller, Endpoint, refuses};
use plinth_store::SystemTx;
use sea_orm::{ColumnTrait, QueryFilter, Select, sea_query::Query};

use crate::{
    Identity,
    entities::{memberships, users},
    permissions::{ListTenants, ReadMembers},
};

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![list::endpoint(), show::endpoint()]
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("there is nobody with this id, or nobody that you may see")]
    NotFound,
    #[error("all users of the platform are shown to operators with tenants:read, in the system tenant")]
    OperatorsOnly,
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<plinth_core::FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotFound => NotFound "not_found",
    Self::OperatorsOnly => Forbidden "permission_missing",
} with fields);

/// People belong to no tenant, so the tenant is named here: those with a membership in it.
fn members_of(tx: &SystemTx, tenant: TenantId) -> Select<users::Entity> {
    let members = Query::select()
        .column(memberships::Column::UserId)
        .from(memberships::Entity)
        .and_where(memberships::Column::Tenant.eq(tenant.uuid()))
        .to_owned();
    tx.find::<users::Entity>().filter(users::Column::Id.in_subquery(members))
}

/// May see everybody: an operator at home.
fn sees_everybody(caller: &Caller<ReadMembers>) -> bool {
    caller.tenant() == SYSTEM_TENANT && caller.principal().may::<ListTenants>()
}
