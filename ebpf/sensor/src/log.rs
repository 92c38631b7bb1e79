//! The probe's own log: at debug level the programs say what they do, else they contain no line of it, because
//! the level is a constant that the verifier sees.

use aya::Ebpf;
use aya_log::{EbpfLogger, Level};
use log::{Log, Metadata, Record};

/// Hands the probe's lines to `tracing`.
#[derive(Debug)]
pub(crate) struct ProbeLog;

impl Log for ProbeLog {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        tracing::debug!(target: "ebpf_probe", "{}", record.args());
    }

    fn flush(&self) {}
}

/// The level for the probe, and the size of its ring buffer: a real one, or the smallest that can be made.
pub(crate) fn level_and_bytes() -> (u8, u32) {
    if is_on() { (Level::Debug as u8, 1 << 17) } else { (0, page_bytes()) }
}

/// Starts to read the probe's lines, if it writes any.
pub(crate) fn open(ebpf: &mut Ebpf) -> Option<EbpfLogger<ProbeLog>> {
    if !is_on() {
        return None;
    }
    match EbpfLogger::init_with_logger(ebpf, ProbeLog) {
        Ok(logger) => Some(logger),
        Err(error) => {
            tracing::debug!(%error, "the probe's log cannot be read");
            None
        }
    }
}

fn is_on() -> bool {
    tracing::enabled!(target: "ebpf_probe", tracing::Level::DEBUG)
}

fn page_bytes() -> u32 {
    u32::try_from(procfs::page_size()).unwrap_or(4096)
}
