//! The simulator inside a simulation: no port, no time of its own. Requests
//! come in by a function call, and a hand moves the clock.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use super::{Handle, Shared, Simulator, control, effects::Effect, faults::Schedule, gateway, keep_time};
use crate::world::{Clock, Hand, Seed, SimTime, seed};

impl Simulator {
    /// A simulator that begins at `start` and whose time is moved by the hand. Its
    /// own tasks belong to the runtime that this is called in.
    ///
    /// # Errors
    /// For a seed that is not a world.
    pub fn within(seed: Seed, start: jiff::Timestamp) -> Result<(Handle, Hand)> {
        let (clock, hand) = Clock::driven(SimTime(start.as_millisecond()));
        let world = seed::build_at(&seed, clock)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let shared = Arc::new(Shared::new(seed, 0.0, address, world));
        shared.tasks.spawn(keep_time(shared.clone()));
        Ok((Handle { address, shared }, hand))
    }
}

impl Handle {
    /// Answers a request of AWS's wire protocols, or of the control API; `None`
    /// where a server would close the connection.
    pub async fn answer(&self, request: Request<Bytes>) -> Option<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        if let Some(control) = parts.uri.path().strip_prefix("/_sim/") {
            return Some(control::answer(&self.shared, &parts, control, &body).await);
        }
        gateway::answer(self.shared.clone(), &parts, &body).await.ok()
    }

    /// Every arrival after this number.
    pub fn effects(&self, after: u64) -> Vec<Effect> {
        self.shared.effects.after(after)
    }

    /// Replaces the schedule of faults.
    pub fn set_faults(&self, schedule: Schedule) {
        self.shared.faults.set(schedule);
    }
}
