//! Any byte stream with the patience of this house: what hyper does not time, this does.
//!
//! Promises: a client whose first request is not there in time, however it drips in, is dropped, as is one that takes
//! none of its answer for its connection's patience; after an early refusal the sender is listened to for a moment, so that
//! it reads the answer instead of a reset. Never: changes a byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::request::Connection;
use crate::model::limits;

/// A stream with deadlines.
pub struct Socket<IO> {
    io: IO,
    connection: Connection,
    /// Until the first request is there.
    silent: Option<Pin<Box<Sleep>>>,
    /// While the peer takes nothing.
    write_stuck: Option<Pin<Box<Sleep>>>,
    closing: Closing,
}

enum Closing {
    NotYet,
    Lingering { until: Pin<Box<Sleep>>, bytes_left: usize },
    Closed,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Socket<IO> {
    /// Starts the clock on a connection that was just accepted.
    pub fn new(io: IO, connection: Connection, first_request: Duration) -> Self {
        let silent = Some(Box::pin(sleep(first_request)));
        Self { io, connection, silent, write_stuck: None, closing: Closing::NotYet }
    }

    /// A write is timed from the first moment it makes no progress.
    fn timed<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_stuck = None;
            return written;
        }
        let patience = self.connection.terms().write_idle;
        let stuck = self.write_stuck.get_or_insert_with(|| Box::pin(sleep(patience)));
        expired(stuck, context).map(Err)
    }

    /// Throws away what still comes, until the peer closes or patience ends.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Closing::Lingering { until, bytes_left } = &mut self.closing else { return Poll::Ready(()) };
        let mut scratch = [0u8; 16 * 1024];
        while until.as_mut().poll(context).is_pending() && *bytes_left > 0 {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.io).poll_read(context, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => *bytes_left = bytes_left.saturating_sub(buf.filled().len()),
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }
}

fn expired(deadline: &mut Pin<Box<Sleep>>, context: &mut Context<'_>) -> Poll<io::Error> {
    deadline.as_mut().poll(context).map(|()| io::Error::from(io::ErrorKind::TimedOut))
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<IO> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = &mut *self;
        let read = Pin::new(&mut socket.io).poll_read(context, buf);
        if socket.connection.has_asked() {
            socket.silent = None;
        }
        let Some(deadline) = &mut socket.silent else { return read };
        if read.is_pending() { expired(deadline, context).map(Err) } else { read }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.timed(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.timed(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut *self;
        if matches!(socket.closing, Closing::NotYet) {
            ready!(Pin::new(&mut socket.io).poll_shutdown(context))?;
            let patience = if socket.connection.has_unread_body() { limits::LINGER } else { Duration::ZERO };
            let until = Box::pin(sleep(patience));
            socket.closing = Closing::Lingering { until, bytes_left: limits::LINGER_BYTES_MAX };
        }
        ready!(socket.poll_linger(context));
        socket.closing = Closing::Closed;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::server::request::Peer;

    fn pair() -> (Socket<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(64);
        let peer = Peer::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        (Socket::new(ours, Connection::new(peer), limits::HEADERS_READ), theirs)
    }

    #[tokio::test]
    async fn bytes_pass_unchanged_both_ways() {
        let (mut socket, mut client) = pair();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("room");
        let mut read = [0; 27];
        socket.read_exact(&mut read).await.expect("bytes");
        assert!(socket.silent.is_some(), "until it is a request");
        socket.connection.asks();
        socket.write_all(b"answer").await.expect("room");
        socket.shutdown().await.expect("closes at once");
        assert!(socket.read(&mut read).now_or_never().is_none() && socket.silent.is_none());
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("an end");
        assert_eq!(answer, b"answer");
    }
}
