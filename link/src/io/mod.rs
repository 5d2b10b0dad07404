//! One authenticated connection. [`LinkStream`] carries the bytes, [`PeerInfo`]
//! says who is at the other end, and [`LinkHandle`] looks at the connection and
//! ends it from elsewhere. A connection ends exactly once and for one stated
//! reason ([`LinkEnd`]); whoever holds a handle learns it, and the log too.

mod handle;
mod socket;
mod stream;

use std::{fmt, net::SocketAddr, time::Duration};

use jiff::Timestamp;

pub(crate) use handle::Loss;
pub use handle::{LinkHandle, OpenCall};
pub(crate) use socket::tune;
pub use stream::LinkStream;

use crate::{Serial, identity::Identity};

/// The other end of a connection. tonic puts it into the extensions of every
/// request that came over the connection.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// `None` only where no client certificate is asked: enrolment and pages.
    pub identity: Option<Identity>,
    pub remote: SocketAddr,
    pub certificate_expires: Option<Timestamp>,
    pub certificate_serial: Option<Serial>,
    /// The connection itself.
    pub link: LinkHandle,
}

/// How often a link is tried, and how long it may be silent. A link is busy
/// while a call is open on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkTiming {
    pub busy_check: Duration,
    /// Silence after which a busy link counts as lost.
    pub busy_limit: Duration,
    pub idle_check: Duration,
    /// Silence after which an idle link counts as lost.
    pub idle_limit: Duration,
}

impl Default for LinkTiming {
    /// Lost within 10 s when busy and 25 s when idle, at a tenth of a core for
    /// 10,000 idle links.
    fn default() -> Self {
        Self {
            busy_check: Duration::from_secs(3),
            busy_limit: Duration::from_secs(9),
            idle_check: Duration::from_secs(10),
            idle_limit: Duration::from_secs(23),
        }
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEnd {
    pub reason: EndReason,
    /// How long the connection lived.
    pub uptime: Duration,
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {:.1} s", self.reason, self.uptime.as_secs_f64())
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Ended on purpose by this side: revoked, removed, shutting down.
    Killed(String),
    /// The same identity opened a newer link.
    Replaced,
    /// Nothing arrived for this long: the other end or the network is gone.
    Silent(Duration),
    ClosedByPeer,
    /// The other end did not accept our certificate.
    Refused(String),
    /// The system or TLS reported an error.
    Broken(String),
    /// This side had no more use for the connection.
    Closed,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(why) => write!(f, "ended here: {why}"),
            Self::Replaced => f.write_str("replaced by a newer link of the same identity"),
            Self::Silent(silence) => write!(f, "nothing received for {:.1} s", silence.as_secs_f64()),
            Self::ClosedByPeer => f.write_str("closed by the other end"),
            Self::Refused(alert) => write!(f, "the other end refused our certificate ({alert})"),
            Self::Broken(error) => write!(f, "broken: {error}"),
            Self::Closed => f.write_str("closed here"),
        }
    }
}
