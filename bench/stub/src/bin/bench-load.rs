//! A load generator for what wrk cannot do: a fixed rate (open loop), idle connections, and clients that never read.
//! Owns the schedule and the latencies; prints one JSON object at the end. Each mode ends by itself.
//!
//! Usage: `bench-load rate ADDRESS PER_SECOND CONNECTIONS SECONDS`, `bench-load idle ADDRESS CONNECTIONS SECONDS` or
//! `bench-load deaf ADDRESS CONNECTIONS SECONDS`.
//!
//! The rate does not wait for answers: request `i` is due at `start + i / rate`, and its latency counts from then, also
//! when every connection was busy (so a stall is charged to all the requests that fell due in it).

#![expect(clippy::disallowed_methods, reason = "a load generator is made of clock reads and pauses")]

use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::time::Timespec;

type Failure = Box<dyn Error>;

const BODY: &str = r#"{"author":"User1","sentence":"Massa id neque aliquam vestibulum morbi"}"#;
/// How long after the last due time answers are waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Answers within this time of the start warm the path up and are not counted.
const WARM_UP: Duration = Duration::from_millis(500);

fn post(address: SocketAddr) -> Vec<u8> {
    format!(
        "POST /sentence HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes()
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["rate", address, rate, connections, seconds] => {
            rate_mode(address.parse()?, rate.parse()?, connections.parse()?, seconds.parse()?)
        }
        ["idle", address, connections, seconds] => {
            idle_mode(address.parse()?, connections.parse()?, seconds.parse()?)
        }
        ["deaf", address, connections, seconds] => {
            deaf_mode(address.parse()?, connections.parse()?, seconds.parse()?)
        }
        _ => Err("usage: bench-load rate|idle|deaf ADDRESS …".into()),
    }
}

/// A connection of the fixed-rate mode: at most one request at a time.
struct Connection {
    stream: TcpStream,
    due: Option<Instant>,
    received: Vec<u8>,
}

/// What came of the requests that were due after the warm-up.
#[derive(Default)]
struct Outcome {
    latencies_ns: Vec<u64>,
    answered_in_all: u64,
    due: u64,
    refused: u64,
    broken: u64,
    most_waiting: usize,
}

fn rate_mode(address: SocketAddr, rate: u64, connections: usize, seconds: u64) -> Result<(), Failure> {
    // The default slack lets the kernel wake this thread 50 microseconds late.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let request = post(address);
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut all = Vec::new();
    for at in 0..connections {
        let stream = connect(address)?;
        stream.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(u64::try_from(at)?);
        epoll::add(&poll, &stream, data, epoll::EventFlags::IN)?;
        all.push(Connection { stream, due: None, received: Vec::with_capacity(1024) });
    }
    let mut free: VecDeque<usize> = (0..connections).collect();
    let mut waiting: VecDeque<Instant> = VecDeque::new();
    let mut outcome = Outcome::default();
    let start = Instant::now() + Duration::from_millis(10);
    let counted_from = start + WARM_UP;
    let total = rate * seconds + rate * u64::try_from(WARM_UP.as_millis())? / 1000;
    let due_at = |request: u64| start + Duration::from_nanos(request * 1_000_000_000 / rate);
    let give_up = due_at(total) + PATIENCE;
    let (mut next, mut open) = (0, 0u64);
    let mut events = Vec::with_capacity(256);
    loop {
        let now = Instant::now();
        while next < total && due_at(next) <= now {
            waiting.push_back(due_at(next));
            outcome.due += u64::from(due_at(next) >= counted_from);
            next += 1;
        }
        while let (Some(&at), Some(&due)) = (free.front(), waiting.front()) {
            let connection = &mut all[at];
            // A request fits the empty send buffer of an idle connection as a whole.
            connection.stream.write_all(&request)?;
            connection.due = Some(due);
            free.pop_front();
            waiting.pop_front();
            open += 1;
        }
        outcome.most_waiting = outcome.most_waiting.max(waiting.len());
        if (next == total && open == 0 && waiting.is_empty()) || now >= give_up {
            break;
        }
        let until = if next < total { due_at(next) } else { give_up };
        let pause = Timespec::try_from(until.saturating_duration_since(Instant::now()))?;
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        for event in &events {
            let at = usize::try_from(event.data.u64())?;
            let connection = &mut all[at];
            let Some(status) = receive(connection)? else { continue };
            let Some(due) = connection.due.take() else { return Err("an answer without a request".into()) };
            open -= 1;
            outcome.answered_in_all += 1;
            if due >= counted_from {
                if status == 200 {
                    outcome.latencies_ns.push(u64::try_from((now - due).as_nanos())?);
                } else {
                    outcome.refused += 1;
                }
            }
            if status == 0 {
                outcome.broken += 1;
                let stream = connect(address)?;
                stream.set_nonblocking(true)?;
                epoll::add(&poll, &stream, event.data, epoll::EventFlags::IN)?;
                connection.stream = stream;
            }
            free.push_back(at);
        }
    }
    print_outcome(outcome, seconds);
    Ok(())
}

fn connect(address: SocketAddr) -> Result<TcpStream, std::io::Error> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads what has come; the status once a whole answer is there, 0 when the connection ended instead.
///
/// One read is enough: the poll is level-triggered and tells again of what is left.
fn receive(connection: &mut Connection) -> Result<Option<u16>, Failure> {
    let mut buffer = [0; 4096];
    let status = match connection.stream.read(&mut buffer) {
        Ok(0) => Some(0),
        Ok(read) => {
            connection.received.extend_from_slice(&buffer[..read]);
            whole(&connection.received)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(0),
        Err(error) => return Err(error.into()),
    };
    if status.is_some() {
        connection.received.clear();
    }
    Ok(status)
}

/// The status of the answer in `received` when it is complete.
fn whole(received: &[u8]) -> Option<u16> {
    let head_end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&received[..head_end]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let complete = match header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => received.len() >= head_end + length,
        None => received.ends_with(b"\r\n0\r\n\r\n"),
    };
    complete.then_some(status)
}

fn print_outcome(mut outcome: Outcome, seconds: u64) {
    outcome.latencies_ns.sort_unstable();
    let answered = outcome.latencies_ns.len();
    let at = |permille: usize| {
        let rank = (answered * permille).div_ceil(1000).saturating_sub(1);
        outcome.latencies_ns.get(rank).map_or(0.0, |&ns| ns as f64 / 1e6)
    };
    println!(
        r#"{{"seconds":{seconds},"due":{},"answered":{answered},"answered_in_all":{},"refused":{},"broken":{},"most_waiting":{},"p50_ms":{},"p99_ms":{},"p999_ms":{},"max_ms":{}}}"#,
        outcome.due,
        outcome.answered_in_all,
        outcome.refused,
        outcome.broken,
        outcome.most_waiting,
        at(500),
        at(990),
        at(999),
        at(1000)
    );
}

/// Opens connections, sends one request on each so that it counts as kept alive, then holds them all.
fn idle_mode(address: SocketAddr, connections: usize, seconds: u64) -> Result<(), Failure> {
    let request = post(address);
    let mut held = Vec::with_capacity(connections);
    let mut refused = 0;
    for _ in 0..connections {
        let stream = connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut connection = Connection { stream, due: None, received: Vec::new() };
        connection.stream.write_all(&request)?;
        let mut buffer = [0; 4096];
        let status = loop {
            let read = connection.stream.read(&mut buffer)?;
            connection.received.extend_from_slice(&buffer[..read]);
            if read == 0 {
                break 0;
            }
            if let Some(status) = whole(&connection.received) {
                break status;
            }
        };
        refused += usize::from(status != 200);
        held.push(connection.stream);
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
fn deaf_mode(address: SocketAddr, connections: usize, seconds: u64) -> Result<(), Failure> {
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
            match stream.write(&request[*offset..]) {
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
