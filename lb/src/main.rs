//! The program `balanza-lb`: reads flags, environment and file, and runs the balancer until a signal ends it.
//! Exit codes: 0 ended as asked, 1 failed while running, 2 the configuration is not usable.

use std::io::{self, IsTerminal, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use lb::config::{self, Config, Given, KEYS, LogFormat, Origin};
use lb::{Event, run};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let matches = command().get_matches();
    let (command, flags) = matches.subcommand().unwrap_or(("run", &matches));
    let configured = given(flags).and_then(|given| Config::read(&given).map(|config| (given, config)));
    match (configured, command) {
        (Err(faults), _) => {
            for fault in &faults {
                tell(&mut io::stderr(), &format!("balanza-lb: {fault}"));
            }
            ExitCode::from(2)
        }
        (Ok((given, config)), "print-config") => {
            tell(&mut io::stdout(), config::print(&given, &config).trim_end());
            ExitCode::SUCCESS
        }
        (Ok((_, config)), "check-config") => {
            tell(&mut io::stdout(), &format!("the configuration is valid: {} nodes", config.nodes.len()));
            ExitCode::SUCCESS
        }
        (Ok((_, config)), _) => match serve(config, flags) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tell(&mut io::stderr(), &format!("balanza-lb: {error:#}"));
                ExitCode::FAILURE
            }
        },
    }
}

fn command() -> Command {
    let with_keys = |command: Command| {
        let keys = KEYS.iter().map(|key| {
            let default = key.default.map(|value| format!(" [default: {value}]")).unwrap_or_default();
            Arg::new(key.name)
                .long(key.name)
                .env(key.env)
                .value_name(key.value)
                .help(format!("{}{default}", key.help))
        });
        command
            .arg(
                Arg::new("node")
                    .long("node")
                    .value_name("NAME=URL")
                    .env("BALANZA_NODES")
                    .value_delimiter(',')
                    .action(ArgAction::Append)
                    .help("A node; repeat it, or separate several by commas"),
            )
            .arg(
                Arg::new("config")
                    .long("config")
                    .env("BALANZA_CONFIG")
                    .value_name("FILE")
                    .help("A TOML file"),
            )
            .args(keys)
    };
    let command = Command::new("balanza-lb")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Stores each sentence on the node with the fewest documents, then the least RAM, then the least CPU")
        .after_help("Flags win over the environment, that over the file.")
        .subcommand(with_keys(Command::new("check-config").about("Checks the configuration and ends")))
        .subcommand(with_keys(Command::new("print-config").about("Prints the configuration in force as TOML")));
    with_keys(command)
}

/// Everything that was given, still unchecked.
fn given(matches: &ArgMatches) -> Result<Given, Vec<String>> {
    let mut given = Given::default();
    if let Some(path) = matches.get_one::<String>("config") {
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![format!("config: `{path}` cannot be read: {error}; name a readable TOML file")]
        })?;
        given.read_file(&text);
    }
    let origin = |id: &str| match matches.value_source(id) {
        Some(ValueSource::EnvVariable) => Origin::Environment,
        _ => Origin::Flag,
    };
    for node in matches.get_many::<String>("node").into_iter().flatten().filter(|text| !text.is_empty()) {
        given.add_node(node, origin("node"));
    }
    for key in KEYS {
        if let Some(value) = matches.get_one::<String>(key.name) {
            given.set(key.name, value, origin(key.name));
        }
    }
    Ok(given)
}

/// Lets the process open as many files as its administrator allows. A connection is a file, and the limit that a login
/// shell sets by default, 1,024, is below what a balancer is for.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    // A refusal leaves the limit where it was; connections beyond it wait to be accepted.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).ok();
}

fn serve(config: Config, flags: &ArgMatches) -> anyhow::Result<()> {
    let log_format = config.log_format;
    allow_many_files();
    let listener = TcpListener::bind(&config.listen).map_err(|error| {
        anyhow::anyhow!("listen: cannot listen on {}: {error}; choose another with --listen", config.listen)
    })?;
    let (nodes, policy) = (config.nodes.len(), config.fleet.policy);
    let ready = move |address| {
        tell(
            &mut io::stderr(),
            &format!("balanza-lb ready on http://{address} ({nodes} nodes, policy {policy})"),
        );
        // Whoever starts the program reads this line first, so logging begins behind it.
        log(log_format);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (events, received) = mpsc::channel(1);
        let flags = flags.clone();
        tokio::spawn(async move {
            if let Err(error) = follow_signals(&events, &flags).await {
                tracing::error!(%error, "signals cannot be received");
            }
        });
        Ok(run(listener, config, received, ready).await?)
    })
}

/// SIGTERM and SIGINT end the balancer, SIGHUP reads the node list anew.
async fn follow_signals(events: &mpsc::Sender<Event>, flags: &ArgMatches) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {
                match given(flags).and_then(|given| Config::read(&given)) {
                    Ok(config) => {
                        tracing::info!(nodes = config.nodes.len(), "node list read anew");
                        events.send(Event::Nodes(config.nodes)).await.ok();
                    }
                    // A faulty file changes nothing: the balancer goes on as it was.
                    Err(faults) => tracing::error!(faults = faults.join("; "), "the new configuration is not usable"),
                }
            }
        }
    }
    events.send(Event::Stop).await.ok();
    Ok(())
}

fn log(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("BALANZA_LOG").unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// A closed output must not end the balancer.
fn tell(output: &mut dyn Write, line: &str) {
    writeln!(output, "{line}").ok();
}
