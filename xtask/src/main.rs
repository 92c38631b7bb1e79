//! The list of `cargo xtask` commands, one file each; what they share in running other programs is the library of this
//! package. Depends on none of our crates, so that it builds first.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these commands talk to the person who typed them"
)]

mod apt;
mod bench;
mod build_ebpf;
mod chaos;
mod ci;
mod demo;
mod kernels;
mod mongo_wire;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The commands that build, show, test and measure the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Compile the kernel probe from source and refresh the object that builds embed.
    BuildEbpf(build_ebpf::BuildEbpf),
    /// Boot Debian's kernels in an emulator and check the probe in each.
    Kernels(kernels::Kernels),
    /// Build everything, start a balancer over some nodes, and send a real text through it.
    Demo(demo::Demo),
    /// Measure the balancer beside its peers.
    #[command(disable_help_flag = true, after_help = bench::MORE_HELP)]
    Bench(bench::Bench),
    /// Kill, stop and cut off what runs, by a seed, and check that no sentence is lost or stored twice.
    #[command(disable_help_flag = true, after_help = chaos::MORE_HELP)]
    Chaos(chaos::Chaos),
    /// Run every test, after installing and building what the tests need.
    Test(test::Test),
    /// Check formatting, lints, dependency rules and documents.
    Ci(ci::Ci),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::BuildEbpf(build) => build.run(),
        Task::Kernels(kernels) => kernels.run(),
        Task::Demo(demo) => demo.run(),
        Task::Bench(bench) => bench.run(),
        Task::Chaos(chaos) => chaos.run(),
        Task::Test(test) => test.run(),
        Task::Ci(ci) => ci.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The causes in one line, never a backtrace: most failures here are of other programs.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
