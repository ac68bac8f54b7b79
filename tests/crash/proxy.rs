//! A way to the database that can be cut or made silent.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{Mutex, watch},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    /// Nobody is there: connections are refused, and those that were open are reset.
    Cut,
    /// Everything is accepted and nothing comes back.
    Silent,
}

pub struct Proxy {
    address: SocketAddr,
    target: String,
    state: watch::Sender<State>,
    listener: Arc<Mutex<Option<tokio::task::JoinHandle<()>>>>,
}

impl Proxy {
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let proxy = Self {
            address,
            target: target.to_owned(),
            state: watch::Sender::new(State::Open),
            listener: Arc::default(),
        };
        proxy.listen(listener).await;
        proxy
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn set(&self, state: State) {
        self.state.send_replace(state);
        let mut listener = self.listener.lock().await;
        if state == State::Cut {
            if let Some(task) = listener.take() {
                task.abort();
                task.await.ok();
            }
        } else if listener.is_none() {
            drop(listener);
            let bound = TcpListener::bind(self.address).await.expect("the port is free again");
            self.listen(bound).await;
        }
    }

    async fn listen(&self, listener: TcpListener) {
        let (target, state) = (self.target.clone(), self.state.subscribe());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target.clone(), state.clone()));
            }
        });
        *self.listener.lock().await = Some(task);
    }
}

async fn carry(mut client: TcpStream, target: String, mut state: watch::Receiver<State>) {
    let Ok(mut server) = TcpStream::connect(&target).await else { return };
    loop {
        let now = *state.borrow_and_update();
        match now {
            State::Cut => return,
            State::Silent => {
                if state.changed().await.is_err() {
                    return;
                }
            }
            State::Open => tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => return,
                changed = state.changed() => if changed.is_err() { return },
            },
        }
    }
}
