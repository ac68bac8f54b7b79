//! What the writers asked for and what they were told, to be compared with what is there afterwards.

use std::collections::BTreeMap;

use plinth_tests::{Actor, Kernel, PASSWORD};
use serde_json::{Value, json};

/// One thing that a writer wants to exist. Everything about it follows from its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    pub kind: Kind,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    ApiKey,
    Organization,
    ServiceAccount,
    Tenant,
}

impl Wish {
    /// The writer's next wish: the kinds take turns.
    pub fn new(cycle: usize, writer: usize, number: usize) -> Self {
        let kind = [Kind::ApiKey, Kind::Organization, Kind::ServiceAccount, Kind::Organization, Kind::Tenant];
        Self { kind: kind[(writer + number) % kind.len()], name: format!("c{cycle}-w{writer}-n{number}") }
    }

    pub fn path(&self) -> &'static str {
        match self.kind {
            Kind::ApiKey => "api-keys",
            Kind::Organization => "organizations",
            Kind::ServiceAccount => "service-accounts",
            Kind::Tenant => "auth/register",
        }
    }

    pub fn body(&self) -> Value {
        let name = &self.name;
        match self.kind {
            Kind::ApiKey => json!({ "name": name, "scopes": ["*"] }),
            Kind::Organization => json!({ "name": name, "slug": name }),
            Kind::ServiceAccount => json!({ "name": name, "roles": ["member"] }),
            Kind::Tenant => json!({
                "email": format!("{name}@example.com"), "password": PASSWORD, "name": name,
                "tenant": { "name": name, "slug": name },
            }),
        }
    }

    /// The request, always under the same Idempotency-Key.
    pub fn ask(&self, owner: &Actor, kernel_port: u16) -> plinth_tests::Ask {
        let ask = plinth_tests::Ask::new(kernel_port, "POST", self.path()).json(&self.body()).key(&self.name);
        if self.kind == Kind::Tenant { ask } else { ask.token(owner.access()) }
    }

    /// The identifier in the answer.
    pub fn id(&self, answer: &Value) -> String {
        let id = if self.kind == Kind::Tenant { &answer["tenant"]["id"] } else { &answer["id"] };
        id.as_str().unwrap_or_else(|| panic!("{self:?} was answered without an id: {answer}")).to_owned()
    }
}

/// Everything of the cycle that is there: the identifiers under each wish.
pub async fn existing(kernel: &Kernel, owner: &Actor, cycle: usize) -> BTreeMap<Wish, Vec<String>> {
    let mut found: BTreeMap<Wish, Vec<String>> = BTreeMap::new();
    let mut add = |kind: Kind, name: &Value, id: &Value| {
        let name = name.as_str().expect("a name").to_owned();
        if name.starts_with(&format!("c{cycle}-")) {
            let id = id.as_str().expect("an id").to_owned();
            found.entry(Wish { kind, name }).or_default().push(id);
        }
    };
    for (kind, path) in
        [(Kind::ApiKey, "api-keys"), (Kind::Organization, "organizations"), (Kind::ServiceAccount, "service-accounts")]
    {
        let mut after = String::new();
        loop {
            let page = owner.get(&format!("{path}?limit=200{after}")).send().await.expect(200).json();
            for row in page["data"].as_array().expect("rows") {
                add(kind, &row["name"], &row["id"]);
            }
            if page["has_more"] != true {
                break;
            }
            after = format!("&after={}", page["next"].as_str().expect("a cursor"));
        }
    }
    let tenants = kernel.line(["tenant", "list", "--json"]).run().expect(0).json();
    for tenant in tenants.as_array().expect("tenants") {
        add(Kind::Tenant, &tenant["slug"], &tenant["id"]);
    }
    found
}
