//! A TCP cable between dialler and acceptor that can be cut: with a good-bye
//! (closed) or without (nothing goes through any more, and nobody is told).

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use towline_link::seams::{Network, Stream};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Whole,
    /// Every connection that exists is dropped.
    Closed,
    /// Bytes of every connection that exists are swallowed.
    Silent,
}

pub struct Cable {
    pub address: SocketAddr,
    state: watch::Sender<State>,
    stop: CancellationToken,
}

impl Cable {
    pub async fn to(target: SocketAddr) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), target).await
    }

    pub async fn at(address: SocketAddr, target: SocketAddr) -> Self {
        let listener = Network::Tcp.listen(&address.to_string()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, seen) = watch::channel(State::Whole);
        let stop = CancellationToken::new();
        let (tasks, ended) = (TaskTracker::new(), stop.clone());
        TaskTracker::new().spawn(ended.clone().run_until_cancelled_owned(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = Network::Tcp.connect(&target.to_string()).await.unwrap();
                tasks.spawn(
                    ended
                        .clone()
                        .run_until_cancelled_owned(carry(near, far, seen.clone())),
                );
            }
        }));
        Self { address, state, stop }
    }

    /// Cuts the connections that exist. New ones go through once it is whole.
    pub fn cut(&self, how: State) {
        self.state.send_replace(how);
    }

    pub fn mend(&self) {
        self.state.send_replace(State::Whole);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn carry(mut near: Stream, mut far: Stream, mut state: watch::Receiver<State>) {
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    if state.wait_for(|state| *state == State::Whole).await.is_err() {
        return;
    }
    let mut swallow = false;
    loop {
        tokio::select! {
            changed = state.changed() => {
                let now = *state.borrow_and_update();
                swallow |= now == State::Silent;
                if changed.is_err() || now == State::Closed {
                    return;
                }
            }
            read = near.read(&mut up) => match read {
                // A cable that swallows also swallows the good-byes.
                Ok(0) | Err(_) if swallow => std::future::pending().await,
                Ok(0) | Err(_) => return,
                Ok(_) if swallow => {}
                Ok(bytes) => if far.write_all(&up[..bytes]).await.is_err() { return },
            },
            read = far.read(&mut down) => match read {
                Ok(0) | Err(_) if swallow => std::future::pending().await,
                Ok(0) | Err(_) => return,
                Ok(_) if swallow => {}
                Ok(bytes) => if near.write_all(&down[..bytes]).await.is_err() { return },
            },
        }
    }
}
