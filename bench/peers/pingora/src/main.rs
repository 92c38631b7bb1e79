//! A minimal Pingora proxy: plain round robin over the given backends, keep-alive on both sides, no logging, no
//! retries, no health checks. Owns nothing but that; it exists to be measured beside the balancer.
//!
//! Usage: `pingora-peer LISTEN THREADS BACKEND…`, each an `address:port`.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use pingora_core::prelude::HttpPeer;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

struct RoundRobin {
    backends: Vec<SocketAddr>,
    next: AtomicUsize,
}

#[async_trait]
impl ProxyHttp for RoundRobin {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora_core::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.backend(), false, String::new())))
    }
}

impl RoundRobin {
    /// The backend whose turn it is.
    #[expect(
        clippy::indexing_slicing,
        reason = "`main` takes one backend at least, and a turn is below their number"
    )]
    fn backend(&self) -> SocketAddr {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.backends.len();
        self.backends[turn]
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().ok_or("LISTEN is missing")?;
    let threads = arguments.next().ok_or("THREADS is missing")?.parse()?;
    let backends = arguments.map(|backend| backend.parse()).collect::<Result<Vec<SocketAddr>, _>>()?;
    if backends.is_empty() {
        return Err("no BACKEND is given".into());
    }
    // The pool holds as many idle connections to the backends as the largest run can open.
    let conf = ServerConf { threads, upstream_keepalive_pool_size: 1024, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let proxy = RoundRobin { backends, next: AtomicUsize::new(0) };
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), proxy);
    service.add_tcp(&listen);
    server.add_service(service);
    server.run_forever()
}
