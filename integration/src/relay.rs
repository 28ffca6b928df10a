//! A TCP address that stays while the server behind it comes back on another port.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Passes connections on to wherever it points; ended when dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    target: watch::Sender<SocketAddr>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Listens on a port of its own.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (target, targets) = watch::channel(target);
        let task = tokio::spawn(async move {
            while let Ok((inside, _)) = listener.accept().await {
                let target = *targets.borrow();
                tokio::spawn(pass(inside, target));
            }
        });
        Ok(Self { address, target, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections go here from now on.
    pub fn point_to(&self, target: SocketAddr) {
        self.target.send_replace(target);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection; its end, however it comes, is all that either side needs to know.
async fn pass(mut inside: TcpStream, target: SocketAddr) {
    if let Ok(mut outside) = TcpStream::connect(target).await {
        copy_bidirectional(&mut inside, &mut outside).await.unwrap_or_default();
    }
}
