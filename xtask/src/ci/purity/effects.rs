//! The one table of what is an effect: names of the standard library and of other crates, macros and methods. What is
//! in no row is no innocent: a crate must be here before a file that promises no effects may name it.

/// A name and everything below it: an effect, with what it does, or free of effects. The longest row that fits decides.
type Row = (&'static str, Option<&'static str>);

const FREE: Option<&str> = None;

const NAMES: &[Row] = &[
    ("std", FREE),
    ("std::backtrace", Some("reads its own process")),
    ("std::dbg", Some("prints")),
    ("std::env", Some("reads the environment")),
    ("std::env::consts", FREE),
    ("std::eprint", Some("prints")),
    ("std::eprintln", Some("prints")),
    ("std::fs", Some("touches files")),
    ("std::future", Some("waits")),
    ("std::hash::RandomState", Some("is random")),
    ("std::include", Some("is code from a file that is not looked at")),
    ("std::io::IsTerminal", Some("asks the terminal")),
    ("std::io::Stderr", Some("writes outside")),
    ("std::io::Stdin", Some("reads outside")),
    ("std::io::Stdout", Some("writes outside")),
    ("std::io::pipe", Some("opens a pipe")),
    ("std::io::stderr", Some("writes outside")),
    ("std::io::stdin", Some("reads outside")),
    ("std::io::stdout", Some("writes outside")),
    ("std::net", Some("touches the network")),
    ("std::net::AddrParseError", FREE),
    ("std::net::IpAddr", FREE),
    ("std::net::Ipv4Addr", FREE),
    ("std::net::Ipv6Addr", FREE),
    ("std::net::SocketAddr", FREE),
    ("std::net::SocketAddrV4", FREE),
    ("std::net::SocketAddrV6", FREE),
    ("std::os", Some("touches the system")),
    ("std::print", Some("prints")),
    ("std::println", Some("prints")),
    ("std::process", Some("touches processes")),
    ("std::process::ExitCode", FREE),
    ("std::sync::Barrier", Some("waits")),
    ("std::sync::Condvar", Some("waits")),
    ("std::sync::mpsc", Some("is a channel")),
    ("std::thread", Some("touches threads")),
    ("std::time::Instant::elapsed", Some("reads the clock")),
    ("std::time::Instant::now", Some("reads the clock")),
    ("std::time::SystemTime::elapsed", Some("reads the clock")),
    ("std::time::SystemTime::now", Some("reads the clock")),
    // Async runtimes, channels and the network.
    ("actix_http", Some("is a server")),
    ("actix_rt", Some("is an async runtime")),
    ("actix_server", Some("is a server")),
    ("actix_service", Some("is a server")),
    ("actix_web", Some("is a server")),
    ("futures", Some("waits")),
    ("futures_channel", Some("is a channel")),
    ("futures_util", Some("waits")),
    ("reqwest", Some("touches the network")),
    ("reqwest::Url", FREE),
    ("tokio", Some("is an async runtime")),
    ("tokio_util", Some("is an async runtime")),
    // The system.
    ("caps", Some("touches the system")),
    ("rustix", Some("touches the system")),
    ("signal_hook", Some("touches the system")),
    ("tempfile", Some("touches files")),
    // A log is outside too: what is to be told is returned.
    ("log", Some("writes a log")),
    ("tracing", Some("writes a log")),
    // The terminal: keys and frames are data.
    ("crossterm", Some("touches the terminal")),
    ("crossterm::event::KeyCode", FREE),
    ("crossterm::event::KeyEvent", FREE),
    ("crossterm::event::KeyEventKind", FREE),
    ("crossterm::event::KeyModifiers", FREE),
    ("ratatui", Some("touches the terminal")),
    ("ratatui::Frame", FREE),
    ("ratatui::buffer", FREE),
    ("ratatui::layout", FREE),
    ("ratatui::style", FREE),
    ("ratatui::symbols", FREE),
    ("ratatui::text", FREE),
    ("ratatui::widgets", FREE),
    // Data, and what is derived for it.
    ("bytes", FREE),
    ("clap", Some("reads the command line")),
    ("clap::ValueEnum", FREE),
    ("crc32fast", FREE),
    ("encoding_rs", FREE),
    ("form_urlencoded", FREE),
    ("httparse", FREE),
    ("itoa", FREE),
    ("memchr", FREE),
    ("subtle", FREE),
    ("jiff", FREE),
    ("jiff::Timestamp::now", Some("reads the clock")),
    ("jiff::Zoned::now", Some("reads the clock")),
    ("jiff::tz", Some("reads the system's time zones")),
    ("jiff::tz::TimeZone", FREE),
    ("jiff::tz::TimeZone::get", Some("reads the system's time zones")),
    ("jiff::tz::TimeZone::system", Some("reads the system's time zones")),
    ("jiff::tz::TimeZone::try_system", Some("reads the system's time zones")),
    ("serde", FREE),
    ("serde_json", FREE),
    ("sha2", FREE),
    ("thiserror", FREE),
    ("twox_hash", FREE),
    ("unicode_segmentation", FREE),
    ("unicode_width", FREE),
    ("uuid", FREE),
    ("uuid::Timestamp::now", Some("reads the clock")),
    ("uuid::Uuid::new_v4", Some("is random")),
    ("uuid::Uuid::now_v1", Some("reads the clock")),
    ("uuid::Uuid::now_v6", Some("reads the clock")),
    ("uuid::Uuid::now_v7", Some("reads the clock")),
];

/// Macros that every file can call and that have no effect. Any other must be found in a crate or in a file of ours.
const MACROS: [&str; 31] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "cfg",
    "column",
    "compile_error",
    "concat",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "env",
    "file",
    "format",
    "format_args",
    "include_bytes",
    "include_str",
    "line",
    "macro_rules",
    "matches",
    "module_path",
    "offset_of",
    "option_env",
    "panic",
    "stringify",
    "todo",
    "unimplemented",
    "unreachable",
    "vec",
    "write",
    "writeln",
    "addr_of",
];

/// Methods that are effects whatever they are called on. Without types a method is known by its name alone, so only
/// names that mean nothing else are here.
const METHODS: [(&str, &str); 8] = [
    ("canonicalize", "touches files"),
    ("elapsed", "reads the clock"),
    ("read_dir", "touches files"),
    ("read_link", "touches files"),
    ("socket_addrs", "touches the network"),
    ("symlink_metadata", "touches files"),
    ("to_socket_addrs", "touches the network"),
    ("try_exists", "touches files"),
];

/// What is wrong with naming this, by its full name; `None` if nothing is.
pub(super) fn of_name(names: &[String]) -> Option<String> {
    let fits = |row: &str| row.split("::").zip(names).filter(|(row, name)| row == name).count();
    let fitting = NAMES.iter().filter(|(row, _)| fits(row) == row.split("::").count());
    match fitting.max_by_key(|(row, _)| fits(row)) {
        Some((_, effect)) => effect.map(str::to_owned),
        None => Some("is of a crate that `purity/effects.rs` does not list as free of effects".to_owned()),
    }
}

/// What is wrong with bringing in all that lies below this.
pub(super) fn of_glob(names: &[String]) -> Option<String> {
    let inside = format!("{}::", names.join("::"));
    of_name(names).or_else(|| {
        let hidden = NAMES.iter().find(|(row, effect)| effect.is_some() && row.starts_with(&inside))?;
        Some(format!("brings in `{}` without naming it", hidden.0))
    })
}

/// What is wrong with calling this macro of the standard library, by its bare name; `Err` if it is none.
pub(super) fn of_macro(name: &str) -> Result<Option<String>, ()> {
    if MACROS.contains(&name) {
        return Ok(None);
    }
    let row = format!("std::{name}");
    NAMES.iter().find(|(known, _)| *known == row).map(|(_, effect)| effect.map(str::to_owned)).ok_or(())
}

/// What is wrong with calling a method of this name.
pub(super) fn of_method(name: &str) -> Option<&'static str> {
    METHODS.iter().find(|(method, _)| *method == name).map(|(_, effect)| *effect)
}
