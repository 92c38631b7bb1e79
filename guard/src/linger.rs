//! The end of a connection whose client may still be sending. Absent: what it was told before.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Time for which a client may still send what nobody reads.
pub const LINGER: Duration = Duration::from_secs(2);

/// Closes so that the client can still read what it was sent: a socket closed with unread bytes would be reset.
pub async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut unread = [0; 4096];
    let drain = async { while stream.read(&mut unread).await.is_ok_and(|n| n > 0) {} };
    // Whoever still sends after this is cut off.
    tokio::time::timeout(LINGER, drain).await.ok();
}
