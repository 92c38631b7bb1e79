//! The load: wrk for closed loops, our own generator for a fixed rate. Owns how each is called and what its figures
//! mean. Both post the same sentence over kept-alive connections and end by themselves.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask::command;

use crate::programs::build;

/// Connections of the fixed-rate load; requests go round them.
const RATE_CONNECTIONS: u32 = 64;

/// How requests arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Each of so many connections sends its next request when it has its answer.
    Closed(u32),
    /// The same with a query behind the path. A proxy does not care; our balancer's door serves plain posts only and
    /// hands these to its full HTTP server.
    Queried(u32),
    /// So many requests a second fall due, whatever the answers do; latency counts from the due time.
    Rate(u32),
}

impl Load {
    /// As a column's title.
    pub(crate) fn title(self) -> String {
        match self {
            Self::Closed(1) | Self::Queried(1) => "1 conn".to_owned(),
            Self::Closed(connections) | Self::Queried(connections) => connections.to_string(),
            Self::Rate(rate) => format!("{rate}/s"),
        }
    }
}

/// What came of one run of a load.
pub(crate) struct Figures {
    /// Requests that the balancer answered in all, warm-up included.
    pub(crate) answered: u64,
    /// Answers a second.
    pub(crate) per_second: f64,
    /// Latencies in milliseconds: the median, 99 % and 99.9 %.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    /// Answers other than 200, lost connections and time-outs.
    pub(crate) failed: u64,
}

impl Load {
    /// Runs the load against `target` for `seconds`.
    pub(crate) fn run(self, target: SocketAddr, seconds: u64) -> Result<Figures> {
        match self {
            Self::Closed(connections) => closed(target, "/sentence", connections, seconds),
            Self::Queried(connections) => closed(target, "/sentence?queried", connections, seconds),
            Self::Rate(rate) => open(target, rate, seconds),
        }
    }
}

#[expect(clippy::float_arithmetic, reason = "measured values are shown, they decide nothing")]
fn closed(target: SocketAddr, path: &str, connections: u32, seconds: u64) -> Result<Figures> {
    let mut wrk = command::program("wrk");
    wrk.args(["--threads", "1", "--timeout", "30s", "--script", "bench/src/load/post.lua"])
        .args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")])
        .arg(format!("http://{target}{path}"));
    let text = output(wrk)?;
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let figures: Value =
        serde_json::from_str(line.with_context(|| format!("wrk gave no figures:\n{text}"))?)?;
    let answered = integer(&figures, "requests")?;
    let milliseconds = |name| Ok::<_, anyhow::Error>(number(&figures, name)? / 1e3);
    Ok(Figures {
        answered,
        per_second: number(&figures, "requests")? / number(&figures, "duration_us")? * 1e6,
        p50_ms: milliseconds("p50_us")?,
        p99_ms: milliseconds("p99_us")?,
        p999_ms: milliseconds("p999_us")?,
        failed: integer(&figures, "refused")? + integer(&figures, "broken")?,
    })
}

#[expect(clippy::float_arithmetic, reason = "measured values are shown, they decide nothing")]
fn open(target: SocketAddr, rate: u32, seconds: u64) -> Result<Figures> {
    let mut generator = command::program(build::own("bench-load"));
    generator.args(["rate", &target.to_string(), &rate.to_string()]);
    generator.args([RATE_CONNECTIONS.to_string(), seconds.to_string()]);
    let figures: Value = serde_json::from_str(&output(generator)?)?;
    let counted = number(&figures, "answered")?;
    Ok(Figures {
        answered: integer(&figures, "answered_in_all")?,
        per_second: counted / number(&figures, "seconds")?,
        p50_ms: number(&figures, "p50_ms")?,
        p99_ms: number(&figures, "p99_ms")?,
        p999_ms: number(&figures, "p999_ms")?,
        failed: integer(&figures, "due")? - integer(&figures, "answered")?,
    })
}

/// Runs a generator to its end; it dies with this program.
fn output(command: Command) -> Result<String> {
    let shown = command::shown(&command);
    let mut bound = crate::programs::running::bound(&command);
    let output = bound.stdin(Stdio::null()).output().with_context(|| format!("`{shown}` did not run"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("`{shown}` failed ({}): {text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

fn number(figures: &Value, name: &str) -> Result<f64> {
    figures[name].as_f64().with_context(|| format!("no `{name}` in {figures}"))
}

fn integer(figures: &Value, name: &str) -> Result<u64> {
    figures[name].as_u64().with_context(|| format!("no `{name}` in {figures}"))
}
