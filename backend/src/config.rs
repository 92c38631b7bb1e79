//! Every key of the configuration: its name, its default, what it may be, and the error when it is not.
//!
//! A key is a flag, an environment variable and an entry of the TOML file under one name. Flags win over the
//! environment, the environment over the file, the file over the default. All errors are found before any is told.
//! The files of tokens are read here; nothing else of the outside world is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ebpf_sensor::{PIN_DIRECTORY, ProbeChoice, Scope};
use guard::Limits;
use wire::Token;

use crate::http::ClientLimits;
use crate::store::mongo;
use crate::token::{self, Tokens};

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name: `listen` is the flag `--listen` and the TOML key `listen`.
    pub name: &'static str,
    /// Its environment variable, such as `BALANZA_LISTEN`.
    pub variable: &'static str,
    /// How its value is called in the help.
    pub value: &'static str,
    /// Its value where none is given; without one the key may stay unset.
    pub default: Option<&'static str>,
    /// What it is for.
    pub help: &'static str,
}

/// All keys, in the order of the help.
pub const KEYS: [Key; 18] = [
    Key {
        name: "listen",
        variable: "BALANZA_LISTEN",
        value: "ADDR",
        default: Some("127.0.0.1:5000"),
        help: "Address and port to serve; port 0 picks a free one",
    },
    Key {
        name: "data-dir",
        variable: "BALANZA_DATA_DIR",
        value: "DIR",
        default: Some("balanza-data"),
        help: "Directory of the embedded store; made where it is missing",
    },
    Key {
        name: "store",
        variable: "BALANZA_STORE",
        value: "STORE",
        default: Some("embedded"),
        help: "Where sentences are kept: embedded, or mongodb://HOST/DATABASE",
    },
    Key {
        name: "mongo-collection",
        variable: "BALANZA_MONGO_COLLECTION",
        value: "NAME",
        default: Some("sentences"),
        help: "Collection of this node in MongoDB; no two nodes share one",
    },
    Key {
        name: "probe",
        variable: "BALANZA_PROBE",
        value: "CHOICE",
        default: Some("auto"),
        help: "Source of RAM and CPU: auto, ebpf or procfs",
    },
    Key {
        name: "scope",
        variable: "BALANZA_SCOPE",
        value: "SCOPE",
        default: Some("host"),
        help: "What RAM and CPU are shares of: host, or cgroup for the limits of the node's own cgroup",
    },
    Key {
        name: "pin",
        variable: "BALANZA_PIN",
        value: "DIR",
        default: None,
        help: "Pin the file so_info (`ram;cpu`) in the BPF file system; --pin alone means /sys/fs/bpf/balanza",
    },
    Key {
        name: "agent-check",
        variable: "BALANZA_AGENT_CHECK",
        value: "ADDR",
        default: None,
        help: "Address for HAProxy's agent-check; off where not given",
    },
    Key {
        name: "admin-token-file",
        variable: "BALANZA_ADMIN_TOKEN_FILE",
        value: "FILE",
        default: None,
        help: "File with the token that allows deletion; none allows nobody",
    },
    Key {
        name: "write-token-file",
        variable: "BALANZA_WRITE_TOKEN_FILE",
        value: "FILE",
        default: None,
        help: "File with the token that posts need; none allows everybody",
    },
    Key {
        name: "workers",
        variable: "BALANZA_WORKERS",
        value: "N",
        default: Some("auto"),
        help: "Threads that serve requests: auto (up to two), or 1 to 64",
    },
    Key {
        name: "header-timeout",
        variable: "BALANZA_HEADER_TIMEOUT",
        value: "DURATION",
        default: Some("10s"),
        help: "Time for the head of a request",
    },
    Key {
        name: "body-timeout",
        variable: "BALANZA_BODY_TIMEOUT",
        value: "DURATION",
        default: Some("30s"),
        help: "Time for the body of a request",
    },
    Key {
        name: "idle-timeout",
        variable: "BALANZA_IDLE_TIMEOUT",
        value: "DURATION",
        default: Some("75s"),
        help: "Time that a connection may rest between requests",
    },
    Key {
        name: "write-timeout",
        variable: "BALANZA_WRITE_TIMEOUT",
        value: "DURATION",
        default: Some("30s"),
        help: "Time that a client may leave an answer unread",
    },
    Key {
        name: "max-connections",
        variable: "BALANZA_MAX_CONNECTIONS",
        value: "N",
        default: Some("25000"),
        help: "Most open connections, per worker",
    },
    Key {
        name: "log-format",
        variable: "BALANZA_LOG_FORMAT",
        value: "FORMAT",
        default: Some("text"),
        help: "Form of the log on standard error: text or json",
    },
    Key {
        name: "log-level",
        variable: "BALANZA_LOG_LEVEL",
        value: "LEVEL",
        default: Some("info"),
        help: "Least level that is logged: error, warn, info, debug or trace",
    },
];

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag,
    /// An environment variable.
    Environment,
    /// The TOML file.
    File,
    /// Nobody gave one.
    Default,
}

/// Which store to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// The embedded store in this directory.
    Embedded(PathBuf),
    /// A collection of a MongoDB.
    Mongo {
        /// The connection string.
        uri: String,
        /// The collection.
        collection: String,
    },
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Which store to open.
    pub store: StoreChoice,
    /// Which source of RAM and CPU to use.
    pub probe: ProbeChoice,
    /// What RAM and CPU are shares of.
    pub scope: Scope,
    /// Where the file `so_info` is pinned.
    pub pin: Option<PathBuf>,
    /// Where HAProxy's agent-check is answered.
    pub agent_check: Option<SocketAddr>,
    /// Who may do what.
    pub tokens: Tokens,
    /// Threads that serve requests.
    pub workers: usize,
    /// What is taken of clients.
    pub clients: ClientLimits,
    /// How the log is written.
    pub log_format: LogFormat,
    /// Least level that is logged.
    pub log_level: tracing::Level,
}

/// The values of all keys with their origins, as given and not yet checked.
#[derive(Clone, Debug)]
pub struct Settings(BTreeMap<&'static str, (String, Origin)>);

impl Settings {
    /// Joins flags and environment (`given`), the TOML file (`file`) and the defaults.
    ///
    /// # Errors
    /// One line for each unknown key and for each value of the file that is no scalar; then also those of
    /// [`Config::check`] for the rest.
    pub fn gather(
        given: impl Fn(&str) -> Option<(String, Origin)>,
        file: Option<&str>,
    ) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut from_file = BTreeMap::new();
        match file.map(str::parse::<toml::Table>).transpose() {
            Err(error) => {
                errors.push(format!("the configuration file is not TOML: {error}").trim_end().to_owned())
            }
            Ok(table) => {
                for (name, value) in table.into_iter().flatten() {
                    match scalar(&value) {
                        _ if !KEYS.iter().any(|key| key.name == name) => errors.push(unknown(&name)),
                        Some(text) => drop(from_file.insert(name, text)),
                        None => errors.push(format!(
                            "{name}: the value is no text and no number; write {name} = \"…\""
                        )),
                    }
                }
            }
        }
        let settings = KEYS.iter().filter_map(|key| {
            let value = given(key.name)
                .or_else(|| Some((from_file.remove(key.name)?, Origin::File)))
                .or_else(|| Some((key.default?.to_owned(), Origin::Default)))?;
            Some((key.name, value))
        });
        let settings = Self(settings.collect());
        if errors.is_empty() {
            return Ok(settings);
        }
        // What can be read is checked all the same, so that one run tells every error.
        errors.extend(Config::check(&settings).err().into_iter().flatten());
        Err(errors)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|(value, _)| value.as_str())
    }

    /// The settings as a TOML file, each with its origin. Passwords are left out.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for Key { name, variable, help, .. } in KEYS {
            let line = match self.0.get(name) {
                None => format!("# {name} is not set: {help}\n"),
                Some((value, origin)) => {
                    let origin = match origin {
                        Origin::Flag => format!("flag --{name}"),
                        Origin::Environment => variable.to_owned(),
                        Origin::File => "file".to_owned(),
                        Origin::Default => "default".to_owned(),
                    };
                    let value = toml::Value::String(without_password(value));
                    format!("{name} = {value}  # {origin}\n")
                }
            };
            text.push_str(&line);
        }
        text
    }
}

impl Config {
    /// Checks every value.
    ///
    /// # Errors
    /// One line for each wrong value: the key, the problem and the remedy.
    pub fn check(settings: &Settings) -> Result<Self, Vec<String>> {
        let mut check = Check { settings, errors: Vec::new() };
        let listen = check.address("listen");
        let agent_check = check.address("agent-check");
        let store = check.store();
        let probe = check.one("probe", |text| text.parse::<ProbeChoice>().map_err(|error| error.to_string()));
        let scope = check.one("scope", |text| text.parse::<Scope>().map_err(|error| error.to_string()));
        let pin = check.pin(probe);
        let tokens =
            Tokens { admin: check.token("admin-token-file"), write: check.token("write-token-file") };
        let workers = check.one("workers", workers);
        let clients = check.clients();
        let log_format = check.one("log-format", |text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            other => Err(format!("`{other}` is no format; use text or json")),
        });
        let log_level = check.one("log-level", |text| {
            text.parse::<tracing::Level>()
                .map_err(|_| format!("`{text}` is no level; use error, warn, info, debug or trace"))
        });
        let (
            Some(listen),
            Some(store),
            Some(probe),
            Some(scope),
            Some(workers),
            Some(clients),
            Some(log_format),
            Some(log_level),
        ) = (listen, store, probe, scope, workers, clients, log_format, log_level)
        else {
            return Err(check.errors);
        };
        if !check.errors.is_empty() {
            return Err(check.errors);
        }
        Ok(Self {
            listen,
            store,
            probe,
            scope,
            pin,
            agent_check,
            tokens,
            workers,
            clients,
            log_format,
            log_level,
        })
    }
}

struct Check<'a> {
    settings: &'a Settings,
    errors: Vec<String>,
}

impl Check<'_> {
    fn one<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let read = read(self.settings.get(name)?);
        read.map_err(|problem| self.errors.push(format!("{name}: {problem}"))).ok()
    }

    fn address(&mut self, name: &str) -> Option<SocketAddr> {
        self.one(name, |text| {
            // A name is welcome where it is one of this machine's own.
            let text = text
                .strip_prefix("localhost:")
                .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
            text.parse()
                .map_err(|_| format!("`{text}` is no address; write it as 127.0.0.1:5000 or [::1]:5000"))
        })
    }

    fn clients(&mut self) -> Option<ClientLimits> {
        let [header, body, idle, write] = ["header-timeout", "body-timeout", "idle-timeout", "write-timeout"]
            .map(|name| self.one(name, duration));
        let max_connections = self.one("max-connections", |text| {
            let count = text.parse().ok().filter(|count| *count > 0);
            count.ok_or_else(|| format!("`{text}` is no number of connections; use 1 or more"))
        });
        let guarded = Limits { header: header?, body: body?, idle: idle?, write: write?, last: guard::LAST };
        Some(ClientLimits { guarded, max_connections: max_connections? })
    }

    fn token(&mut self, name: &str) -> Option<Token> {
        self.one(name, |file| {
            token::read(Path::new(file)).map_err(|problem| {
                format!("{problem}; write the token into the file, with `openssl rand -hex 32 > FILE`")
            })
        })
    }

    fn pin(&mut self, probe: Option<ProbeChoice>) -> Option<PathBuf> {
        self.one("pin", |dir| match dir {
            dir if !dir.starts_with('/') => {
                Err(format!("`{dir}` is no directory of the BPF file system; use {PIN_DIRECTORY}"))
            }
            _ if probe == Some(ProbeChoice::Procfs) => {
                Err("with --probe procfs there is nothing to pin; use --probe auto".to_owned())
            }
            dir => Ok(PathBuf::from(dir)),
        })
    }

    fn store(&mut self) -> Option<StoreChoice> {
        let data_dir = self.one("data-dir", |dir| match dir {
            "" => Err("the directory is empty; name one".to_owned()),
            dir => Ok(PathBuf::from(dir)),
        });
        let collection = self.one("mongo-collection", |name| {
            let fits = !name.is_empty()
                && name.len() <= 120
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
                && !name.starts_with("system.");
            if name == mongo::IDENTITIES {
                Err(format!("`{name}` holds the identities of the stores; use another name"))
            } else if fits {
                Ok(name.to_owned())
            } else {
                Err(format!("`{name}` is no name; use letters, digits, - and _"))
            }
        });
        self.one("store", |text| match text {
            "embedded" => Ok(data_dir.map(StoreChoice::Embedded)),
            uri if uri.starts_with("mongodb://") || uri.starts_with("mongodb+srv://") => {
                mongo::check_uri(uri)?;
                Ok(collection.map(|collection| StoreChoice::Mongo { uri: uri.to_owned(), collection }))
            }
            other => Err(format!(
                "`{}` is no store; use embedded or mongodb://HOST/DATABASE",
                without_password(other)
            )),
        })?
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
    let time = number.and_then(|number| match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    });
    time.ok_or_else(|| format!("`{text}` is no duration; write it with its unit, as 5s or 250ms"))
}

fn workers(text: &str) -> Result<usize, String> {
    const MOST: usize = 64;
    const AUTO_MOST: usize = 2;
    if text == "auto" {
        return Ok(std::thread::available_parallelism().map_or(1, usize::from).min(AUTO_MOST));
    }
    let count = text.parse().ok().filter(|count| (1..=MOST).contains(count));
    count.ok_or_else(|| format!("`{text}` is no number of threads; use auto, or 1 to {MOST}"))
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    format!("{name}: there is no such key; the keys are {}", known.join(", "))
}

/// A connection string without its password.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    match rest[..authority].rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{scheme}://{user}:…@{host}{}", &rest[authority..])
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(flags: &[(&str, &str)], file: Option<&str>) -> Result<Config, Vec<String>> {
        let given = |name: &str| {
            let (_, value) = flags.iter().find(|(flag, _)| *flag == name)?;
            Some(((*value).to_owned(), Origin::Flag))
        };
        Config::check(&Settings::gather(given, file)?)
    }

    #[test]
    fn the_defaults_are_a_configuration() {
        let config = check(&[], None).unwrap();
        assert_eq!(config.listen, SocketAddr::from(([127, 0, 0, 1], 5000)));
        assert_eq!(config.store, StoreChoice::Embedded(PathBuf::from("balanza-data")));
        assert_eq!(config.probe, ProbeChoice::Auto);
        assert!(config.agent_check.is_none() && config.tokens.admin.is_none());
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults() {
        let file = "listen = \"127.0.0.1:7000\"\nworkers = 3\nlog-format = \"json\"";
        let config = check(&[("workers", "4")], Some(file)).unwrap();
        assert_eq!((config.listen.port(), config.workers), (7000, 4));
        assert_eq!(config.log_format, LogFormat::Json);
    }

    #[test]
    fn all_errors_are_told_at_once() {
        let flags = [
            ("listen", "5000"),
            ("probe", "bpf"),
            ("workers", "0"),
            ("store", "redis://x"),
            ("log-level", "loud"),
        ];
        let errors = check(&flags, None).unwrap_err();
        let keys: Vec<_> =
            errors.iter().filter_map(|error| error.split_once(": ")).map(|(key, _)| key).collect();
        assert_eq!(keys, ["listen", "store", "probe", "workers", "log-level"]);
        let errors = check(&[], Some("lisen = \"x\"\nstore = [1]\n")).unwrap_err();
        assert!(errors[0].starts_with("lisen: there is no such key; the keys are listen, data-dir"));
        assert!(errors[1].starts_with("store: the value is no text"));
        assert!(check(&[], Some("= 1")).unwrap_err()[0].contains("not TOML"));
        let errors = check(&[("workers", "0")], Some("lisen = \"x\"\nprobe = \"bpf\"\n")).unwrap_err();
        assert_eq!(errors.len(), 3, "of the file's keys, the file's values and the flags: {errors:?}");
    }

    #[test]
    fn limits_of_clients_have_units() {
        let config = check(&[("header-timeout", "250ms"), ("idle-timeout", "2m")], None).unwrap();
        let Limits { header, body, idle, write, .. } = config.clients.guarded;
        assert_eq!([header, body, idle, write].map(|time| time.as_millis()), [250, 30_000, 120_000, 30_000]);
        let flags = [("header-timeout", "10"), ("write-timeout", "0s"), ("max-connections", "0")];
        let errors = check(&flags, None).unwrap_err();
        let keys: Vec<_> = errors.iter().filter_map(|error| error.split(": ").next()).collect();
        assert_eq!(keys, ["header-timeout", "write-timeout", "max-connections"]);
        assert!(errors[0].ends_with("write it with its unit, as 5s or 250ms"), "{errors:?}");
    }

    #[test]
    fn a_token_file_must_hold_a_token() {
        let errors = check(&[("admin-token-file", "/nowhere/token")], None).unwrap_err();
        assert!(errors[0].starts_with("admin-token-file: /nowhere/token"), "{errors:?}");
    }

    #[test]
    fn what_is_printed_reads_back_and_shows_no_password() {
        let given = |name: &str| {
            (name == "store").then(|| ("mongodb://u:secret@db:27017/x?w=1".to_owned(), Origin::Environment))
        };
        let text = Settings::gather(given, None).unwrap().to_toml();
        assert!(text.contains("store = \"mongodb://u:…@db:27017/x?w=1\"  # BALANZA_STORE"), "{text}");
        assert!(!text.contains("secret"));
        assert!(check(&[("store", "embedded")], Some(&text)).is_ok());
    }

    #[test]
    fn every_key_is_in_the_reference() {
        let reference = include_str!("../../docs/configuration-backend.md");
        for key in KEYS {
            let row = format!("| `{}` | `{}` |", key.name, key.variable);
            let expected = format!("BALANZA_{}", key.name.replace('-', "_").to_ascii_uppercase());
            assert_eq!(key.variable, expected);
            assert!(reference.contains(&row), "docs/configuration-backend.md lacks the row {row}");
            if let Some(default) = key.default {
                let row = format!("{row} `{default}` |");
                assert!(reference.contains(&row), "docs/configuration-backend.md lacks the default in {row}");
            }
        }
    }
}
