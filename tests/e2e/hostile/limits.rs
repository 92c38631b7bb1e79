//! Limits of clients: each holds to the byte, as documented, and whoever is slow, silent or does not read is cut off.

use std::io::Write;

use harness::{Cluster, raw};

use super::{GOOD, SERVERS, Server, chunked, cluster, is_at_rest, post, to_the_end, told, with};

/// Limits that a test need not wait for.
const LIMITS: [&str; 5] = [
    "--header-timeout=1s",
    "--body-timeout=1s",
    "--idle-timeout=3s",
    "--write-timeout=1s",
    "--max-connections=20",
];

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_clients_are_cut_off() {
    let cluster = cluster(&LIMITS).await;
    let plain = with("x: y");
    let half_chunked = chunked("5\nabcd");
    for (bytes, expected) in [
        (String::new(), ""),
        (plain[..20].to_owned(), "408"),
        (plain[..plain.len() - 1].to_owned(), "408"),
        (half_chunked.clone(), "408"),
        (plain.clone(), "200"),
        (plain.clone() + &plain[..20], "200 408"),
        (plain.clone() + &plain[..plain.len() - 1], "200 408"),
        (plain.clone() + &half_chunked, "200 408"),
    ] {
        for server in SERVERS {
            // As many as there may be: nobody else is served before they are cut off.
            let mut connections: Vec<_> = (0..10).map(|_| server.connect(&cluster)).collect();
            for connection in &mut connections {
                connection.send(bytes.as_bytes());
            }
            for connection in connections {
                assert_eq!(to_the_end(connection), expected, "{server:?}: {bytes:?}");
            }
        }
    }
    is_at_rest(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_read_is_cut_off_and_shuts_nobody_out() {
    let cluster = cluster(&LIMITS[3..]).await;
    let long = "x".repeat(60_000);
    let items = vec![format!(r#"{{"author":"a","sentence":"{long}"}}"#); 250].join(",");
    let posted = raw::request(
        "POST",
        "/sentences",
        &[("content-type", "application/json")],
        format!("[{items}]").as_bytes(),
    );
    assert_eq!(raw::exchange(cluster.url().trim_start_matches("http://"), &posted).unwrap().status, 200);
    let listing = "GET /sentence HTTP/1.1\r\nhost: a\r\n\r\n";
    let post = post(
        &format!("content-length: {}", long.len() + 28),
        &format!(r#"{{"author":"a","sentence":"{long}"}}"#),
    );
    for (server, bytes) in
        [(Server::Full, listing.repeat(300)), (Server::Node, listing.repeat(300)), (Server::Door, post)]
    {
        let connections: Vec<_> = (0..20).map(|_| server.connect(&cluster)).collect();
        let blocked = connections.iter().map(|connection| {
            let mut stream = connection.stream.try_clone().unwrap();
            let bytes = bytes.clone();
            std::thread::spawn(move || {
                // The door stops reading where much is unread, and hangs up.
                let repeats = if server == Server::Door { 1000 } else { 1 };
                for _ in 0..repeats {
                    if stream.write_all(bytes.as_bytes()).is_err() {
                        break;
                    }
                }
            })
        });
        let blocked: Vec<_> = blocked.collect();
        // Everybody is still connected and reads nothing.
        assert_eq!(told(server.connect(&cluster), with("x: y").as_bytes()), "200 open", "{server:?}");
        println!("{server:?} has served another");
        is_at_rest(&cluster).await;
        for thread in blocked {
            thread.join().unwrap();
        }
        drop(connections);
    }
}

/// A request that fills a limit, and one that is over it; `of` makes one of a size.
fn check_limit(
    cluster: &Cluster,
    servers: &[Server],
    most: usize,
    within: u16,
    beyond: u16,
    of: impl Fn(usize) -> String,
) {
    for server in servers {
        for (size, status) in [(most, within), (most + 1, beyond)] {
            let mut connection = server.connect(cluster);
            connection.try_send(of(size).as_bytes());
            assert_eq!(connection.answer().status, status, "{server:?}: {size}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_limits_hold_to_the_byte() {
    let document = include_str!("../../../docs/http.md");
    let (_, section) = document.split_once("\n## Limits\n").unwrap();
    let documented = |what: &str| -> usize {
        let row = section.lines().find(|line| line.starts_with(&format!("| {what} | "))).unwrap();
        let digits = row.split('|').nth(2).unwrap().trim().split([' ', '.']).next().unwrap().replace(',', "");
        digits.parse().unwrap()
    };
    let cluster = cluster(&[]).await;
    let with_body = |target: &str, body: &str| {
        let headers = "host: a\r\ncontent-type: application/json";
        format!("POST {target} HTTP/1.1\r\n{headers}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let one = |author: usize, sentence: usize| {
        format!(r#"{{"author":"{}","sentence":"{}"}}"#, "a".repeat(author), "s".repeat(sentence))
    };
    let filled = |body: &str, size: usize| format!("{body}{}", " ".repeat(size - body.len()));
    let limit = |what: &str, within, beyond, of: &dyn Fn(usize) -> String| {
        check_limit(&cluster, &SERVERS, documented(what), within, beyond, of);
    };
    limit("an author", 200, 413, &|size| with_body("/sentence", &one(size, 1)));
    limit("a sentence", 200, 413, &|size| with_body("/sentence", &one(1, size)));
    limit("the body of one sentence", 200, 413, &|size| with_body("/sentence", &filled(GOOD, size)));
    limit("any other body", 200, 413, &|size| {
        let item = GOOD.replace('{', r#"{"id":"0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b","#);
        with_body("/sentences", &filled(&format!("[{item}]"), size))
    });
    limit("a head", 200, 431, &|size| {
        let begin = "GET /livez HTTP/1.1\r\nhost: a\r\nx: ";
        format!("{begin}{}\r\n\r\n", "y".repeat(size - begin.len() - 4))
    });
    limit("headers", 200, 431, &|count| {
        format!("GET /livez HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(count - 1))
    });
    limit("extensions and trailers of a chunked body", 200, 400, &|size| {
        // The line ends behind the extension, and the empty line, count.
        let extension = "y".repeat(size - 3);
        let head = "POST /sentence HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked";
        format!("{head}\r\n\r\n{:x}\r\n{GOOD}\r\n0;{extension}\r\n\r\n", GOOD.len())
    });
    // Both take the items of a bulk post one by one; a node needs their ids.
    check_limit(&cluster, &[Server::Full], documented("sentences in a bulk post"), 200, 413, |count| {
        with_body("/sentences", &format!("[{}]", vec![r#"{"author":"","sentence":""}"#; count].join(",")))
    });
    check_limit(&cluster, &SERVERS[1..], documented("a page of a listing"), 200, 400, |size| {
        format!("GET /sentence?limit={size} HTTP/1.1\r\nhost: a\r\n\r\n")
    });
    is_at_rest(&cluster).await;
}
