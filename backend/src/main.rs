//! The program `balanza-backend`: flags and environment in, exit code out. Everything else is in the library.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use backend::config::{Config, KEYS, LogFormat, Origin, Settings, StoreChoice};
use backend::store::embedded;
use backend::{StartError, inspect, transfer};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use ebpf_sensor::{PIN_DIRECTORY, Rights};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Exit code for a wrong flag, variable or file.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let matches = command().get_matches();
    let (settings, config) = match configure(&matches) {
        Ok(configured) => configured,
        Err(errors) => {
            for error in errors {
                say(&format!("balanza-backend: {error}"));
            }
            return ExitCode::from(USAGE);
        }
    };
    if let StoreChoice::Embedded(data_dir) = &config.store {
        let (file, directory) = (data_dir.join(embedded::FILE_NAME), data_dir.clone());
        embedded::tell_panics(move |panic| {
            say(&format!(
                "balanza-backend: {} is damaged, or its engine has a fault: {panic}; start again, and the whole file is \
                 checked; `balanza-backend salvage --data-dir {} FILE` writes what is readable",
                file.display(),
                directory.display()
            ));
        });
    }
    let done = match matches.subcommand() {
        Some(("check-config", _)) => print("the configuration is good\n"),
        Some(("print-config", _)) => print(&settings.to_toml()),
        Some(("export", arguments)) => block_on(transfer::export(&config.store, file(arguments))),
        Some(("import", arguments)) => block_on(transfer::import(&config.store, file(arguments))),
        Some(("verify", _)) => inspect::verify(&config.store),
        Some(("salvage", arguments)) => inspect::salvage(&config.store, file(arguments)),
        Some(("unpin", _)) => unpin(&config),
        _ => block_on(serve(config)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("balanza-backend: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    let keys = KEYS.iter().map(|key| {
        let default = key.default.map_or_else(String::new, |default| format!(" [default: {default}]"));
        let argument = Arg::new(key.name)
            .long(key.name)
            .value_name(key.value)
            .env(key.variable)
            .global(true)
            .hide_env_values(true)
            .help(format!("{}{default}", key.help));
        // `--pin` may stand alone, so a directory has to be joined to it: `--pin=DIR`.
        if key.name == "pin" {
            argument.num_args(0..=1).require_equals(true).default_missing_value(PIN_DIRECTORY)
        } else {
            argument
        }
    });
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .env("BALANZA_CONFIG")
        .global(true)
        .help("TOML file with any of these keys");
    let file = |help: &'static str| Arg::new("file").value_name("FILE").help(help);
    Command::new("balanza-backend")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Stores sentences durably and reports RAM and CPU: one node behind balanza-lb")
        .args(keys)
        .arg(config)
        .subcommand(Command::new("check-config").about("Check the configuration and start nothing"))
        .subcommand(Command::new("print-config").about("Print every setting and where it comes from"))
        .subcommand(Command::new("unpin").about("Remove what --pin has left in the BPF file system"))
        .subcommand(
            Command::new("export")
                .about("Write all sentences as one JSON object per line")
                .arg(file("Where to write; standard output where not given")),
        )
        .subcommand(
            Command::new("import")
                .about("Store the sentences of an export; those already stored stay as they are")
                .arg(file("What to read; standard input where not given")),
        )
        .subcommand(
            Command::new("verify").about("Check every page of the embedded store, and change nothing"),
        )
        .subcommand(
            Command::new("salvage")
                .about("Write what is readable of a damaged store as `import` takes it, and change nothing")
                .arg(file("Where to write; standard output where not given")),
        )
}

fn configure(matches: &ArgMatches) -> Result<(Settings, Config), Vec<String>> {
    let toml = matches.get_one::<String>("config").map(|path| {
        std::fs::read_to_string(path)
            .map_err(|error| vec![format!("config: {path}: {error}; name a file that can be read")])
    });
    let toml = toml.transpose()?;
    let given = |name: &str| {
        let value = matches.get_one::<String>(name)?;
        let origin = match matches.value_source(name) {
            Some(ValueSource::EnvVariable) => Origin::Environment,
            _ => Origin::Flag,
        };
        Some((value.clone(), origin))
    };
    let settings = Settings::gather(given, toml.as_deref())?;
    let config = Config::check(&settings)?;
    Ok((settings, config))
}

fn file(arguments: &ArgMatches) -> Option<PathBuf> {
    arguments.get_one::<String>("file").filter(|path| *path != "-").map(PathBuf::from)
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime does not start")?;
    let done = runtime.block_on(work);
    // Whatever still hangs now hangs on a disk or a database, and was given its time.
    runtime.shutdown_background();
    done
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let listener = backend::listen(config.listen)?;
    let sensor = backend::open_sensor(&config)?;
    // Rights belong to threads, so they are dropped while there is one.
    let rights = match sensor.drop_rights() {
        Ok(Rights::Nothing) => "No rights are left".to_owned(),
        Ok(Rights::Bpf) => "Of all rights, CAP_BPF is left: this kernel needs it to run the probe".to_owned(),
        Err(error) => format!("The rights of this process stay: {error}"),
    };
    let shutdown = CancellationToken::new();
    let signals = stop_on_signals(shutdown.clone())?;
    let (format, level) = (config.log_format, config.log_level);
    let mut notes = sensor.explanation().to_vec();
    notes.push(rights);
    let served = backend::run(listener, sensor, config, shutdown, |ready| {
        // The line that others wait for comes before the log's first.
        say(&ready.to_string());
        log(format, level);
        for note in notes {
            tracing::info!("{note}");
        }
        if let Some(agent) = ready.agent {
            tracing::info!("agent-check answered on {agent}");
        }
    });
    let served: Result<(), StartError> = served.await;
    signals.abort();
    Ok(served?)
}

fn unpin(config: &Config) -> anyhow::Result<()> {
    let directory = config.pin.clone().unwrap_or_else(|| PIN_DIRECTORY.into());
    let found = ebpf_sensor::unpin(&directory)?;
    let told = if found { "removed" } else { "there was nothing" };
    print(&format!("{}: {told}\n", directory.display()))
}

/// Stops the node at the first SIGTERM or SIGINT.
fn stop_on_signals(shutdown: CancellationToken) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        shutdown.cancel();
    }))
}

fn log(format: LogFormat, level: tracing::Level) {
    // The server's own words on its threads say nothing to whoever runs a node.
    let targets = Targets::new().with_default(level).with_target("actix_server", tracing::Level::WARN);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry();
    match format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            registry.with(lines.with_target(false).with_ansi(colours).with_filter(targets)).init();
        }
        LogFormat::Json => registry.with(lines.json().with_filter(targets)).init(),
    }
}

/// Nobody may be reading standard error any more; that stops no node.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}
