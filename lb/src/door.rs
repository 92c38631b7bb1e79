//! The door: where clients' connections arrive, whatever stream they are. It serves plain `POST /sentence` requests itself,
//! since they are what the balancer is for, and hands every other connection with all its bytes to the full HTTP server.
//! Both ways end in the same `Worker::receive`. Absent: routes, JSON, nodes.

mod connection;
mod rewound;

use std::rc::Rc;

use guard::linger;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::worker::Worker;
use connection::{Connection, End};
pub(crate) use rewound::Rewound;

/// Serves one connection until it ends or has to be handed over.
pub(crate) async fn serve<S>(stream: S, worker: Rc<Worker>) -> Option<Rewound<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (end, stream) = Connection::new(stream, Rc::clone(&worker)).run().await;
    match end {
        End::Gone => None,
        End::Linger => {
            // Boxed: most connections never come here and should not carry its room.
            Box::pin(linger(stream)).await;
            None
        }
        End::HandOver(read) => {
            worker.balancer.counters.handed_over.add(1);
            Some(Rewound::new(read, stream))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use guard::LINGER;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::made_up::{World, hold_time};

    #[test]
    fn a_refused_client_can_read_its_answer_and_send_for_a_while() {
        hold_time(async {
            let world = World::new(&[], &[]);
            for leaves in [true, false] {
                let (mut client, far) = tokio::io::duplex(16);
                let mut serving = tokio::task::spawn_local(serve(far, Rc::clone(&world.worker)));
                client.write_all(b"no HTTP\r\n\r\n").await.unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
                assert!(timeout(LINGER / 2, &mut serving).await.is_err(), "it lingers");
                client.write_all(&[b'x'; 100]).await.unwrap();
                if leaves {
                    drop(client);
                    sleep(Duration::from_millis(1)).await;
                } else {
                    sleep(LINGER).await;
                    assert!(client.write_all(b"x").await.is_err(), "it is cut off");
                }
                assert!(serving.is_finished());
            }
        });
    }

    #[test]
    fn a_foreign_request_comes_out_as_it_came_in() {
        hold_time(async {
            let world = World::new(&[], &[]);
            let (mut client, far) = tokio::io::duplex(64);
            let (read, unread) = (&b"GET / HTTP/1.1\r\nhost: b\r\n\r\n"[..], b"and more");
            client.write_all(read).await.unwrap();
            let mut stream = serve(far, Rc::clone(&world.worker)).await.unwrap();
            client.write_all(unread).await.unwrap();
            drop(client);
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, [read, unread].concat());
            assert_eq!(world.balancer.counters.handed_over.get(), 1);
        });
    }
}
