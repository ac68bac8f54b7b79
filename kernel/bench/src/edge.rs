//! A GET through the whole stack (authentication, limits, tenant, request id, a log line, metrics, ETag) against a bare
//! axum "hello", over loopback, with a thousand identities in turn.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{Router, routing::get};
use plinth_gateway::listener::{Listener, ListenerConfig};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    Plan, load,
    measure::{Shuffle, threads_cpu},
    report::{Budget, Report, ratios},
    world::Kernel,
};

const IDENTITIES: usize = 1_200;
const CONNECTIONS: usize = 64;

struct Side {
    address: SocketAddr,
    requests: load::Requests,
    threads: &'static str,
    rates: Vec<f64>,
    cpu: Vec<f64>,
}

pub fn run(plan: Plan, report: &mut Report) -> anyhow::Result<()> {
    let clients = Builder::new_multi_thread().worker_threads(1).thread_name("clients").enable_all().build()?;
    let (hello_threads, hello) = serve_hello()?;
    let (kernel_threads, kernel, address) = serve_kernel()?;
    let (tokens, keys) = kernel_threads.block_on(identities(&kernel))?;
    let side = |address, requests, threads| Side { address, requests, threads, rates: Vec::new(), cpu: Vec::new() };
    let requests =
        |credentials: &[String]| Arc::new(credentials.iter().map(|one| load::get("/api/v1/me", Some(one))).collect());
    let mut sides = [
        side(hello, Arc::new(vec![load::get("/", None)]), "hello"),
        side(address, requests(&tokens), "kernel"),
        side(address, requests(&keys), "kernel"),
    ];
    for side in &sides {
        clients.block_on(load::run(side.address, side.requests.clone(), CONNECTIONS, plan.slice))?;
    }
    let mut shuffle = Shuffle::new();
    for _ in 0..plan.rounds {
        let mut order = vec![0, 1, 2];
        if shuffle.coin() {
            order.reverse();
        }
        for index in order {
            slice(&clients, &mut sides[index], plan)?;
        }
    }
    let [hello, tokens, keys] = &sides;
    report.title("edge: GET /api/v1/me through the whole stack, 1,200 identities in turn, against a bare axum hello");
    report.figure("hello", &hello.rates, "req/s", Budget::None);
    report.figure("hello, server CPU", &hello.cpu, "µs", Budget::None);
    for (name, side) in [("access tokens", tokens), ("API keys", keys)] {
        report.figure(name, &side.rates, "req/s", Budget::None);
        report.figure(
            &format!("{name}, of hello's requests per second"),
            &ratios(&side.rates, &hello.rates),
            "",
            Budget::AtLeast(0.65),
        );
        report.figure(&format!("{name}, server CPU per request"), &side.cpu, "µs", Budget::AtMost(18.0));
    }
    drop((hello_threads, kernel_threads));
    Ok(())
}

fn slice(clients: &Runtime, side: &mut Side, plan: Plan) -> anyhow::Result<()> {
    let before = threads_cpu(side.threads);
    let begun = std::time::Instant::now();
    let rate = clients.block_on(load::run(side.address, side.requests.clone(), CONNECTIONS, plan.slice))?;
    let cpu = threads_cpu(side.threads).saturating_sub(before);
    side.rates.push(rate);
    side.cpu.push(cpu.as_secs_f64() * 1e6 / (rate * begun.elapsed().as_secs_f64()));
    Ok(())
}

fn server(name: &'static str) -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build()?)
}

fn serve_hello() -> anyhow::Result<(Runtime, SocketAddr)> {
    let runtime = server("hello")?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/", get(|| async { "hello" }));
    runtime.spawn(async move { axum::serve(listener, router).await });
    Ok((runtime, address))
}

fn serve_kernel() -> anyhow::Result<(Runtime, Kernel, SocketAddr)> {
    let runtime = server("kernel")?;
    let kernel = runtime.block_on(Kernel::start())?;
    let listener = runtime.block_on(Listener::bind(ListenerConfig::new("127.0.0.1:0".parse()?)))?;
    let address = listener.local_addr();
    runtime.spawn(listener.serve(kernel.router.clone(), CancellationToken::new()));
    Ok((runtime, kernel, address))
}

/// A thousand people with a tenant each, by access token and by API key.
async fn identities(kernel: &Kernel) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let (mut tokens, mut keys) = (Vec::new(), Vec::new());
    for number in 0..IDENTITIES {
        let register = json!({
            "email": format!("p{number}@example.com"), "password": "correct horse battery", "name": "P",
            "tenant": { "name": "T", "slug": format!("tenant-{number}") },
        });
        let signed_in = kernel.call("POST", "/api/v1/auth/register", None, &register).await?;
        let token = signed_in["access_token"].as_str().context("a token")?.to_owned();
        let key = json!({ "name": "bench", "scopes": ["*"] });
        let key = kernel.call("POST", "/api/v1/api-keys", Some(&token), &key).await?;
        keys.push(key["key"].as_str().context("a key")?.to_owned());
        tokens.push(token);
    }
    Ok((tokens, keys))
}
