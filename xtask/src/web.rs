//! `GET` over a bare socket, for commands that look at a server of ours. No TLS, no redirects, loopback only.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};

/// Asks `url` (`http://host:port`) for `path` and gives the status and the body.
///
/// # Errors
/// When there is no answer within ten seconds, or none that is HTTP.
pub fn get(url: &str, path: &str) -> Result<(u16, String)> {
    let address = url.trim_start_matches("http://");
    let fetch = || -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        // HTTP/1.0, so that the body is plain and ends with the connection.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    };
    fetch().with_context(|| format!("GET {url}{path} failed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn status_and_body_are_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\nno").unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        assert_eq!(get(&url, "/usage").unwrap(), (404, "no".to_owned()));
        assert!(server.join().unwrap().starts_with("GET /usage HTTP/1.0\r\n"));
    }
}
