//! Measures the sensor: how exact it is and what it costs. `cargo xtask bench probe` runs it, part by part.
//!
//! Each part prints a Markdown table with a line on how it was measured, and appends every single figure to the file
//! that is named as the second argument, one per line with its labels.

#![expect(clippy::print_stdout, reason = "the tables are what it is run for")]
#![expect(clippy::float_arithmetic, reason = "figures are shown as people read them; none decides anything")]
#![expect(clippy::cast_precision_loss, reason = "as above")]

mod cost;
mod cpu;
mod hooks;
#[path = "../load/mod.rs"]
mod load;
mod ram;
mod raw;
mod softirq;

use std::error::Error;

use ebpf_sensor::{Options, ProbeChoice, Sensor};
use raw::Raw;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let part = arguments.next().unwrap_or_default();
    let mut raw = Raw::open(arguments.next().as_deref())?;
    match part.as_str() {
        "ram" => ram::measure(&mut raw),
        "cpu" => cpu::measure(&mut raw),
        "cost" => cost::measure(&mut raw),
        "hooks" => hooks::measure(&mut raw),
        "softirq" => softirq::measure(&mut raw),
        other => Err(format!("`{other}` is no part: ram, cpu, cost, hooks or softirq").into()),
    }
}

fn open(choice: ProbeChoice) -> Result<Sensor, Box<dyn Error>> {
    Ok(Sensor::open(&Options { choice, ..Options::default() })?)
}

/// Basis points as percent points with two digits.
fn points(basis_points: u64) -> String {
    format!("{:.2}", basis_points as f64 / 100.0)
}
