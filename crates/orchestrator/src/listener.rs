//! Accepting connections, at most so many at once.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_stream::{Stream, wrappers::TcpListenerStream};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// A connection and its share of the bound.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

/// Binds and says where; connections over the bound are closed at once.
pub async fn bind(
    address: SocketAddr,
    connections: usize,
) -> io::Result<(SocketAddr, impl Stream<Item = io::Result<Connection>>)> {
    let listener = TcpListener::bind(address).await?;
    let local = listener.local_addr()?;
    let bound = Arc::new(Semaphore::new(connections));
    let incoming = TcpListenerStream::new(listener).filter_map(move |stream| {
        let admitted = admit(&bound, stream);
        async move { admitted }
    });
    Ok((local, incoming))
}

fn admit(bound: &Arc<Semaphore>, stream: io::Result<TcpStream>) -> Option<io::Result<Connection>> {
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => return Some(Err(error)),
    };
    let Ok(permit) = Arc::clone(bound).try_acquire_owned() else {
        tracing::warn!("listener: too many connections; one was closed");
        return None;
    };
    let connection = stream.set_nodelay(true).map(|()| Connection {
        stream,
        _permit: permit,
    });
    Some(connection)
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;
    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
