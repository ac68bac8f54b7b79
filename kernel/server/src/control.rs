//! Administration: one set of requests, carried out on a stopped kernel's data or, through the control socket in the data
//! folder, by the running kernel. Only the user who owns the folder can reach the socket.

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use anyhow::Context;
use plinth_core::{Cause, World, api::auth::NewTenant};
use plinth_identity::{
    Identity,
    administration::{self, AdministrationError},
};
use plinth_store::keyring::MasterKeySource;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};
use uuid::Uuid;

use crate::{config::Config, data, failure::Failure, wiring};

/// What an administrator asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Administer {
    OperatorCreate { email: String, name: String, password: String },
    OperatorGrant { email: String },
    OperatorRevoke { email: String },
    OperatorList,
    TenantList,
    TenantCreate { slug: String, name: String, email: String, password: String },
    TenantSuspend { tenant: String, reason: String },
    TenantResume { tenant: String },
    KeyList,
    KeyRotate,
    KeyRetire { id: Uuid },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Done(Value),
    Failed { message: String, unavailable: bool },
}

/// Carries a request out, by the running kernel if there is one.
pub async fn administer(config: &Config, request: Administer) -> Result<Value, Failure> {
    let folder = &config.server.data;
    if let Ok(stream) = UnixStream::connect(data::control_socket(folder)).await {
        return ask(stream, &request).await;
    }
    let _lock = data::lock(folder)?;
    let (identity, source) = wiring::open_identity(config).await?;
    let result = carry_out(&identity, &source, request).await;
    identity.store().close().await;
    result
        .map_err(|(error, unavailable)| if unavailable { Failure::Unavailable(error) } else { Failure::Failed(error) })
}

async fn ask(stream: UnixStream, request: &Administer) -> Result<Value, Failure> {
    let mut stream = BufReader::new(stream);
    let mut line = serde_json::to_string(request).context("a request cannot be written")?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await.context("the running kernel does not take requests")?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await.context("the running kernel does not answer")?;
    match serde_json::from_str(&answer).context("the running kernel ended before it answered")? {
        Outcome::Done(value) => Ok(value),
        Outcome::Failed { message, unavailable: true } => Err(Failure::Unavailable(anyhow::anyhow!(message))),
        Outcome::Failed { message, .. } => Err(Failure::Failed(anyhow::anyhow!(message))),
    }
}

/// The socket of a running kernel. Ends with the task.
pub async fn listen(folder: &Path, identity: Identity, source: Arc<MasterKeySource>) -> Result<(), Failure> {
    let path = data::control_socket(folder);
    // The lock is held, so a socket that is there belongs to a process that is gone.
    std::fs::remove_file(&path).ok();
    let listener =
        UnixListener::bind(&path).with_context(|| format!("the control socket {} cannot be made", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .context("the control socket cannot be protected")?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (identity, source) = (identity.clone(), source.clone());
            tokio::spawn(async move {
                if let Err(error) = answer(stream, &identity, &source).await {
                    tracing::warn!(%error, "a request on the control socket failed");
                }
            });
        }
    });
    Ok(())
}

async fn answer(stream: UnixStream, identity: &Identity, source: &MasterKeySource) -> anyhow::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if line.is_empty() {
        // Somebody looked whether a kernel runs, as `plinth doctor` does.
        return Ok(());
    }
    let outcome = match serde_json::from_str(&line) {
        Ok(request) => match carry_out(identity, source, request).await {
            Ok(value) => Outcome::Done(value),
            Err((error, unavailable)) => Outcome::Failed { message: Failure::Failed(error).to_string(), unavailable },
        },
        Err(error) => Outcome::Failed {
            message: format!(
                "the running kernel does not understand this request ({error}); is it of another version?"
            ),
            unavailable: false,
        },
    };
    let mut text = serde_json::to_string(&outcome)?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await?;
    Ok(())
}

type Failed = (anyhow::Error, bool);

fn failed(error: AdministrationError) -> Failed {
    let weather = error.is_weather();
    (error.into(), weather)
}

fn other(error: impl Into<anyhow::Error>) -> Failed {
    (error.into(), false)
}

async fn carry_out(identity: &Identity, source: &MasterKeySource, request: Administer) -> Result<Value, Failed> {
    match request {
        Administer::OperatorCreate { email, name, password } => {
            let operator = administration::create_operator(identity, &email, &name, password).await.map_err(failed)?;
            serde_json::to_value(operator).map_err(other)
        }
        Administer::OperatorGrant { email } => {
            let operator = administration::grant_operator(identity, &email).await.map_err(failed)?;
            serde_json::to_value(operator).map_err(other)
        }
        Administer::OperatorRevoke { email } => {
            let operator = administration::revoke_operator(identity, &email).await.map_err(failed)?;
            serde_json::to_value(operator).map_err(other)
        }
        Administer::OperatorList => {
            let all = administration::operators(identity).await.map_err(failed)?;
            serde_json::to_value(all).map_err(other)
        }
        Administer::TenantList => {
            let all = administration::tenants(identity).await.map_err(failed)?;
            serde_json::to_value(all).map_err(other)
        }
        Administer::TenantCreate { slug, name, email, password } => {
            let owner = email.split('@').next().unwrap_or(&email).to_owned();
            let new = NewTenant { name, slug };
            let made = administration::create_tenant(identity, new, &email, &owner, password).await.map_err(failed)?;
            Ok(json!({ "tenant": made.tenant, "owner": made.user }))
        }
        Administer::TenantSuspend { tenant, reason } => {
            let changed = administration::suspend(identity, &tenant, &reason).await.map_err(failed)?;
            serde_json::to_value(changed).map_err(other)
        }
        Administer::TenantResume { tenant } => {
            let changed = administration::resume(identity, &tenant).await.map_err(failed)?;
            serde_json::to_value(changed).map_err(other)
        }
        Administer::KeyList => keys(identity).await,
        Administer::KeyRotate => rotate(identity, source).await,
        Administer::KeyRetire { id } => retire(identity, source, id).await,
    }
}

fn cause() -> Cause {
    Cause { origin: Some("cli".into()), ..Cause::system("administration") }
}

async fn keys(identity: &Identity) -> Result<Value, Failed> {
    let store = identity.store();
    let masters = store.vault().masters();
    let tx = store.read_system(cause()).await.map_err(other)?;
    let mut all = Vec::new();
    for id in masters.ids() {
        let wraps = store.vault().wrapped_by(&tx, id).await.map_err(other)?;
        all.push(json!({ "id": id, "active": id == masters.active_id(), "data_keys": wraps }));
    }
    Ok(all.into())
}

/// The new key is saved before anything is wrapped by it: a crash in between loses nothing.
async fn rotate(identity: &Identity, source: &MasterKeySource) -> Result<Value, Failed> {
    let store = identity.store();
    let random = World::system();
    let mut masters = source.load(random.random()).await.map_err(other)?;
    let id = masters.rotate(random.random()).map_err(other)?;
    source.save(&masters).map_err(other)?;
    store.vault().replace_masters(masters);
    let tx = store.change_system(cause()).await.map_err(other)?;
    let wrapped = store.vault().rewrap(&tx).await.map_err(other)?;
    tx.commit().await.map_err(other)?;
    Ok(json!({ "id": id, "rewrapped": wrapped }))
}

async fn retire(identity: &Identity, source: &MasterKeySource, id: Uuid) -> Result<Value, Failed> {
    let store = identity.store();
    let random = World::system();
    let mut masters = source.load(random.random()).await.map_err(other)?;
    let tx = store.read_system(cause()).await.map_err(other)?;
    let wraps = store.vault().wrapped_by(&tx, id).await.map_err(other)?;
    masters.retire(id, wraps).map_err(other)?;
    source.save(&masters).map_err(other)?;
    store.vault().replace_masters(masters);
    Ok(json!({ "id": id, "retired": true }))
}
