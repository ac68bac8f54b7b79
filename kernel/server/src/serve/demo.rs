//! A first look around: an operator and a tenant, made once, with passwords that are kept where only this user can read them.

use std::{io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use anyhow::Context;
use plinth_core::api::auth::NewTenant;
use plinth_identity::{Identity, administration};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

#[derive(Debug, Serialize, Deserialize)]
pub struct Demo {
    operator: Account,
    owner: Account,
    tenant: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Account {
    email: String,
    password: String,
}

/// Reads the accounts, making them at the first start.
pub async fn prepare(identity: &Identity, folder: &Path) -> Result<Demo, Failure> {
    let path = folder.join("demo.json");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Ok(
            serde_json::from_str(&text).with_context(|| format!("{} cannot be read; remove it", path.display()))?
        );
    }
    let demo = Demo {
        operator: account(identity, "operator@plinth.example"),
        owner: account(identity, "owner@demo.example"),
        tenant: "demo".into(),
    };
    // Written first: an account whose password is lost is worse than a password without an account.
    write(&path, &demo)?;
    let operator = &demo.operator;
    match administration::create_operator(identity, &operator.email, "Olivia Operator", operator.password.clone()).await
    {
        Ok(_) | Err(administration::AdministrationError::EmailTaken(_)) => {}
        Err(error) => return Err(forget(&path, error)),
    }
    let tenant = NewTenant { name: "Demo".into(), slug: demo.tenant.clone() };
    let owner = &demo.owner;
    match administration::create_tenant(identity, tenant, &owner.email, "Olaf Owner", owner.password.clone()).await {
        Ok(_) => Ok(demo),
        Err(error) => Err(forget(&path, error)),
    }
}

fn forget(path: &Path, error: administration::AdministrationError) -> Failure {
    std::fs::remove_file(path).ok();
    Failure::Failed(anyhow::Error::from(error).context("the demo tenant cannot be made"))
}

fn account(identity: &Identity, email: &str) -> Account {
    let mut bytes = [0; 10];
    identity.world().fill(&mut bytes);
    Account { email: email.into(), password: data_encoding::BASE32_DNSCURVE.encode(&bytes) }
}

fn write(path: &Path, demo: &Demo) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(demo).context("the demo accounts cannot be written")?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(&text)).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}

impl Demo {
    /// What a newcomer reads first: where it is, how to get in, and what to try.
    pub fn welcome(&self, url: &str) -> String {
        let Self { operator, owner, tenant } = self;
        format!(
            "
  Plinth is serving on {url}

  operator   {}   password  {}
  owner      {}        password  {}   (tenant {tenant})

  Three things to try:

  1. Read the API:            {url}/docs

  2. Sign in as the owner:
     curl -s {url}/api/v1/auth/login -H 'content-type: application/json' \\
       -d '{{\"email\":\"{}\",\"password\":\"{}\"}}'

  3. See who you are, and make an API key (TOKEN is the access_token of step 2):
     curl -s {url}/api/v1/me -H \"authorization: Bearer $TOKEN\"
     curl -s {url}/api/v1/api-keys -H \"authorization: Bearer $TOKEN\" -H 'content-type: application/json' \\
       -d '{{\"name\":\"first key\",\"scopes\":[\"*\"]}}'

  Stop with Ctrl-C. The data stays.

",
            operator.email, operator.password, owner.email, owner.password, owner.email, owner.password
        )
    }
}
