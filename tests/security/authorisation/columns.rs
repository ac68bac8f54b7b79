//! Each column of the table, tried on every row: nobody, somebody with too little, somebody from elsewhere, the right one.

use std::collections::BTreeMap;

use plinth_api::tenants::CreateInvitation;
use plinth_tests::{Actor, Kernel, PASSWORD, on_both_databases};
use serde_json::{Value, json};

use super::table::{Access, access};
use crate::operations::{Operation, operations};

/// What the role `member` allows, and no more.
const OF_MEMBERS: &[&str] = &["tenant:read", "members:read", "organizations:read"];

on_both_databases!(an_identifier_of_another_tenant_is_not_found);

#[tokio::test]
async fn nobody_is_asked_to_sign_in() {
    let kernel = Kernel::start();
    for operation in operations(&kernel).await {
        let answer = kernel.ask(&operation.method, &operation.of_nothing()).send().await;
        let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
        if access(&operation) == Access::Anybody {
            assert_ne!(code, "authentication_needed", "{}", operation.name());
        } else {
            assert_eq!((answer.status, code.as_str()), (401, "authentication_needed"), "{}", operation.name());
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{}", operation.name());
        }
    }
}

#[tokio::test]
async fn a_member_without_the_permission_is_forbidden() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let member = kernel.member(&owner).await;
    for operation in operations(&kernel).await {
        let (held, permission) = match access(&operation) {
            Access::Anybody | Access::SignedIn => continue,
            Access::Holding(permission) => (OF_MEMBERS.contains(&permission), permission),
            Access::Operator(permission) => (false, permission),
        };
        let answer = member.ask(&operation.method, &operation.of_nothing()).send().await;
        if held {
            assert!(![401, 403].contains(&answer.status), "{}: {}", operation.name(), answer.text());
        } else {
            let problem = answer.refused(403, "permission_missing");
            assert!(problem["detail"].as_str().is_some_and(|text| text.contains(permission)), "{problem}");
        }
    }
}

/// Everything in a tenant is still not the platform.
#[tokio::test]
async fn an_owner_is_no_operator() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let key = owner.api_key(&["*"]).await.key;
    let mut tried = 0;
    for operation in operations(&kernel).await {
        if matches!(access(&operation), Access::Operator(_)) {
            for token in [owner.access(), &key] {
                let ask = kernel.ask(&operation.method, &operation.of_nothing()).token(token);
                ask.send().await.refused(403, "permission_missing");
                tried += 1;
            }
        }
    }
    assert!(tried > 0);
    let visit = owner.get("roles").header("plinth-tenant", kernel.other_tenant().await.tenant().to_string());
    visit.send().await.refused(404, "not_found");
}

#[tokio::test]
async fn the_right_one_is_let_in() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let operator = kernel.operator().await;
    for operation in operations(&kernel).await {
        let right = match access(&operation) {
            Access::Anybody => continue,
            Access::SignedIn | Access::Holding(_) => &owner,
            Access::Operator(_) => &operator,
        };
        // A session of its own, since some of these end it.
        let right = kernel.login(&right.email, PASSWORD).await;
        let own_tenant = right.tenant().to_string();
        let path = operation.filled(|_, prefix| match prefix {
            Some("ten") => own_tenant.clone(),
            prefix => format!("{}_01jd3v7k2qf5e8m0s4w6y9b1c3", prefix.unwrap_or("rol")),
        });
        if path.ends_with("/erase") {
            continue;
        }
        let answer = right.ask(&operation.method, &path).send().await;
        assert!(![401, 403].contains(&answer.status), "{}: {}", operation.name(), answer.text());
        assert!(answer.status < 500, "{}: {}", operation.name(), answer.text());
    }
    let owner = kernel.login(&owner.email, PASSWORD).await;
    let erase = format!("tenants/{}/erase?dry_run=true", owner.tenant());
    let plan = owner.post(&erase, &json!({ "reason": "moving away" })).send().await;
    assert_eq!(plan.expect(200).json()["dry_run"], true);
    owner.get("me").send().await.expect(200);
}

/// One of each kind, all of one tenant: identifiers by their prefix.
async fn one_of_each(kernel: &Kernel, owner: &Actor) -> BTreeMap<&'static str, String> {
    let create = async |path: &str, body: Value| {
        let made = owner.post(path, &body).send().await.expect(201).json();
        made["id"].as_str().unwrap_or_else(|| panic!("no id in {made}")).to_owned()
    };
    let member = kernel.member(owner).await;
    let invitation =
        CreateInvitation { email: "guest@example.com".into(), roles: vec!["member".into()], organization: None };
    let invitation = owner.client.invitations().create(&invitation).await.expect("invited").body;
    let sessions = owner.client.auth().sessions(()).await.expect("a list").body.data;
    let organization = create("organizations", json!({ "name": "Team", "slug": "team" })).await;
    let path = format!("organizations/{organization}/members/{}", member.user);
    owner.ask("PUT", &path).json(&json!({ "role": "member" })).send().await.expect(200);
    BTreeMap::from([
        ("ten", owner.tenant().to_string()),
        ("usr", member.user.to_string()),
        ("key", create("api-keys", json!({ "name": "k", "scopes": ["*"] })).await),
        ("rol", create("roles", json!({ "name": "R", "permissions": ["tenant:read"] })).await),
        ("sva", create("service-accounts", json!({ "name": "S", "roles": ["member"] })).await),
        ("org", organization),
        ("ivt", invitation.id.to_string()),
        ("ses", sessions[0].id.to_string()),
    ])
}

async fn an_identifier_of_another_tenant_is_not_found(kernel: Kernel) {
    let owner = kernel.owner().await;
    let theirs = one_of_each(&kernel, &owner).await;
    let stranger = kernel.other_tenant().await;
    let key = stranger.api_key(&["*"]).await.key;
    let mut tried = Vec::new();
    for operation in operations(&kernel).await {
        if operation.parameters.is_empty() || matches!(access(&operation), Access::Anybody | Access::Operator(_)) {
            continue;
        }
        // An identity is of a person, who has none without a provider.
        let Some(paths) = foreign_paths(&operation, &theirs, &stranger) else { continue };
        for path in paths {
            for token in [stranger.access(), &key] {
                let ask = kernel.ask(&operation.method, &path).token(token);
                let ask = if ["POST", "PUT", "PATCH"].contains(&operation.method.as_str()) {
                    ask.json(&body(&operation))
                } else {
                    ask
                };
                let answer = ask.send().await;
                let of_persons = token == key && answer.json()["code"].as_str().is_some_and(is_for_persons);
                assert!(answer.status == 404 || of_persons, "{} {path}: {}", operation.method, answer.text());
            }
            tried.push(operation.name());
        }
    }
    assert!(tried.len() > 25, "only these were tried: {tried:#?}");
    // Nothing of it had an effect: everything is still there, and unchanged.
    for path in ["api-keys", "roles", "service-accounts", "organizations", "invitations"] {
        let prefix = match path {
            "api-keys" => "key",
            "roles" => "rol",
            "service-accounts" => "sva",
            "organizations" => "org",
            _ => "ivt",
        };
        owner.get(&format!("{path}/{}", theirs[prefix])).send().await.expect(200);
    }
    owner.get(&format!("tenants/{}/members/{}", theirs["ten"], theirs["usr"])).send().await.expect(200);
    owner.get("me").send().await.expect(200);
}

/// What is only for people says so to a key, before it looks for anything.
fn is_for_persons(code: &str) -> bool {
    ["session_needed", "person_needed"].contains(&code)
}

/// The operation's path with another tenant's identifiers: all of them, and the last one inside of one's own tenant.
fn foreign_paths(operation: &Operation, theirs: &BTreeMap<&str, String>, stranger: &Actor) -> Option<Vec<String>> {
    let known = |prefix: Option<&str>| theirs.get(prefix.unwrap_or("rol")).cloned();
    if operation.parameters.iter().any(|(_, prefix)| known(prefix.as_deref()).is_none()) {
        return None;
    }
    let all = operation.filled(|_, prefix| known(prefix).unwrap_or_default());
    let own = operation.filled(|_, prefix| match prefix {
        Some("ten") => stranger.tenant().to_string(),
        prefix => known(prefix).unwrap_or_default(),
    });
    let only_tenant = operation.parameters.len() == 1 && operation.parameters[0].1.as_deref() == Some("ten");
    Some(if own == all || only_tenant { vec![all] } else { vec![all, own] })
}

/// A body that the operation would take, so that nothing but the identifier is wrong.
fn body(operation: &Operation) -> Value {
    match operation.path.rsplit('/').next().unwrap_or_default() {
        "{user}" if operation.method == "PUT" => json!({ "role": "manager" }),
        "{user}" => json!({ "roles": ["owner"] }),
        "{id}" | "{key}" => json!({ "name": "Taken over" }),
        "erase" | "suspend" => json!({ "reason": "taken over" }),
        _ => json!({}),
    }
}
