use std::{
    future::Future as _,
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::Instant,
};
use tokio_rustls::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{EndReason, LinkHandle, LinkTiming, PeerInfo, handle::Loss};
use crate::{
    identity::Identity,
    seams::{Clock, Stream},
};

/// The bytes of one connection after its handshake. Dropping it closes the
/// connection; [`LinkHandle::kill`] closes it from elsewhere.
pub struct LinkStream {
    transport: Transport,
    peer: PeerInfo,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    watchdog: Option<Watchdog>,
    _permit: Option<OwnedSemaphorePermit>,
}

enum Transport {
    Tls(Box<TlsStream<Stream>>),
    Memory(DuplexStream),
}

/// Ends the connection when nothing arrives for too long.
struct Watchdog {
    timing: LinkTiming,
    next: Instant,
    tick: BoxFuture<'static, ()>,
}

impl Watchdog {
    fn new(clock: Clock, timing: LinkTiming) -> Self {
        // Often enough to add little to the limit.
        let every = (timing.busy_limit / 18).max(Duration::from_millis(5));
        Self {
            timing,
            next: clock.instant() + every,
            tick: Box::pin(async move { clock.sleep(every).await }),
        }
    }
}

impl LinkStream {
    pub(crate) fn tls(stream: TlsStream<Stream>, peer: PeerInfo) -> Self {
        Self::new(Transport::Tls(Box::new(stream)), peer)
    }

    fn new(transport: Transport, peer: PeerInfo) -> Self {
        Self {
            transport,
            ended: Box::pin(peer.link.cancelled()),
            peer,
            watchdog: None,
            _permit: None,
        }
    }

    /// Two ends of a connection inside this process, without TLS: what `first`
    /// and `second` see of each other. For tests with a paused clock.
    pub fn in_memory(clock: Clock, first: Identity, second: Identity) -> (Self, Self) {
        let (near, far) = tokio::io::duplex(256 * 1024);
        let end = |io, peer: Identity| {
            let label = peer.to_string();
            let info = PeerInfo {
                identity: Some(peer),
                remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                certificate_expires: None,
                certificate_serial: None,
                link: LinkHandle::new(clock, label, Loss::Matters),
            };
            Self::new(Transport::Memory(io), info)
        };
        (end(near, second), end(far, first))
    }

    /// Ends the connection when nothing arrives for as long as `timing` says.
    /// For the end that is tried by the other: an agent's.
    #[must_use]
    pub fn watched(mut self, timing: LinkTiming) -> Self {
        self.watchdog = Some(Watchdog::new(self.peer.link.clock(), timing));
        self
    }

    pub(crate) fn holding(mut self, permit: OwnedSemaphorePermit) -> Self {
        self._permit = Some(permit);
        self
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &PeerInfo {
        &self.peer
    }

    /// The view of this connection that outlives it.
    pub fn handle(&self) -> &LinkHandle {
        &self.peer.link
    }

    /// Registers for the end and the watchdog; an error when the end has come.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let Some(watchdog) = &mut self.watchdog {
            while watchdog.tick.as_mut().poll(cx).is_ready() {
                self.peer.link.end_if_silent(&watchdog.timing, watchdog.next);
                *watchdog = Watchdog::new(self.peer.link.clock(), watchdog.timing);
            }
        }
        match self.ended.as_mut().poll(cx) {
            Poll::Ready(()) => Err(self.end_error()),
            Poll::Pending => Ok(()),
        }
    }

    fn end_error(&self) -> io::Error {
        let text = match self.peer.link.end() {
            Some(end) => end.to_string(),
            None => "the connection has ended".to_owned(),
        };
        io::Error::new(io::ErrorKind::ConnectionAborted, text)
    }

    fn observe<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.peer.link.finish(end_of(error));
        }
        result
    }
}

/// A peer that goes away without TLS's good-bye still only closed. In TLS 1.3 a
/// refused certificate shows only now, as an alert.
fn end_of(error: &io::Error) -> EndReason {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(rustls::Error::AlertReceived(alert)) = inner {
        return EndReason::Refused(format!("{alert:?}"));
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => EndReason::ClosedByPeer,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            EndReason::Broken(format!("reset by the other end ({error})"))
        }
        _ => EndReason::Broken(error.to_string()),
    }
}

impl AsyncRead for LinkStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_end(cx)?;
        let before = buffer.filled().len();
        let result = match &mut self.transport {
            Transport::Tls(stream) => ready!(Pin::new(stream).poll_read(cx, buffer)),
            Transport::Memory(stream) => ready!(Pin::new(stream).poll_read(cx, buffer)),
        };
        self.observe(result)?;
        match buffer.filled().len() - before {
            0 if buffer.remaining() > 0 => self.peer.link.finish(EndReason::ClosedByPeer),
            0 => {}
            bytes => self.peer.link.saw(bytes),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LinkStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_end(cx)?;
        let result = match &mut self.transport {
            Transport::Tls(stream) => ready!(Pin::new(stream).poll_write(cx, bytes)),
            Transport::Memory(stream) => ready!(Pin::new(stream).poll_write(cx, bytes)),
        };
        Poll::Ready(self.observe(result))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(cx)?;
        let result = match &mut self.transport {
            Transport::Tls(stream) => ready!(Pin::new(stream).poll_flush(cx)),
            Transport::Memory(stream) => ready!(Pin::new(stream).poll_flush(cx)),
        };
        Poll::Ready(self.observe(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A good-bye to a peer that is gone could wait for ever.
        if self.peer.link.is_ended() {
            return Poll::Ready(Ok(()));
        }
        match &mut self.transport {
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl tonic::transport::server::Connected for LinkStream {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.peer.clone()
    }
}

impl Drop for LinkStream {
    fn drop(&mut self) {
        self.peer.link.finish(EndReason::Closed);
    }
}
