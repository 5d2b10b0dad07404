//! Turmoil's network behind Towline's seam, and the end of a host: whoever has
//! died reads and writes nothing more, in the same instant.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use towline_link::seams::{Ear, Simulated, Wire};
use turmoil::net::{TcpListener, TcpStream};

/// Of one start of a host.
#[derive(Clone, Debug, Default)]
pub struct Life(Arc<AtomicBool>);

impl Life {
    pub fn end(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The network as one start of a host sees it.
pub struct Net(pub Life);

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("turmoil")
    }
}

impl Simulated for Net {
    fn connect(&self, address: &str) -> BoxFuture<'static, io::Result<(Box<dyn Wire>, SocketAddr)>> {
        let (address, life) = (address.to_owned(), self.0.clone());
        Box::pin(async move {
            let stream = TcpStream::connect(address.as_str()).await?;
            let remote = stream.peer_addr()?;
            let wire: Box<dyn Wire> = Box::new(Line { stream, life });
            Ok((wire, remote))
        })
    }

    fn listen(&self, address: &str) -> BoxFuture<'static, io::Result<Box<dyn Ear>>> {
        let (address, life) = (address.to_owned(), self.0.clone());
        Box::pin(async move {
            let listener = TcpListener::bind(address.as_str()).await?;
            let ear: Box<dyn Ear> = Box::new(Door { listener, life });
            Ok(ear)
        })
    }
}

struct Door {
    listener: TcpListener,
    life: Life,
}

impl Ear for Door {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Wire>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, remote) = self.listener.accept().await?;
            if self.life.is_over() {
                std::future::pending::<()>().await;
            }
            let life = self.life.clone();
            let wire: Box<dyn Wire> = Box::new(Line { stream, life });
            Ok((wire, remote))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

struct Line {
    stream: TcpStream,
    life: Life,
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.life.is_over() {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.life.is_over() {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.life.is_over() {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
