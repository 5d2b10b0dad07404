//! A TCP proxy that a test puts into a link, to cut it in the two ways in which
//! links die: closed, and half-open (nothing arrives any more, and no FIN).

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    thread,
};

/// What happens to bytes in the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Line {
    Forwards = 0,
    /// Existing connections swallow all bytes; new ones are taken and swallow too.
    HalfOpen = 1,
    /// New connections are closed at once.
    Refuses = 2,
}

#[derive(Debug, Default)]
struct Shared {
    line: AtomicU8,
    open: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn is(&self, line: Line) -> bool {
        self.line.load(Ordering::SeqCst) == line as u8
    }
}

/// A running proxy; its threads end with the process.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Forwards a free loopback port to `target`.
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the port has an address");
        let shared = Arc::new(Shared::default());
        let (target, state) = (target.to_owned(), shared.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !state.is(Line::Refuses)
                    && let Ok(server) = TcpStream::connect(&target)
                {
                    join(&state, client, server);
                }
            }
        });
        Self { address, shared }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Changes what happens to bytes from now on.
    pub fn set(&self, line: Line) {
        self.shared.line.store(line as u8, Ordering::SeqCst);
    }

    /// Closes every connection that is open now, on both sides.
    pub fn close_all(&self) {
        for stream in self.shared.open.lock().expect("no thread panicked").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn join(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
        shared
            .open
            .lock()
            .expect("no thread panicked")
            .push(stream.try_clone().expect("a socket clones"));
    }
    for (mut from, mut to) in [
        (
            client.try_clone().expect("a socket clones"),
            server.try_clone().expect("a socket clones"),
        ),
        (server, client),
    ] {
        let shared = shared.clone();
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                if shared.is(Line::HalfOpen) {
                    continue;
                }
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}
