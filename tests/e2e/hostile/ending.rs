//! Programs that are told to end while clients are there: what has begun is answered, and nobody is sent away untold.

use std::io::{Read, Write};
use std::net::TcpStream;

use harness::eventually;

use super::{SERVERS, Server, cluster, n_stored, with};

/// Asks a server to end while requests have begun on some connections and others rest.
async fn end_with_half_requests(server: Server) {
    let mut cluster = cluster(&[]).await;
    let plain = with("x: y");
    let halves = [20, plain.len() - 1].map(|at| plain.split_at(at));
    let mut begun: Vec<_> = halves
        .into_iter()
        .map(|(half, rest)| {
            let mut connection = server.connect(&cluster);
            connection.send(half.as_bytes());
            (connection, rest)
        })
        .collect();
    let mut idle = server.connect(&cluster);
    idle.send(plain.as_bytes());
    assert_eq!(idle.answer().status, 200);
    let program = if server == Server::Node { cluster.node(0).program() } else { cluster.balancer() };
    program.ask_to_end();
    assert!(idle.is_closed(), "{server:?}");
    for (connection, rest) in &mut begun {
        connection.send(rest.as_bytes());
        let answer = connection.answer();
        // A node that stops takes no sentences whose heads had not arrived, and says so.
        assert!(answer.status == 200 || (server == Server::Node && answer.status == 503), "{answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{server:?}");
        assert!(connection.is_closed(), "{server:?}");
    }
    drop(begun);
    let program = if server == Server::Node { cluster.node(0).program() } else { cluster.balancer() };
    assert!(program.ended().success(), "{server:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_has_begun_is_answered_although_the_program_ends() {
    for server in SERVERS {
        end_with_half_requests(server).await;
    }
}

/// How a client's loop ended that posts over connections that it keeps, while the program ends.
fn post_until_refused(server: Server, address: &str) -> Result<u64, String> {
    // The door hands over what is not as plain as it can be.
    let target = if server == Server::Full { "/sentence?" } else { "/sentence" };
    let post = with("x: y").replacen("/sentence", target, 1);
    let mut acknowledged = 0;
    while let Ok(mut stream) = TcpStream::connect(address) {
        stream.set_read_timeout(Some(harness::wait::DEADLINE)).map_err(|error| error.to_string())?;
        let mut is_kept = true;
        while is_kept {
            stream.write_all(post.as_bytes()).map_err(|error| format!("cannot send: {error}"))?;
            let mut answer = Vec::new();
            let mut bytes = [0; 4096];
            while !answer.ends_with(b"}") {
                match stream.read(&mut bytes) {
                    Ok(0) => {
                        return Err(format!(
                            "not answered after {acknowledged}: {}",
                            String::from_utf8_lossy(&answer)
                        ));
                    }
                    Ok(n) => answer.extend_from_slice(&bytes[..n]),
                    Err(error) => return Err(format!("after {acknowledged}: {error}")),
                }
            }
            let answer = String::from_utf8_lossy(&answer);
            acknowledged += u64::from(answer.starts_with("HTTP/1.1 200 "));
            is_kept = !answer.contains("connection: close\r\n");
        }
    }
    Ok(acknowledged)
}

#[tokio::test(flavor = "multi_thread")]
async fn posters_are_told_to_go_before_they_are_sent_away() {
    for server in SERVERS {
        let mut cluster = cluster(&[]).await;
        let url = if server == Server::Node { cluster.nodes()[0].url() } else { cluster.url() };
        let address = url.trim_start_matches("http://").to_owned();
        let posters: Vec<_> = (0..20)
            .map(|_| {
                let address = address.clone();
                std::thread::spawn(move || post_until_refused(server, &address))
            })
            .collect();
        eventually("posts are stored", async || match n_stored(&cluster).await {
            stored if stored > 200 => Ok(()),
            stored => Err(stored.to_string()),
        })
        .await;
        let program = if server == Server::Node { cluster.node(0).program() } else { cluster.balancer() };
        program.ask_to_end();
        let ended: Vec<_> = posters.into_iter().map(|poster| poster.join().unwrap()).collect();
        let faults: Vec<_> = ended.iter().filter_map(|ended| ended.as_ref().err()).collect();
        assert!(faults.is_empty(), "{server:?}: {faults:?}");
        if server != Server::Node {
            let acknowledged: u64 = ended.iter().flatten().sum();
            assert_eq!(n_stored(&cluster).await, acknowledged, "{server:?}");
        }
    }
}
