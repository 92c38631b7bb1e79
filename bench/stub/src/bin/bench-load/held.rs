//! Connections that are held without being used: idle ones, and those of clients that never read an answer.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::answer::{Answer, STEP};
use crate::{Failure, connect, post};

/// How long the one answer of an idle connection is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens connections, sends one request on each so that it counts as kept alive, then holds them all.
pub(crate) fn idle(address: SocketAddr, connections: usize, seconds: u64) -> Result<(), Failure> {
    let request = post(address);
    let mut held = Vec::with_capacity(connections);
    let mut buffer = vec![0; STEP];
    let mut refused = 0;
    for _ in 0..connections {
        let mut stream = connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&request)?;
        let mut answer = Answer::default();
        let start = Instant::now();
        let status = loop {
            if let Some(status) = answer.read(&mut stream, &mut buffer)? {
                break status;
            }
            if start.elapsed() >= PATIENCE {
                return Err("an idle connection got no answer to its one request".into());
            }
        };
        refused += usize::from(status != 200);
        held.push(stream);
    }
    println!(r#"{{"open":{},"refused":{refused}}}"#, held.len());
    std::thread::sleep(Duration::from_secs(seconds));
    let mut ended = 0;
    for stream in &mut held {
        stream.set_nonblocking(true)?;
        ended += usize::from(matches!(stream.read(&mut [0]), Ok(0)));
    }
    println!(r#"{{"ended_by_the_server":{ended}}}"#);
    Ok(())
}

/// Sends requests without end on each connection and never reads an answer.
pub(crate) fn deaf(address: SocketAddr, connections: usize, seconds: u64) -> Result<(), Failure> {
    let request = post(address).repeat(64);
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = connect(address)?;
        stream.set_nonblocking(true)?;
        streams.push((stream, 0usize));
    }
    let (mut sent, mut ended) = (0u64, 0usize);
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until && !streams.is_empty() {
        let mut moved = false;
        let mut failed = Vec::new();
        for (index, (stream, offset)) in streams.iter_mut().enumerate() {
            match stream.write(request.get(*offset..).unwrap_or_default()) {
                Ok(written) => {
                    moved = true;
                    sent += u64::try_from(written)?;
                    *offset = (*offset + written) % request.len();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => failed.push(index),
            }
        }
        for index in failed.into_iter().rev() {
            streams.swap_remove(index);
            ended += 1;
        }
        if !moved {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    println!(r#"{{"sent_bytes":{sent},"ended_by_the_server":{ended}}}"#);
    Ok(())
}
