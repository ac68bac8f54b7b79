//! People. They belong to no tenant; memberships place them in tenants.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub email: String,
    pub email_key: String,
    pub name: String,
    pub locale: Option<String>,
    pub password: Option<String>,
    pub email_verified_at: Option<i64>,
    pub totp_secret: Option<Vec<u8>>,
    pub totp_confirmed_at: Option<i64>,
    pub totp_last_step: i64,
    pub failed_attempts: i64,
    pub locked_until: Option<i64>,
    pub created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
