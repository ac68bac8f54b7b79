//! Refuses to work as a role that would see every tenant, or over a table that lets it.

use sqlx::{PgPool, Row};

use super::PostgresError;

pub(super) async fn row_security(pool: &PgPool, system_role: &str) -> Result<(), PostgresError> {
    let app = application_role(pool, system_role).await?;
    let open: Option<String> = sqlx::query_scalar(OPEN_TABLE).bind(&app).fetch_optional(pool).await?;
    if let Some(table) = open {
        return Err(PostgresError::Unprotected(table));
    }
    let known: bool = sqlx::query_scalar(
        "select exists (select 1 from pg_policies where tablename = 'events' and $1 = any (roles::text[]))",
    )
    .bind(&app)
    .fetch_one(pool)
    .await?;
    if known { Ok(()) } else { Err(PostgresError::Stranger(app)) }
}

/// A table of tenants' rows that does not keep them apart: security that is off or does not bind the owner, no policy at
/// all, or a policy for the application that does not ask for the tenant.
const OPEN_TABLE: &str = "\
    select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attname = 'tenant' and not a.attisdropped
    and (
        not (c.relrowsecurity and c.relforcerowsecurity)
        or not exists (select 1 from pg_policies p where p.schemaname = 'public' and p.tablename = c.relname)
        or exists (
            select 1 from pg_policies p where p.schemaname = 'public' and p.tablename = c.relname
            and p.permissive = 'PERMISSIVE' and p.roles::text[] && array[$1, 'public']
            and coalesce(p.qual, p.with_check, '') not like '%plinth_tenant()%'
        )
    )
    limit 1";

/// The role that requests run as.
async fn application_role(pool: &PgPool, system_role: &str) -> Result<String, PostgresError> {
    let app = sqlx::query("select rolname::text, rolsuper or rolbypassrls from pg_roles where rolname = current_user")
        .fetch_one(pool)
        .await?;
    let (name, above): (String, bool) = (app.try_get(0)?, app.try_get(1)?);
    if above {
        return Err(PostgresError::BypassesRowSecurity(name));
    }
    let system = sqlx::query(
        "select pg_has_role(session_user, oid, 'member'), pg_has_role(current_user, oid, 'usage') from pg_roles where rolname = $1",
    )
    .bind(system_role)
    .fetch_optional(pool)
    .await?;
    let (may_be_taken, shared) = match system {
        Some(row) => (row.try_get(0)?, row.try_get(1)?),
        None => (false, false),
    };
    if !may_be_taken {
        return Err(PostgresError::NoRole(system_role.to_owned(), sqlx::Error::RowNotFound));
    }
    if shared {
        return Err(PostgresError::NotSeparate { app: name, system: system_role.to_owned() });
    }
    Ok(name)
}
