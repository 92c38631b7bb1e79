//! The user side of the kernel probe: picks a source for RAM and one for CPU, and samples them.
//!
//! Owns the choice of source with its reason, the loading of the probe, and the arithmetic that turns two
//! samples into a usage. Holds no window: a [`Sample`] is absolute counters, so any number of readers can take
//! differences at their own pace without disturbing one another. Knows nothing of HTTP, of the store or of
//! the balancer, and starts no thread.
//!
//! A sample's way: [`Sensor::sample`] twice, then [`usage`] over the two.

mod bpf;
mod btf;
mod cgroup;
mod clock;
mod error;
mod layout;
mod log;
mod memory_map;
mod pin;
mod procfs;
mod refusal;
mod rights;
mod sample;
mod sensor;
mod source;
mod usage;

pub use error::SensorError;
pub use pin::{PIN_DIRECTORY, unpin};
pub use rights::Rights;
pub use sample::{CpuTime, Memory, Sample};
pub use sensor::{Options, Sensor};
pub use source::{ProbeChoice, Scope, Source, Sources};
pub use usage::{BasisPoints, Usage, usage};
