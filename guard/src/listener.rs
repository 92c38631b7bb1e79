//! The end of a listener: the connections that the system has accepted for it and nobody has taken are taken, since closing
//! it would reset them. Absent: serving them.

use std::net::{TcpListener, TcpStream};

use rustix::net::Shutdown;

/// Takes the connections that wait, and has the system refuse all others, also those of other handles of the listener.
/// Whoever accepts at it should have stopped.
pub fn close(listener: TcpListener) -> Vec<TcpStream> {
    let mut waiting = Vec::new();
    // From here on the system lets at most one more wait and has the others ask again, to be refused. Whoever came between
    // the last look and the end would be reset.
    rustix::net::listen(&listener, 0).ok();
    if listener.set_nonblocking(true).is_ok() {
        while let Ok((stream, _)) = listener.accept() {
            waiting.push(stream);
        }
    }
    // This ends the listening of all handles. Where it does not, dropping them does.
    rustix::net::shutdown(&listener, Shutdown::Read).ok();
    waiting
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn who_waits_is_taken_and_nobody_else_comes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = listener.try_clone().unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let waiting = close(listener);
        assert_eq!(waiting.len(), 3);
        assert!(TcpStream::connect(address).is_err(), "nobody listens");
        for (mut taken, client) in waiting.into_iter().zip(&mut clients) {
            taken.write_all(b"x").unwrap();
            drop(taken);
            let mut read = Vec::new();
            client.read_to_end(&mut read).unwrap();
            assert_eq!(read, b"x");
        }
        drop(other);
    }
}
