//! Configuration: one typed struct per service; defaults that work, then a TOML file, then the environment. Every
//! mistake is found at start and reported with its place, all of them at once.

mod health;
mod merge;
pub mod tables;

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tasklane_contract::code;

pub use merge::merge;

/// A mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: a file with its key, or the name of a variable.
    pub place: String,
    /// What is wrong and what to do.
    pub text: String,
}

impl Problem {
    /// A problem with a value, found by a service's own check.
    pub fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

/// A service's configuration.
pub trait Config: Default + Serialize + DeserializeOwned {
    /// Finds values that cannot be used together or are out of bounds.
    fn check(&self) -> Vec<Problem>;

    /// Where `/healthz`, `/readyz` and `/metrics` are served: address and port.
    fn pages(&self) -> &str;
}

/// What the command line asks of a service.
enum Asked {
    Run { file: Option<PathBuf> },
    Print { file: Option<PathBuf> },
    Health { file: Option<PathBuf> },
    Variables,
    Help,
    Version,
}

fn arguments(args: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut args = args.peekable();
    let (mut file, mut print, mut health) = (None, false, false);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--config" => file = Some(args.next().ok_or("--config needs a file")?.into()),
            "--print-config" => print = true,
            "--health" => health = true,
            "--print-variables" => return Ok(Asked::Variables),
            "--help" | "-h" => return Ok(Asked::Help),
            "--version" | "-V" => return Ok(Asked::Version),
            other => {
                return Err(format!(
                    "unknown argument {other}; there are --config FILE, --print-config, --print-variables, --health, --help"
                ));
            }
        }
    }
    Ok(match (print, health) {
        (true, _) => Asked::Print { file },
        (_, true) => Asked::Health { file },
        _ => Asked::Run { file },
    })
}

/// Reads the command line, file and environment of a service. Where that ends the program (`--help`,
/// `--print-config`, a mistake) this prints what is due and exits.
pub fn load_or_exit<C: Config>(service: &str) -> C {
    let asked = match arguments(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(text) => exit_with(service, &[Problem::new("command line", text)]),
    };
    match asked {
        Asked::Help => {
            println!("{}", help::<C>(service));
            std::process::exit(0)
        }
        Asked::Variables => {
            merge::names::<C>().iter().for_each(|name| println!("{name}"));
            std::process::exit(0)
        }
        Asked::Version => {
            println!("tasklane-{service} {}", env!("CARGO_PKG_VERSION"));
            std::process::exit(0)
        }
        Asked::Print { file } => match load::<C>(file) {
            Ok(config) => {
                print!("{}", to_toml(&config));
                std::process::exit(0)
            }
            Err(problems) => exit_with(service, &problems),
        },
        Asked::Health { file } => match load::<C>(file).map(|config| health::ask(config.pages())) {
            Ok(Ok(())) => std::process::exit(0),
            Ok(Err(why)) => {
                eprintln!("tasklane-{service}: {why}");
                std::process::exit(1)
            }
            Err(problems) => exit_with(service, &problems),
        },
        Asked::Run { file } => load(file).unwrap_or_else(|problems| exit_with(service, &problems)),
    }
}

fn load<C: Config>(file: Option<PathBuf>) -> Result<C, Vec<Problem>> {
    let mut text = None;
    if let Some(path) = file {
        let read = std::fs::read_to_string(&path);
        text = Some((
            path.display().to_string(),
            read.map_err(|e| vec![Problem::new(path.display().to_string(), e.to_string())])?,
        ));
    }
    let file = text.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    merge(file, std::env::vars())
}

/// A configuration as TOML.
pub fn to_toml<C: Serialize>(config: &C) -> String {
    toml::to_string(config).unwrap_or_else(|e| format!("# cannot be shown: {e}\n"))
}

fn help<C: Config>(service: &str) -> String {
    format!(
        "tasklane-{service}: a service of Tasklane\n\n\
         usage: tasklane-{service} [--config FILE] [--print-config | --print-variables | --health]\n\n\
         --print-config shows the configuration in use, --print-variables the names of all variables; --health asks the running service whether it is ready.\n\
         Every key below can stand in FILE (TOML) or in the environment, where `nats.url` is TASKLANE_NATS_URL.\n\
         Traces go to OTEL_EXPORTER_OTLP_ENDPOINT where it is set. The defaults are:\n\n{}",
        to_toml(&C::default())
    )
}

fn exit_with(service: &str, problems: &[Problem]) -> ! {
    eprintln!("tasklane-{service}: {} the configuration cannot be used:", code::CONFIG);
    for problem in problems {
        eprintln!("  {}: {}", problem.place, problem.text);
    }
    eprintln!("`tasklane-{service} --print-config` shows every key with its value.");
    std::process::exit(2)
}
