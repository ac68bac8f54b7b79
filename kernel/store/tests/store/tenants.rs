//! Tenants are kept apart: by the constructor of every query, and on PostgreSQL by the database itself.

use plinth_core::TenantId;
use plinth_store::{OpenError, PostgresError, Store};
use plinth_testkit::{TestDatabase, databases};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::support::*;

#[tokio::test]
async fn a_scope_finds_and_changes_its_own_rows_only() {
    for database in databases().await {
        let store = &database.store;
        let (mine, other) = (make_tenant(store).await, make_tenant(store).await);
        add_role(store, mine, "mine").await.unwrap();
        let theirs = role(store, "theirs");
        let tx = store.change(other, cause()).await.unwrap();
        tx.scope().insert(theirs.clone()).await.unwrap();
        tx.commit().await.unwrap();

        let tx = store.change(mine, cause()).await.unwrap();
        let scope = tx.scope();
        let found: Vec<roles::Model> = scope.find::<roles::Entity>().all(&scope).await.unwrap();
        assert_eq!(found.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["mine"]);
        let by_id = roles::Column::Id.eq(theirs.id);
        assert_eq!(scope.find::<roles::Entity>().filter(by_id.clone()).one(&scope).await.unwrap(), None);
        let renamed = scope.update::<roles::Entity>().col_expr(roles::Column::Name, "renamed".into());
        assert_eq!(renamed.clone().filter(by_id.clone()).exec(&scope).await.unwrap().rows_affected, 0);
        assert_eq!(renamed.exec(&scope).await.unwrap().rows_affected, 1);
        assert_eq!(scope.delete::<roles::Entity>().filter(by_id).exec(&scope).await.unwrap().rows_affected, 0);
        // A model that carries another tenant is inserted as this one's.
        scope.insert(roles::Model { tenant: other.uuid(), ..role(store, "inserted") }).await.unwrap();
        tx.commit().await.unwrap();

        let tx = store.read_system(cause()).await.unwrap();
        let untouched = any_role(theirs.id).one(&tx).await.unwrap().unwrap();
        assert_eq!((untouched.name.as_str(), untouched.tenant), ("theirs", other.uuid()));
        assert_eq!(roles_named(store, mine, "renamed").await, 1);
        assert_eq!(roles_named(store, mine, "inserted").await, 1);
        assert_eq!(roles_named(store, other, "inserted").await, 0);

        let tx = store.change(mine, cause()).await.unwrap();
        let all = tx.scope().delete::<roles::Entity>().exec(&tx.scope()).await.unwrap();
        assert_eq!(all.rows_affected, 2, "{:?}: delete without a filter stays in the tenant", database.kind);
    }
}

/// A column of a table, as a row for it can be made up.
struct Column {
    name: String,
    kind: String,
}

struct Table {
    name: String,
    columns: Vec<Column>,
}

impl Table {
    fn has_tenant(&self) -> bool {
        self.columns.iter().any(|column| column.name == "tenant")
    }

    /// An insert of a made-up row.
    fn insert(&self, tenant: TenantId) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let values: Vec<_> = self.columns.iter().map(|column| self.value(column, tenant)).collect();
        format!("insert into {} ({}) values ({})", self.name, names.join(", "), values.join(", "))
    }

    fn value(&self, column: &Column, tenant: TenantId) -> String {
        let owner = column.name == "tenant" || (self.name == "tenants" && column.name == "id");
        match column.kind.as_str() {
            "uuid" if owner => format!("'{}'", tenant.uuid()),
            "uuid" => "gen_random_uuid()".into(),
            "text" => "gen_random_uuid()::text".into(),
            "bigint" => "(random() * 1000000000)::bigint".into(),
            "bytea" => "decode(md5(random()::text), 'hex')".into(),
            "boolean" => "true".into(),
            other => panic!("say how a value of {other} is made up"),
        }
    }
}

/// Every table but the history of migrations, which holds nothing of anybody.
async fn tables(owner: &mut PgConnection) -> Vec<Table> {
    let rows = owner
        .fetch_all(
            "select c.relname::text, a.attname::text, format_type(a.atttypid, null)::text from pg_class c \
             join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
             where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attidentity = '' \
             and a.attgenerated = '' and c.relname <> 'schema_migrations' order by c.relname, a.attnum",
        )
        .await
        .unwrap();
    let mut tables: Vec<Table> = Vec::new();
    for row in rows {
        let (name, column): (String, String) = (row.get(0), row.get(1));
        if tables.last().is_none_or(|table| table.name != name) {
            tables.push(Table { name: name.clone(), columns: Vec::new() });
        }
        tables.last_mut().unwrap().columns.push(Column { name: column, kind: row.get(2) });
    }
    tables
}

async fn owner_of(database: &TestDatabase) -> PgConnection {
    PgConnection::connect(database.postgres_url().unwrap()).await.unwrap()
}

/// Puts a row of each tenant into every table, past keys and policies. Gives the tables.
async fn fill(owner: &mut PgConnection, tenants: [TenantId; 2]) -> Vec<Table> {
    let tables = tables(owner).await;
    owner.execute("set session_replication_role = replica").await.unwrap();
    for table in &tables {
        for tenant in tenants {
            owner.execute(AssertSqlSafe(table.insert(tenant))).await.unwrap();
        }
    }
    tables
}

async fn count(connection: &mut PgConnection, table: &str) -> i64 {
    connection.fetch_one(AssertSqlSafe(format!("select count(*) from {table}"))).await.unwrap().get(0)
}

#[tokio::test]
async fn outside_of_a_tenant_requests_see_no_row_of_any_table() {
    let database = postgres().await;
    let mut owner = owner_of(&database).await;
    let world = &database.world;
    let tables = fill(&mut owner, [world.mint(), world.mint()]).await;
    assert!(tables.iter().filter(|table| table.has_tenant()).count() >= 13, "the catalog was read");
    for table in &tables {
        assert_eq!(count(&mut owner, &table.name).await, 2, "{} was filled", table.name);
    }
    owner.execute("set role plinth_app").await.unwrap();
    for table in &tables {
        assert_eq!(count(&mut owner, &table.name).await, 0, "{} shows rows outside of a tenant", table.name);
    }
}

#[tokio::test]
async fn a_query_without_a_tenant_in_it_sees_one_tenant() {
    let database = postgres().await;
    let mut owner = owner_of(&database).await;
    let tenants: [TenantId; 2] = [database.world.mint(), database.world.mint()];
    let tables = fill(&mut owner, tenants).await;
    for tenant in tenants {
        let tx = database.store.read(tenant, cause()).await.unwrap();
        for table in &tables {
            let query = if table.has_tenant() { "select tenant from" } else { "select null::uuid from" };
            let rows =
                tx.scope().query_all_raw(sql(&tx.scope(), &format!("{query} {}", table.name), [])).await.unwrap();
            let owners: Vec<Option<uuid::Uuid>> = rows.iter().map(|row| row.try_get_by(0).unwrap()).collect();
            match table.name.as_str() {
                _ if table.has_tenant() => assert_eq!(owners, [Some(tenant.uuid())], "{}", table.name),
                "tenants" => assert_eq!(owners.len(), 1, "a tenant sees itself"),
                // Nobody here is a member of anything, and the rest is the platform's.
                _ => assert_eq!(owners.len(), 0, "{} shows what belongs to no tenant", table.name),
            }
        }
    }
}

#[tokio::test]
async fn a_tenant_sees_the_people_who_are_its_members() {
    let database = postgres().await;
    let store = &database.store;
    let (mine, other) = (make_tenant(store).await, make_tenant(store).await);
    let tx = store.change_system(cause()).await.unwrap();
    for (tenant, person) in [(mine, "mine"), (other, "theirs")] {
        let (user, membership) = (store.world().mint_uuid(), store.world().mint_uuid());
        let insert = "insert into users (id, email, email_key, name, created_at) values ($1, $2, $2, $2, 1)";
        tx.execute_raw(sql(&tx, insert, [user.into(), person.into()])).await.unwrap();
        let insert = "insert into memberships (id, tenant, user_id, roles, joined_at) values ($1, $2, $3, '[]', 1)";
        tx.execute_raw(sql(&tx, insert, [membership.into(), tenant.uuid().into(), user.into()])).await.unwrap();
    }
    tx.commit().await.unwrap();
    let tx = store.change(mine, cause()).await.unwrap();
    let rows = tx.scope().query_all_raw(sql(&tx.scope(), "select name from users", [])).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.try_get_by::<String, _>(0).unwrap()).collect::<Vec<_>>(), ["mine"]);
    let changed = tx.scope().execute_unprepared("update users set name = 'changed'").await.unwrap();
    assert_eq!(changed.rows_affected(), 0, "a tenant changes nothing of a person");
}

#[tokio::test]
async fn a_row_of_another_tenant_is_refused() {
    let database = postgres().await;
    let mut owner = owner_of(&database).await;
    let tenants: [TenantId; 2] = [database.world.mint(), database.world.mint()];
    let tables = fill(&mut owner, tenants).await;
    for table in tables.iter().filter(|table| table.has_tenant()) {
        let update = format!("update {} set tenant = '{}'", table.name, tenants[1].uuid());
        for statement in [table.insert(tenants[1]), update] {
            let tx = database.store.change(tenants[0], cause()).await.unwrap();
            let error = tx.scope().execute_unprepared(&statement).await.unwrap_err().to_string();
            let refused = error.contains("row-level security") || error.contains("permission denied");
            assert!(refused, "{statement}: {error}");
        }
        let theirs = format!("delete from {} where tenant = '{}'", table.name, tenants[1].uuid());
        let tx = database.store.change(tenants[0], cause()).await.unwrap();
        let deleted = tx.scope().execute_unprepared(&theirs).await.map_or(0, |result| result.rows_affected());
        assert_eq!(deleted, 0, "{}", table.name);
    }
}

/// A connection that served the platform serves a tenant next, and the other way round.
#[tokio::test]
async fn a_connection_forgets_whom_it_served() {
    let mut database = postgres().await;
    database.config.max_connections = 1;
    database.reopen().await;
    let store = &database.store;
    let (one, two) = (make_tenant(store).await, make_tenant(store).await);
    add_role(store, one, "one").await.unwrap();
    add_role(store, two, "two").await.unwrap();
    let raw = async |tenant| {
        let tx = store.read(tenant, cause()).await.unwrap();
        let rows = tx.scope().query_all_raw(sql(&tx.scope(), "select name from roles", [])).await.unwrap();
        rows.iter().map(|row| row.try_get_by::<String, _>(0).unwrap()).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        assert_eq!(role_count(store).await, 2);
        assert_eq!(raw(one).await, ["one"]);
        assert_eq!(raw(two).await, ["two"]);
        drop(store.change_system(cause()).await.unwrap());
        assert_eq!(raw(one).await, ["one"]);
    }
}

async fn open(database: &TestDatabase) -> OpenError {
    Store::open(database.config.clone(), database.world.clone(), keys()).await.err().expect("it does not open")
}

#[tokio::test]
async fn roles_that_would_see_every_tenant_are_refused() {
    let mut database = postgres().await;
    database.config.app_role = "postgres".into();
    let error = open(&database).await;
    assert!(
        matches!(&error, OpenError::Postgres(PostgresError::BypassesRowSecurity(role)) if role == "postgres"),
        "{error:?}"
    );
    assert!(error.to_string().contains("set store.app_role to a plain role"), "{error}");

    database.config.app_role = "plinth_system".into();
    let error = open(&database).await;
    assert!(matches!(error, OpenError::Postgres(PostgresError::NotSeparate { .. })), "{error:?}");

    database.config.app_role = "plinth_nobody_made_this".into();
    let error = open(&database).await;
    assert!(matches!(error, OpenError::Postgres(PostgresError::NoRole(..))), "{error:?}");
    database.config.app_role = "plinth_app".into();
    database.config.system_role = "plinth_nobody_made_this".into();
    let error = open(&database).await;
    assert!(matches!(error, OpenError::Postgres(PostgresError::NoRole(..))), "{error:?}");
}

#[tokio::test]
async fn a_plain_role_that_the_tables_were_not_made_for_is_refused() {
    let mut database = postgres().await;
    let stranger = format!("stranger_{}", database.world.mint_uuid().simple());
    let mut owner = owner_of(&database).await;
    owner.execute(AssertSqlSafe(format!("create role {stranger} nologin"))).await.unwrap();
    database.config.app_role.clone_from(&stranger);
    let error = open(&database).await;
    owner.execute(AssertSqlSafe(format!("drop role {stranger}"))).await.unwrap();
    assert!(matches!(&error, OpenError::Postgres(PostgresError::Stranger(role)) if *role == stranger), "{error:?}");
}

#[tokio::test]
async fn a_table_that_does_not_keep_tenants_apart_is_refused() {
    let database = postgres().await;
    let mut owner = owner_of(&database).await;
    let steps = [
        "create table leaky (tenant uuid not null)",
        "alter table leaky enable row level security; alter table leaky force row level security",
        "create policy everybody on leaky to plinth_app using (true)",
    ];
    for step in steps {
        sqlx::raw_sql(step).execute(&mut owner).await.unwrap();
        let error = open(&database).await;
        let named = matches!(&error, OpenError::Postgres(PostgresError::Unprotected(table)) if table == "leaky");
        assert!(named, "after {step}: {error:?}");
    }
    sqlx::raw_sql(
        "drop policy everybody on leaky; create policy own on leaky to plinth_app using (tenant = plinth_tenant())",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    Store::open(database.config.clone(), database.world.clone(), keys()).await.unwrap();
    sqlx::raw_sql("alter table roles no force row level security").execute(&mut owner).await.unwrap();
    let error = open(&database).await;
    assert!(matches!(&error, OpenError::Postgres(PostgresError::Unprotected(table)) if table == "roles"), "{error:?}");
}
