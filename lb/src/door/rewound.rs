//! A client connection whose first bytes were read already: they are given again, then the stream goes on. Absent: any
//! change to the bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream behind the bytes that were read from it.
pub(crate) struct Rewound<S> {
    read: Vec<u8>,
    given: usize,
    stream: S,
}

impl<S> Rewound<S> {
    /// `read` stands before what `stream` still gives.
    pub(crate) fn new(read: Vec<u8>, stream: S) -> Self {
        Self { read, given: 0, stream }
    }

    /// What is still to be given again, and the stream behind it.
    pub(crate) fn into_parts(mut self) -> (Vec<u8>, S) {
        self.read.drain(..self.given);
        (self.read, self.stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let rest = this.read.get(this.given..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let n = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..n).unwrap_or_default());
        this.given += n;
        if this.given == this.read.len() {
            (this.read, this.given) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_was_read_comes_again_before_the_rest() {
        let (near, mut far) = tokio::io::duplex(64);
        far.write_all(b" and more").await.unwrap();
        let mut rewound = Rewound::new(b"read already".to_vec(), near);
        let mut first = [0; 5];
        rewound.read_exact(&mut first).await.unwrap();
        let (left, near) = rewound.into_parts();
        assert_eq!((&first[..], left.as_slice()), (&b"read "[..], &b"already"[..]));
        let mut rewound = Rewound::new(left, near);
        rewound.write_all(b"answer").await.unwrap();
        drop(far.shutdown().await);
        let mut rest = String::new();
        rewound.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "already and more");
    }
}
