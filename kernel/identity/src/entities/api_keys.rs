//! API keys, as hashes.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant: Uuid,
    pub user_id: Option<Uuid>,
    pub service_account: Option<Uuid>,
    pub name: String,
    pub prefix: String,
    pub hash: Vec<u8>,
    pub previous_hash: Option<Vec<u8>>,
    pub previous_expires_at: Option<i64>,
    pub scopes: String,
    pub signing_secret: Option<Vec<u8>>,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub last_used_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl plinth_store::TenantOwned for Entity {
    fn tenant_column() -> Column {
        Column::Tenant
    }
}
