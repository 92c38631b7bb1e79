//! What a scraper is told out of one report, taken when it asks. Nothing is counted here, and nothing is kept.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use wire::{Report, Share, Source};

use crate::report::Reporter;

/// Reads the node at each scrape.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Makes the report.
    pub(super) reporter: Arc<Reporter>,
    /// The store in a word.
    pub(super) store_kind: &'static str,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let report = self.reporter.report();
        let out = &mut encoder;
        gauge(out, "balanza_backend_documents", "Documents in the store.")?
            .encode_family(&[("store", self.store_kind)])?
            .encode_gauge(&report.documents)?;
        gauge(out, "balanza_backend_ready", "Whether the node takes sentences.")?
            .encode_gauge(&u32::from(report.ready))?;
        gauge(out, "balanza_backend_in_flight_requests", "Requests that wait for the store.")?
            .encode_gauge(&report.in_flight)?;
        shares(out, &report)?;
        sources(out, &report)
    }
}

/// A share that is not known, or not of now, is left out: it is not zero.
fn shares(out: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    let shares = [
        ("balanza_backend_memory_used_ratio", "Used share of memory.", report.ram),
        ("balanza_backend_cpu_used_ratio", "Busy share of all CPUs over the last second.", report.cpu),
        ("balanza_backend_cpu_steal_ratio", "Share of the CPUs that the hypervisor took.", report.steal),
    ];
    for (name, help, share) in shares {
        if let Some(share) = share.filter(|_| report.valid) {
            gauge(out, name, help)?.encode_gauge(&ratio(share))?;
        }
    }
    Ok(())
}

fn sources(out: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    let mut metric = gauge(out, "balanza_backend_probe_source", "Where each reading comes from.")?;
    for (half, source) in [("ram", report.ram_source), ("cpu", report.cpu_source)] {
        for known in [Source::Ebpf, Source::Procfs] {
            let labels = [("half", half), ("source", known.name())];
            metric.encode_family(&labels)?.encode_gauge(&u32::from(source == known))?;
        }
    }
    Ok(())
}

fn gauge<'a>(
    out: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    out.encode_descriptor(name, help, None, MetricType::Gauge)
}

/// A share from 0 to 1.
#[expect(clippy::float_arithmetic, reason = "a figure for a chart; nothing decides by it")]
fn ratio(share: Share) -> f64 {
    f64::from(share.basis_points()) / 10_000.0
}
