//! A load generator for what wrk cannot do: a fixed rate (open loop) of posts or of reads, idle connections, and clients
//! that never read. Owns the modes and their arguments; each ends by itself and prints its figures as JSON.
//!
//! Usage, the address as `host:port`:
//! - `bench-load rate ADDRESS PER_SECOND CONNECTIONS SECONDS`: posts.
//! - `bench-load read ADDRESS PER_SECOND CONNECTIONS SECONDS PATH…`: so many reads a second of each path, by turns.
//! - `bench-load idle ADDRESS CONNECTIONS SECONDS`: connections that have been used once.
//! - `bench-load deaf ADDRESS CONNECTIONS SECONDS`: clients that post without end and never read an answer.

#![expect(clippy::disallowed_methods, reason = "a load generator is made of clock reads and pauses")]
#![expect(clippy::print_stdout, reason = "the figures go to whoever started it")]

mod answer;
mod held;
mod open;
mod outcome;

use std::error::Error;
use std::net::{SocketAddr, TcpStream};

use open::Schedule;

type Failure = Box<dyn Error>;

const BODY: &str = r#"{"author":"User1","sentence":"Massa id neque aliquam vestibulum morbi"}"#;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["rate", address, per_second, connections, seconds] => {
            let address = address.parse()?;
            open::run(&Schedule {
                address,
                requests: vec![post(address)],
                per_second: per_second.parse()?,
                connections: connections.parse()?,
                seconds: seconds.parse()?,
                tells: false,
            })
        }
        ["read", address, per_second, connections, seconds, ref paths @ ..] if !paths.is_empty() => {
            let address = address.parse()?;
            open::run(&Schedule {
                address,
                requests: paths.iter().map(|path| get(address, path)).collect(),
                per_second: per_second.parse()?,
                connections: connections.parse()?,
                seconds: seconds.parse()?,
                tells: true,
            })
        }
        ["idle", address, connections, seconds] => {
            held::idle(address.parse()?, connections.parse()?, seconds.parse()?)
        }
        ["deaf", address, connections, seconds] => {
            held::deaf(address.parse()?, connections.parse()?, seconds.parse()?)
        }
        _ => Err("usage: bench-load rate|read|idle|deaf ADDRESS …".into()),
    }
}

/// The post that every mode sends.
fn post(address: SocketAddr) -> Vec<u8> {
    let length = BODY.len();
    format!(
        "POST /sentence HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{BODY}"
    )
    .into_bytes()
}

fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}

fn connect(address: SocketAddr) -> Result<TcpStream, std::io::Error> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
