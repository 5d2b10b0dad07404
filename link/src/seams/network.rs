//! How connections are made and taken: by the operating system, or by a
//! simulation that brings its own streams.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// How connections are made and taken.
#[derive(Clone, Debug)]
pub enum Network {
    /// TCP of the operating system.
    Tcp,
    /// That of a simulation in this process.
    Simulated(Arc<dyn Simulated>),
}

/// A network that a simulation brings.
pub trait Simulated: Send + Sync + fmt::Debug {
    fn connect(&self, address: &str) -> BoxFuture<'static, io::Result<(Box<dyn Wire>, SocketAddr)>>;
    fn listen(&self, address: &str) -> BoxFuture<'static, io::Result<Box<dyn Ear>>>;
}

/// The bytes of a simulated connection.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A simulated port that is listened on.
pub trait Ear: Send + Sync {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Wire>, SocketAddr)>>;
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

impl Network {
    /// Connects to `host:port`.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub async fn connect(&self, address: &str) -> io::Result<Stream> {
        match self {
            Self::Tcp => Ok(Stream::Tcp(TcpStream::connect(address).await?)),
            Self::Simulated(network) => {
                let (wire, remote) = network.connect(address).await?;
                Ok(Stream::Simulated { wire, remote })
            }
        }
    }

    /// Listens on `host:port`.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub async fn listen(&self, address: &str) -> io::Result<Listener> {
        match self {
            Self::Tcp => Ok(Listener::Tcp(TcpListener::bind(address).await?)),
            Self::Simulated(network) => Ok(Listener::Simulated(network.listen(address).await?)),
        }
    }
}

/// A port that is listened on.
pub enum Listener {
    Tcp(TcpListener),
    Simulated(Box<dyn Ear>),
}

impl Listener {
    /// The next connection, and where it comes from.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                Ok((Stream::Tcp(stream), remote))
            }
            Self::Simulated(ear) => {
                let (wire, remote) = ear.accept().await?;
                Ok((Stream::Simulated { wire, remote }, remote))
            }
        }
    }

    /// Where it listens; the real port when 0 was asked for.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Simulated(ear) => ear.local_addr(),
        }
    }
}

/// The bytes of a connection, before any handshake.
pub enum Stream {
    Tcp(TcpStream),
    Simulated { wire: Box<dyn Wire>, remote: SocketAddr },
}

impl Stream {
    /// The address of the other end.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr(),
            Self::Simulated { remote, .. } => Ok(*remote),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Simulated { wire, .. } => Pin::new(wire).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Simulated { wire, .. } => Pin::new(wire).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Simulated { wire, .. } => Pin::new(wire).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Simulated { wire, .. } => wire.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Simulated { wire, .. } => Pin::new(wire).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Simulated { wire, .. } => Pin::new(wire).poll_shutdown(cx),
        }
    }
}
