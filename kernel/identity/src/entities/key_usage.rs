//! What API keys did, by hour and route.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "key_usage")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub api_key: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub route: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub hour: i64,
    pub calls: i64,
    pub client_errors: i64,
    pub server_errors: i64,
    pub latency_sum_us: i64,
    pub latency_max_us: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl plinth_store::TenantOwned for Entity {
    fn tenant_column() -> Column {
        Column::Tenant
    }
}
