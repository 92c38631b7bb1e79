//! What a stub's sockets and answers do, seen by a client that writes raw bytes.

use serde_json::{Value, json};

use super::*;
use crate::{Connection, raw, until};

/// A stub that answers each post of a manner's number in that manner, and `GET /hold` once it is woken for good.
fn stub() -> Stub {
    let manners = [
        Manner::Plain,
        Manner::Pieces,
        Manner::Chunked,
        Manner::BothFramings,
        Manner::Http10,
        Manner::Cut(3),
        Manner::Doubled,
    ];
    Stub::start(move |request| match request.route() {
        "/close" => Action::Close,
        "/silence" => Action::Silence,
        "/hold" => Action::Hold,
        _ => {
            let manner = request.json().as_u64().and_then(|n| manners.get(usize::try_from(n).ok()?));
            let response = Response::json(200, &json!({ "read": request.json() }));
            Action::Answer(response.in_manner(manner.copied().unwrap_or_default()))
        }
    })
}

fn connect(stub: &Stub) -> Connection {
    Connection::open(&stub.address().to_string())
}

fn post(number: u8) -> Vec<u8> {
    raw::request("POST", "/", &[], number.to_string().as_bytes())
}

fn get(path: &str) -> Vec<u8> {
    raw::request("GET", path, &[], b"")
}

#[tokio::test]
async fn it_answers_on_one_connection_and_remembers() {
    let stub = stub();
    let client = reqwest::Client::new();
    for number in [1, 2] {
        let answer = client.post(stub.url()).json(&number).send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "read": number }));
    }
    assert_eq!(stub.n_connections(), 1);
    assert!(client.get(stub.url() + "/close").send().await.is_err());
    let asked = stub.requests();
    assert_eq!(asked.len(), 3);
    assert_eq!((asked[0].method.as_str(), asked[2].path.as_str()), ("POST", "/close"));
    assert!(asked[0].head.starts_with("POST / HTTP/1.1\r\n"), "{}", asked[0].head);
}

#[test]
fn each_manner_is_what_it_says() {
    let stub = stub();
    let read = |number: u8| json!({ "read": number });
    let mut client = connect(&stub);
    for number in [0, 1, 2] {
        client.send(&post(number));
        assert_eq!(client.answer().json, read(number));
    }
    client.send(&post(3));
    let both = client.answer();
    assert_eq!((both.header("content-length"), &both.json), (Some("5"), &read(3)));
    client.send(&post(6));
    assert_eq!([client.answer().json, client.answer().json], [read(6), read(6)]);
    client.send(&post(5));
    let cut = String::from_utf8(client.rest()).unwrap();
    assert!(cut.contains("content-length: 10\r\n") && cut.ends_with("\r\n\r\n{\"r"), "{cut}");
    let mut client = connect(&stub);
    client.send(&post(4));
    let old = String::from_utf8(client.rest()).unwrap();
    assert!(old.starts_with("HTTP/1.0 200 ") && old.ends_with("{\"read\":4}"), "{old}");
    assert!(!old.contains("content-length"), "{old}");
}

#[test]
fn a_request_that_it_cannot_frame_ends_the_connection() {
    let stub = stub();
    for head in ["content-length: 1\r\ncontent-length: 1", "content-length: x", "transfer-encoding: chunked"]
    {
        let request = format!("POST / HTTP/1.1\r\n{head}\r\n\r\n1");
        assert!(raw::exchange(&stub.address().to_string(), request.as_bytes()).is_none(), "{head}");
    }
    assert!(stub.requests().is_empty());
}

#[test]
fn what_is_held_is_asked_about_again_when_woken() {
    let woken = Arc::new(Mutex::new(false));
    let is_woken = Arc::clone(&woken);
    let stub = Stub::start(move |_| match *is_woken.lock().unwrap() {
        false => Action::Hold,
        true => Action::Answer(Response::json(200, &json!("woken"))),
    });
    let mut client = connect(&stub);
    client.send(&get("/"));
    until("the request is read", || stub.requests().len() == 1);
    // Woken without a change, it is held again.
    stub.wake();
    *woken.lock().unwrap() = true;
    stub.wake();
    assert_eq!(client.answer().json, "woken");
    assert_eq!(stub.requests().len(), 1, "recorded once");
}

#[test]
fn silence_ends_when_the_other_side_gives_up() {
    let stub = stub();
    let mut client = connect(&stub);
    client.send(&get("/silence"));
    until("the request is read", || stub.requests().len() == 1);
    assert_eq!(stub.n_connections(), 1);
    drop(client);
    until("the connection is closed", || stub.n_connections() == 0);
}

#[test]
fn events_come_until_there_is_none() {
    let left = Mutex::new(vec!["b", "a"]);
    let left = Arc::new(left);
    let stub = Stub::start(move |_| {
        let left = Arc::clone(&left);
        Action::Events(Box::new(move || left.lock().unwrap().pop().map(|text| format!("data: {text}\n\n"))))
    });
    let mut client = connect(&stub);
    client.send(&get("/"));
    let answer = client.answer();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.text, "data: a\n\ndata: b\n\n");
}

#[test]
fn connections_are_counted_and_closed() {
    let stub = stub();
    let mut clients = [connect(&stub), connect(&stub), connect(&stub)];
    until("all are accepted", || stub.n_connections() == 3);
    stub.close_connections();
    assert_eq!(stub.n_connections(), 0);
    assert!(clients.iter_mut().all(Connection::is_closed));
    let mut client = connect(&stub);
    client.send(&post(0));
    assert_eq!(client.answer().status, 200, "new ones are served");
}

#[test]
fn it_stops_accepting_and_goes_on() {
    let stub = stub();
    let mut client = connect(&stub);
    client.send(&post(0));
    assert_eq!(client.answer().status, 200);
    stub.accept(false);
    assert!(raw::is_refused(stub.address()));
    client.send(&post(1));
    assert_eq!(client.answer().status, 200, "what is open is served");
    stub.accept(true);
    assert_eq!(raw::exchange(&stub.address().to_string(), &post(0)).unwrap().status, 200);
}

#[test]
fn it_accepts_without_reading_and_goes_on() {
    let stub = stub();
    let mut idle = connect(&stub);
    idle.send(&post(0));
    assert_eq!(idle.answer().status, 200);
    stub.read(false);
    let mut fresh = connect(&stub);
    for client in [&mut idle, &mut fresh] {
        client.send(&post(1));
    }
    until("both are open", || stub.n_connections() == 2);
    // More than the sockets between take: who writes must come to a stand.
    let much = vec![b'x'; 32 * 1024 * 1024];
    fresh.stream.set_write_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    assert!(!fresh.try_send(&much), "somebody read it");
    assert_eq!(stub.requests().len(), 1);
    stub.read(true);
    assert_eq!([idle.answer().json, fresh.answer().json], [json!({ "read": 1 }), json!({ "read": 1 })]);
}

#[test]
fn a_stub_that_ends_gives_its_address_to_the_next() {
    let first = stub();
    let address = first.address();
    let mut client = connect(&first);
    client.send(&post(0));
    assert_eq!(client.answer().status, 200);
    drop(first);
    assert!(raw::is_refused(address) && client.is_closed());
    let second = Stub::start_at(address, |_| Action::Answer(Response::json(201, &Value::Null)));
    assert_eq!(raw::exchange(&second.address().to_string(), &post(0)).unwrap().status, 201);
}
