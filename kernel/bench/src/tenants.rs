//! Sign-in, list and look-up among 10,000 tenants with 20 people each, against 10 such tenants.

use std::time::Instant;

use anyhow::Context;
use plinth_core::World;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{
    Plan,
    measure::Shuffle,
    report::{Budget, Report, ratios},
    world::Kernel,
};

const PEOPLE: usize = 20;
const PASSWORD: &str = "correct horse battery";

struct Populated {
    kernel: Kernel,
    tenants: usize,
    next: usize,
}

/// Microseconds of one call, by what was called.
#[derive(Default)]
struct Figures {
    login: Vec<f64>,
    list: Vec<f64>,
    lookup: Vec<f64>,
}

pub fn run(plan: Plan, report: &mut Report) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut small = runtime.block_on(populate(10))?;
    let mut large = runtime.block_on(populate(10_000))?;
    let (mut few, mut many) = (Figures::default(), Figures::default());
    runtime.block_on(small.slice(plan, &mut Figures::default()))?;
    runtime.block_on(large.slice(plan, &mut Figures::default()))?;
    let mut shuffle = Shuffle::new();
    for _ in 0..plan.rounds {
        if shuffle.coin() {
            runtime.block_on(small.slice(plan, &mut few))?;
            runtime.block_on(large.slice(plan, &mut many))?;
        } else {
            runtime.block_on(large.slice(plan, &mut many))?;
            runtime.block_on(small.slice(plan, &mut few))?;
        }
    }
    report.title("tenants: 10,000 tenants with 20 people each against 10, time per call in process");
    for (name, few, many) in [
        ("sign-in", &few.login, &many.login),
        ("list of members", &few.list, &many.list),
        ("look-up of a person", &few.lookup, &many.lookup),
    ] {
        report.figure(&format!("{name}, 10 tenants"), few, "µs", Budget::None);
        report.figure(&format!("{name}, 10,000 tenants"), many, "µs", Budget::None);
        report.figure(&format!("{name}, of the time with 10 tenants"), &ratios(many, few), "x", Budget::AtMost(1.5));
    }
    Ok(())
}

/// One tenant is made through the front door; the others are copies of its rows.
async fn populate(tenants: usize) -> anyhow::Result<Populated> {
    let kernel = Kernel::start().await?;
    let register = json!({
        "email": "first@example.com", "password": PASSWORD, "name": "First", "tenant": { "name": "First", "slug": "first" },
    });
    kernel.call("POST", "/api/v1/auth/register", None, &register).await?;
    let path = kernel.folder.path().join("plinth.db");
    let mut connection = Connection::open(path)?;
    let password: String = connection.query_row("select password from users", [], |row| row.get(0))?;
    let world = World::system();
    let transaction = connection.transaction()?;
    for number in 0..tenants {
        let tenant = world.mint_uuid();
        let now = world.now().millis();
        transaction
            .prepare_cached(
                "insert into tenants (id, slug, name, state, created_at) values (?1, ?2, ?3, 'active', ?4)",
            )?
            .execute(params![tenant.as_bytes(), format!("t{number}-x"), format!("Tenant {number}"), now])?;
        for person in 0..PEOPLE {
            let user = world.mint_uuid();
            let email = email(number, person);
            transaction
                .prepare_cached(
                    "insert into users (id, email, email_key, name, password, email_verified_at, created_at) values (?1, ?2, ?2, ?3, ?4, ?5, ?5)",
                )?
                .execute(params![user.as_bytes(), email, format!("Person {person}"), password, now])?;
            transaction
                .prepare_cached("insert into memberships (id, tenant, user_id, roles, joined_at) values (?1, ?2, ?3, '[\"owner\"]', ?4)")?
                .execute(params![world.mint_uuid().as_bytes(), tenant.as_bytes(), user.as_bytes(), now])?;
        }
    }
    transaction.commit()?;
    connection.execute_batch("pragma optimize")?;
    Ok(Populated { kernel, tenants, next: 0 })
}

fn email(tenant: usize, person: usize) -> String {
    format!("p{person}@t{tenant}.example.com")
}

impl Populated {
    /// A stride through all of them, so that each call meets another tenant.
    async fn slice(&mut self, plan: Plan, figures: &mut Figures) -> anyhow::Result<()> {
        let end = Instant::now() + plan.slice;
        let (mut login, mut list, mut lookup) = (Vec::new(), Vec::new(), Vec::new());
        while Instant::now() < end {
            self.next += 7919;
            let email = email(self.next % self.tenants, self.next % PEOPLE);
            let request = json!({ "email": email, "password": PASSWORD });
            let (signed_in, took) = self.timed("POST", "/api/v1/auth/login", None, &request).await?;
            login.push(took);
            let token = signed_in["access_token"].as_str().context("a token")?;
            let tenant = signed_in["tenant"]["id"].as_str().context("a tenant")?;
            // The first call with a token pays for its verification; that is another figure.
            self.timed("GET", "/api/v1/me", Some(token), &Value::Null).await?;
            let (_, took) =
                self.timed("GET", &format!("/api/v1/tenants/{tenant}/members"), Some(token), &Value::Null).await?;
            list.push(took);
            let user = signed_in["user"]["id"].as_str().context("a person")?;
            let (_, took) = self.timed("GET", &format!("/api/v1/users/{user}"), Some(token), &Value::Null).await?;
            lookup.push(took);
        }
        figures.login.push(median(login));
        figures.list.push(median(list));
        figures.lookup.push(median(lookup));
        Ok(())
    }

    async fn timed(&self, method: &str, path: &str, token: Option<&str>, body: &Value) -> anyhow::Result<(Value, f64)> {
        let begun = Instant::now();
        let answer = self.kernel.call(method, path, token, body).await?;
        Ok((answer, begun.elapsed().as_secs_f64() * 1e6))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
