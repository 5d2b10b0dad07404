use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::mpsc;

use crate::io::LinkStream;

/// Finished connections for tonic's `serve_with_incoming`: a dialer and an
/// acceptor push into the sender.
pub fn incoming(capacity: usize) -> (mpsc::Sender<LinkStream>, Incoming) {
    let (sender, receiver) = mpsc::channel(capacity);
    (sender, Incoming(receiver))
}

/// The stream that tonic serves from. Ends when every sender is gone.
pub struct Incoming(mpsc::Receiver<LinkStream>);

impl tokio_stream::Stream for Incoming {
    type Item = io::Result<LinkStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|stream| stream.map(Ok))
    }
}
