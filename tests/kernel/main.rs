//! The probe in the kernel that this runs on: exactness, softirqs, several readers, and the rights it needs.
//!
//! Every test here loads real programs. Where that cannot be done it says so and is skipped, and fails instead
//! where `BALANZA_TEST_REQUIRE` lists `kernel`. The bounds hold on a busy machine; how exact the figures are on a
//! quiet one is what `cargo xtask bench probe` measures.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where its ground is missing"
)]
#![expect(clippy::disallowed_methods, reason = "tests wait for time to pass; that is what they measure")]

mod cpu;
mod pinned;
mod ram;
mod rights;
mod scope;
mod several;
mod softirq;
mod support;
