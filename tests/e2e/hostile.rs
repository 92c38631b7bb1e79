//! What three servers make of the same bytes: the door of the balancer, its full server, and a node. One table of requests,
//! and requests that chance has damaged; all three must agree on what is answered, on where each request ends, and on what
//! is stored. Afterwards nothing is under way, no connection is open, and a post is served. `limits` has clients that are
//! slow, silent or ask for too much; `ending` has programs that are told to end.

mod ending;
mod limits;

use harness::wait::eventually;
use harness::{Cluster, Connection, http};

const GOOD: &str = r#"{"author":"Ana","sentence":"Hola."}"#;
const LIVE: &str = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";

/// A server under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Door,
    Full,
    Node,
}

const SERVERS: [Server; 3] = [Server::Door, Server::Full, Server::Node];

impl Server {
    /// A connection that it serves.
    fn connect(self, cluster: &Cluster) -> Connection {
        let url = if self == Self::Node { cluster.nodes()[0].url() } else { cluster.url() };
        let mut connection = Connection::open(url.trim_start_matches("http://"));
        if self == Self::Full {
            // The door hands over what is no post.
            connection.send(LIVE.as_bytes());
            assert_eq!(connection.answer().text, "ok\n");
        }
        connection
    }
}

/// What a client is told who sends `bytes` and then one request more: the statuses in their order, and whether the
/// connection goes on behind them.
fn told(mut connection: Connection, bytes: &[u8]) -> String {
    connection.try_send(bytes);
    connection.try_send(LIVE.as_bytes());
    let mut told = Vec::new();
    loop {
        match connection.try_answer() {
            Some(answer) if answer.text == "ok\n" => told.push("open".to_owned()),
            Some(answer) => {
                told.push(answer.status.to_string());
                continue;
            }
            None => told.push("closed".to_owned()),
        }
        return told.join(" ");
    }
}

fn lines(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// A post with these header lines and this body.
fn post(headers: &str, body: &str) -> String {
    lines(&format!("POST /sentence HTTP/1.1\nhost: a\ncontent-type: application/json\n{headers}\n\n")) + body
}

/// A well-formed post with one more header line.
fn with(header: &str) -> String {
    post(&format!("{header}\ncontent-length: {}", GOOD.len()), GOOD)
}

/// A chunked post.
fn chunked(body: &str) -> String {
    post("transfer-encoding: chunked", &lines(body))
}

fn with_host(host: &str) -> String {
    lines(&format!("POST /sentence HTTP/1.1\n{host}content-length: {}\n\n", GOOD.len())) + GOOD
}

/// Requests, what is told of each, and how many sentences are stored.
fn requests() -> Vec<(String, &'static str, u64)> {
    let size = format!("{:x}", GOOD.len());
    let plain = with("x: y");
    let get = |target: &str| lines(&format!("GET {target} HTTP/1.1\nhost: a\n\n"));
    let mut all = vec![
        (plain.clone(), "200 open", 1),
        (plain.repeat(3), "200 200 200 open", 3),
        (chunked(&format!("{size}\n{GOOD}\n0\n\n")), "200 open", 1),
        (chunked(&format!("1\n{{\n{:X};a=b\n{}\n00\nx: y\n\n", GOOD.len() - 1, &GOOD[1..])), "200 open", 1),
        // Where the connection ends.
        (with("connection: close"), "200 closed", 1),
        (with("connection: close") + &plain, "200 closed", 1),
        (with("connection: keep-alive, Close") + &plain, "200 closed", 1),
        (plain.clone() + &with("connection: close") + &plain, "200 200 closed", 2),
        (plain.replace("HTTP/1.1", "HTTP/1.0") + &plain, "200 closed", 1),
        (with("connection: keep-alive").replace("HTTP/1.1", "HTTP/1.0") + &plain, "200 200 open", 2),
        // Bodies.
        (with("content-type: application/json"), "200 open", 1),
        (with("content-encoding: IDENTITY"), "200 open", 1),
        (with("content-encoding: identity\ncontent-encoding: identity"), "200 open", 1),
        (post("content-length: 1", "x"), "400 open", 0),
        (post("content-length: 0", ""), "400 open", 0),
        (post("x: y", ""), "400 open", 0),
        // Other protocols and expectations.
        (with("upgrade: websocket\nconnection: upgrade"), "200 open", 1),
        (with("upgrade: h2c\nconnection: Upgrade, HTTP2-Settings"), "200 open", 1),
        (with("expect: 100-continue"), "100 200 open", 1),
        (post("expect: 100-continue\ncontent-length: 99999999", ""), "413 closed", 0),
        (with("expect: 200-ok"), "417 closed", 0),
        (with("expect: 100-continue, x"), "417 closed", 0),
        // Targets.
        (get("*"), "400 closed", 0),
        (get("admin"), "400 closed", 0),
        (get("http://u@a/livez"), "400 closed", 0),
        (get("/nothing"), "404 open", 0),
        (get("http://a/nothing"), "404 open", 0),
        (get("/a#b"), "400 closed", 0),
        (lines("CONNECT a:80 HTTP/1.1\nhost: a\n\n"), "400 closed", 0),
        (plain.replace("/sentence", "http://a/sentence"), "200 open", 1),
        // Framing.
        (post("content-length: 99999999", ""), "413 closed", 0),
        (with("idempotency-key: a\nidempotency-key: b"), "400 closed", 0),
        (with(&format!("x: {}", "y".repeat(65_536))), "431 closed", 0),
        (with("x: y\n".repeat(62).trim_end()), "431 closed", 0),
        (with("x: y\n".repeat(61).trim_end()), "200 open", 1),
        (plain.replacen("\r\n", "\n", 1), "400 closed", 0),
        (plain.replace("y\r\n", "y\n"), "400 closed", 0),
        (plain.replace("\r\n", "\n"), "400 closed", 0),
        (with("x : y"), "400 closed", 0),
        (with(" x: y"), "400 closed", 0),
        (with("x: a\rb"), "400 closed", 0),
        (with("x: a\0b"), "400 closed", 0),
        (with("transfer-encoding: chunked"), "400 closed", 0),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "400 closed", 0),
    ];
    for host in
        ["", "host:\n", "host: x/y\n", "host: u@x\n", "host: x:0\n", "host: x:65536\n", "host: a\nhost: a\n"]
    {
        all.push((with_host(host), "400 closed", 0));
    }
    for host in ["host: x:65535\n", "host: [::1]:80\n", "HOST: a\n"] {
        all.push((with_host(host), "200 open", 1));
    }
    for length in ["+35", "-1", "0x23", "3_5", "3 5", "", "35,", "35, 35", "18446744073709551616"] {
        all.push((post(&format!("content-length: {length}"), GOOD), "400 closed", 0));
    }
    for encoding in ["chunked, chunked", "gzip", "identity", "gzip, chunked", "", "xchunked"] {
        all.push((post(&format!("transfer-encoding: {encoding}"), "0\r\n\r\n"), "400 closed", 0));
    }
    let extension = "y".repeat(65_536);
    for broken in [
        format!("{size};\n{GOOD}\n0\n\n"),
        format!("{size};;\n{GOOD}\n0\n\n"),
        format!("{size};x={extension}\n{GOOD}\n0\n\n"),
        format!("{size} \n{GOOD}\n0\n\n"),
        format!("0x{size}\n{GOOD}\n0\n\n"),
        format!("+{size}\n{GOOD}\n0\n\n"),
        format!("{size}\n{GOOD}x\n0\n\n"),
        format!("fffffffffffffffff\n{GOOD}\n0\n\n"),
        format!("{size}\n{GOOD}\n0\nno trailer\n\n"),
        format!("{size}\n{GOOD}\n0\nx: {extension}\n\n"),
    ] {
        all.push((chunked(&broken), "400 closed", 0));
    }
    all.push((
        chunked(&format!("{size}\n{GOOD}\n0\n\n")).replace(&format!("{size}\r\n"), &format!("{size}\n")),
        "400 closed",
        0,
    ));
    for (header, told) in [
        ("content-encoding: gzip", "415"),
        ("content-type: application/json; charset=utf-16", "415"),
        ("content-type: text/plain", "415"),
    ] {
        let request = with(header).replacen("content-type: application/json\r\n", "", 1);
        all.push((request, told, 0));
    }
    all
}

async fn cluster(arguments: &[&str]) -> Cluster {
    let mut builder = Cluster::builder().nodes(1);
    for argument in arguments {
        builder = builder.balancer_argument(argument).node_argument(argument);
    }
    builder.start().await
}

/// Nothing is under way, no connection is open but the one that asks, and a post on a fresh connection is served.
async fn is_at_rest(cluster: &Cluster) {
    for (url, prefix) in [(cluster.url(), "balanza_lb"), (cluster.nodes()[0].url(), "balanza_backend")] {
        eventually("no connection is open", async || {
            let metrics = http::get(&format!("{url}/metrics")).await.text;
            let open =
                metrics.lines().find_map(|line| line.strip_prefix(&format!("{prefix}_connections_open ")));
            // The node's other connections are those of the balancer, for posts, reports and listings.
            let most = if prefix == "balanza_lb" { 1 } else { 6 };
            match open.map(str::parse::<u64>) {
                Some(Ok(open)) if open <= most => Ok(()),
                open => Err(format!("{prefix}: {open:?}")),
            }
        })
        .await;
    }
    for server in SERVERS {
        assert_eq!(told(server.connect(cluster), with("x: y").as_bytes()), "200 open", "{server:?}");
    }
    let fleet = http::get(&format!("{}/fleet", cluster.url())).await;
    assert_eq!(fleet.json["nodes"][0]["in_flight"], 0, "{}", fleet.text);
}

async fn n_stored(cluster: &Cluster) -> u64 {
    cluster.counts().await[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_understand_the_same() {
    let cluster = cluster(&[]).await;
    let mut faults = Vec::new();
    for (request, expected, stored) in requests() {
        let shown: String = request.chars().take(300).collect();
        for server in SERVERS {
            let before = n_stored(&cluster).await;
            let told = told(server.connect(&cluster), request.as_bytes());
            let found = n_stored(&cluster).await - before;
            // Whether a body that is not wanted is read to its end is each server's affair.
            let is_as_told = if expected == "415" { told.starts_with(expected) } else { told == expected };
            if !is_as_told || found != stored {
                faults
                    .push(format!("{server:?}: {told}, stored {found}; not {expected}, {stored}: {shown:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    is_at_rest(&cluster).await;
}

/// The statuses that come until the server closes.
fn to_the_end(mut connection: Connection) -> String {
    let mut told = Vec::new();
    while let Some(answer) = connection.try_answer() {
        told.push(answer.status.to_string());
    }
    told.join(" ")
}

/// Numbers that look drawn at random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// A request with a few bytes changed, dropped, doubled or put in.
    fn damaged(&mut self, request: &str) -> Vec<u8> {
        let mut bytes = request.as_bytes().to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            let odd = b"\r\n\0 :;,/\t\x7f\xc3%0x";
            match self.below(5) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, bytes[at]),
                3 => bytes.insert(at, odd[self.below(odd.len())]),
                _ => bytes[at] = odd[self.below(odd.len())],
            }
        }
        bytes
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_requests_mean_the_same_to_all() {
    let cluster = cluster(&[]).await;
    let size = format!("{:x}", GOOD.len());
    let whole = [
        with("x: y"),
        with("connection: close"),
        chunked(&format!("5;a=b\n{}\n{:x}\n{}\n0\nx: y\n\n", &GOOD[..5], GOOD.len() - 5, &GOOD[5..])),
        chunked(&format!("{size}\n{GOOD}\n0\n\n")) + &with("x: y"),
        with("expect: 100-continue\nupgrade: x\nconnection: upgrade"),
    ];
    let mut dice = Dice(8);
    let mut faults = Vec::new();
    let (mut n_stored_of, mut n_refused) = (0, 0);
    for _ in 0..300 {
        let chosen = dice.below(whole.len());
        let request = dice.damaged(&whole[chosen]);
        let mut results = Vec::new();
        for server in SERVERS {
            let before = n_stored(&cluster).await;
            let mut connection = server.connect(&cluster);
            connection.try_send(&request);
            connection.finish_if_open();
            let n_taken = to_the_end(connection).matches("200").count();
            results.push((n_taken, n_stored(&cluster).await - before));
        }
        let (_, stored) = results[0];
        n_stored_of += u64::from(stored > 0);
        n_refused += u64::from(stored == 0);
        if results.iter().any(|result| *result != results[0]) {
            faults.push(format!("{results:?}: {:?}", String::from_utf8_lossy(&request)));
        }
    }
    assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults.join("\n"));
    assert!(n_stored_of > 20 && n_refused > 20, "{n_stored_of} were sound, {n_refused} not");
    is_at_rest(&cluster).await;
}
