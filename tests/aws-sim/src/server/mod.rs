//! The simulator as a server: one loopback port for every service of AWS and
//! for the control API under `/_sim/`.
//!
//! Start at [`Simulator::start`]; [`gateway`] takes a request through its
//! stations: recorded, held, applied, held, answered. What always holds: the
//! world's lock is never held while a request waits.

mod breakpoints;
mod control;
mod effects;
mod faults;
mod gateway;
mod late;
mod limiter;
mod request;
#[cfg(test)]
mod tests;
mod wire_log;
mod within;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use effects::{Disposition, Effect, Kind};
pub use faults::{Fault, Rule, Schedule};

use crate::world::{Seed, World, seed};

/// The largest request body that is read, in bytes.
const LARGEST_BODY: usize = 8 * 1024 * 1024;

/// How often the world moves on by itself, in the machine's time.
const TICK: Duration = Duration::from_millis(100);

/// What all connections share.
struct Shared {
    seed: Seed,
    speed: f64,
    address: SocketAddr,
    world: Mutex<World>,
    effects: effects::Log,
    breakpoints: breakpoints::Breakpoints,
    faults: faults::Faults,
    late: late::Late,
    limits: Mutex<limiter::Limiter>,
    registering: Mutex<std::collections::BTreeSet<(String, String, String)>>,
    started: std::time::Instant,
    wire: wire_log::WireLog,
    tasks: TaskTracker,
    stopped: CancellationToken,
}

impl Shared {
    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator's own edge to the machine's clock"
    )]
    fn new(seed: Seed, speed: f64, address: SocketAddr, world: World) -> Self {
        Self {
            limits: Mutex::new(limiter::Limiter::new(seed.limits)),
            seed,
            speed,
            address,
            world: Mutex::new(world),
            effects: effects::Log::default(),
            breakpoints: breakpoints::Breakpoints::default(),
            faults: faults::Faults::default(),
            late: late::Late::default(),
            registering: Mutex::default(),
            started: std::time::Instant::now(),
            wire: wire_log::WireLog::default(),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds of the machine's time since the start.
    fn machine_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator's own edge to the machine's clock"
    )]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A simulated AWS.
#[derive(Clone, Copy, Debug)]
pub struct Simulator;

/// A running simulator; it stops when this is dropped.
pub struct Handle {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Simulator {
    /// Starts a simulator of `seed` on `listen` (a loopback address; port 0 picks one).
    /// `speed` simulated seconds pass in one of the machine's; zero stands still.
    ///
    /// # Errors
    /// For an address that is not loopback or not free, and a seed that is not a world.
    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator's own edge to clock and network"
    )]
    pub async fn start(seed: Seed, listen: SocketAddr, speed: f64) -> Result<Handle> {
        if !matches!(listen.ip(), IpAddr::V4(ip) if ip.is_loopback())
            && !matches!(listen.ip(), IpAddr::V6(ip) if ip.is_loopback())
        {
            bail!(
                "aws-sim checks no signature and listens on loopback only, not on {listen}\nhint: --listen 127.0.0.1:0"
            );
        }
        let world = seed::build(&seed, speed)?;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        world.images.serve_at(&format!("http://{address}"));
        let shared = Arc::new(Shared::new(seed, speed, address, world));
        shared.tasks.spawn(accept(listener, shared.clone()));
        shared.tasks.spawn(keep_time(shared.clone()));
        Ok(Handle { address, shared })
    }
}

impl Handle {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, as an AWS SDK's endpoint URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn close(&self) {
        self.shared.stopped.cancel();
        // A request that is held would keep its task for ever.
        self.shared.breakpoints.clear();
        self.shared.tasks.close();
    }

    /// Keeps what goes over the wire from now on (`GET /_sim/wire`), in a file
    /// of `directory`, too, if there is one.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn record_wire(&self, directory: Option<&std::path::Path>) -> Result<()> {
        self.shared.wire.open(directory)
    }

    /// Closes the port and every connection.
    pub async fn stop(self) {
        self.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

async fn keep_time(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.stopped.cancelled() => return,
            _ = interval.tick() => {
                gateway::land(&shared);
                shared.world().advance();
            }
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            () = shared.stopped.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let _ignored = stream.set_nodelay(true);
                let shared = shared.clone();
                shared.tasks.clone().spawn(serve(TokioIo::new(stream), shared));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                shared.sleep(TICK).await;
            }
        }
    }
}

async fn serve(io: TokioIo<tokio::net::TcpStream>, shared: Arc<Shared>) {
    let stopped = shared.stopped.clone();
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { answer(request, shared).await }
    });
    let connection = http1::Builder::new().serve_connection(io, service);
    tokio::select! {
        () = stopped.cancelled() => {}
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
    }
}

/// No answer is sent, and the connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("the answer was dropped")]
pub struct Dropped;

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Dropped> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Err(Dropped),
    };
    let path = parts.uri.path();
    if let Some(control) = path.strip_prefix("/_sim/") {
        return Ok(control::answer(&shared, &parts, control, &body).await);
    }
    if parts.method == http::Method::GET && path == "/" {
        let text = "This is aws-sim, a simulator of parts of AWS. It is not AWS.\n";
        return Ok(gateway::respond(
            200,
            "text/plain; charset=utf-8",
            text.to_owned(),
            "",
        ));
    }
    let answer = gateway::answer(shared.clone(), &parts, &body).await;
    shared.wire.record(&parts, &body, answer.as_ref().ok()).await;
    answer
}
