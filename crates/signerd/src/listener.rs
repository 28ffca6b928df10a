//! Listeners: mutual TLS, so many connections at most, and a bound on everything that a client can make us wait for.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use countersign_proto::tls::Pem;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_stream::Stream;
use tonic::transport::{
    Server,
    server::{Connected, TcpConnectInfo, TcpIncoming},
};

/// Connections of one listener: orchestrators keep a few each, people come one by one.
pub const MAX_CONNECTIONS: usize = 128;
/// Calls in progress on one connection; more wait at the client.
const MAX_STREAMS: u32 = 128;
/// Our clients send a few short headers.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// A handshake takes two round trips and some milliseconds.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that does not answer a ping for [`PING_TIMEOUT`] has gone, and its connection is free again.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Certificates are looked at again at least this often: an expired one does not stay connected.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(60 * 60);
/// Calls in progress end by then on a connection that is too old.
const MAX_CONNECTION_AGE_GRACE: Duration = Duration::from_secs(120);

/// An accepted connection. It counts until it is dropped.
pub struct Connection {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

/// The connections of a listener.
pub struct Incoming {
    tcp: TcpIncoming,
    free: Arc<Semaphore>,
    name: &'static str,
}

impl Incoming {
    /// Binds; must be called inside a tokio runtime. Connections over the bound are closed at once.
    pub fn bind(name: &'static str, address: SocketAddr, connections: usize) -> io::Result<Self> {
        let tcp = TcpIncoming::bind(address)?.with_nodelay(Some(true));
        Ok(Self {
            tcp,
            free: Arc::new(Semaphore::new(connections)),
            name,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let accepted = std::task::ready!(Pin::new(&mut self.tcp).poll_next(cx));
            let stream = match accepted {
                Some(Ok(stream)) => stream,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            match Arc::clone(&self.free).try_acquire_owned() {
                Ok(permit) => {
                    return Poll::Ready(Some(Ok(Connection {
                        stream,
                        _permit: permit,
                    })));
                }
                Err(_) => tracing::warn!(listener = self.name, "too many connections; one was closed"),
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;
    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A server without services. `timeout` bounds a call from its headers to its answer, the reading of its message included.
pub fn server(pem: &Pem, timeout: Duration) -> Result<Server, tonic::transport::Error> {
    Ok(Server::builder()
        .tls_config(pem.server().timeout(HANDSHAKE_TIMEOUT))?
        .timeout(timeout)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .max_connection_age(MAX_CONNECTION_AGE)
        .max_connection_age_grace(MAX_CONNECTION_AGE_GRACE))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio_stream::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn connections_over_the_bound_are_closed_and_the_bound_recovers() {
        let mut incoming = Incoming::bind("test", "127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let address = incoming.address().unwrap();
        let _first = TcpStream::connect(address).await.unwrap();
        let held = incoming.next().await.unwrap().unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let waiting = tokio::spawn(async move { incoming.next().await.unwrap().unwrap() });
        // Closed without a byte.
        assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 0);
        drop(held);
        let third = TcpStream::connect(address).await.unwrap();
        let accepted = waiting.await.unwrap();
        assert_eq!(accepted.connect_info().remote_addr(), Some(third.local_addr().unwrap()));
    }
}
