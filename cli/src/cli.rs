//! The command line: every command and flag, and their help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tasklane_runtime::bus::BusConfig;

use crate::commands::ask::args::AskArgs;
use crate::commands::ingest::args::IngestArgs;
use crate::commands::llm::args::LlmCommand;
use crate::commands::models::args::ModelsCommand;
use crate::commands::search::args::SearchArgs;
use crate::commands::vectors::args::VectorsCommand;
use crate::task::TaskArgs;
use crate::units;

const EXIT_CODES: &str = "\
Exit codes:
  0  done; the task succeeded
  1  the task failed, or something was found to be wrong
  2  the command line or the submission is wrong
  3  the task was cancelled
  4  the task's deadline passed
  5  NATS or the router did not answer, or there is no result yet
  130  Ctrl-C while waiting; the task goes on

Examples:
  tasklane run document_analysis report.pdf
  tasklane run echo '{\"hello\":\"world\"}' --priority high
  tasklane submit @task.json
  tasklane result ID --wait 30s
  tasklane explain document_analysis
  tasklane ingest reports --collection reports
  tasklane ask reports 'What did we spend on prisms?'";

/// Submit tasks to Tasklane, look at them, and operate it
#[derive(Debug, Parser)]
#[command(name = "tasklane", version, after_help = EXIT_CODES, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print JSON, also on a terminal
    #[arg(long, global = true)]
    pub json: bool,
    /// How to reach NATS.
    #[command(flatten)]
    pub connection: Connection,
}

/// How to reach NATS. The variables are those of the services.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// NATS, one or several URLs separated by commas
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TASKLANE_NATS_URL",
        hide_env_values = true,
        default_value = "nats://127.0.0.1:4222"
    )]
    pub nats: String,
    /// A .creds file
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        hide_env_values = true,
        value_name = "FILE",
        env = "TASKLANE_NATS_CREDENTIALS_FILE"
    )]
    pub creds: Option<String>,
    /// A file with an nkey seed
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        hide_env_values = true,
        value_name = "FILE",
        env = "TASKLANE_NATS_NKEY_FILE"
    )]
    pub nkey: Option<String>,
    /// A user's name, with --password-file
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        hide_env_values = true,
        env = "TASKLANE_NATS_USER",
        requires = "password_file"
    )]
    pub user: Option<String>,
    /// A file with the user's password
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        hide_env_values = true,
        value_name = "FILE",
        env = "TASKLANE_NATS_PASSWORD_FILE"
    )]
    pub password_file: Option<String>,
    /// A CA certificate; given, TLS is required
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        hide_env_values = true,
        value_name = "FILE",
        env = "TASKLANE_NATS_TLS_CA_FILE"
    )]
    pub tls_ca: Option<String>,
    /// A client certificate, with --tls-key
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        hide_env_values = true,
        value_name = "FILE",
        env = "TASKLANE_NATS_TLS_CERT_FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<String>,
    /// The client certificate's key
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        hide_env_values = true,
        value_name = "FILE",
        env = "TASKLANE_NATS_TLS_KEY_FILE"
    )]
    pub tls_key: Option<String>,
    /// Prefix of inboxes, where the server's permissions ask for one
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        hide_env_values = true,
        value_name = "PREFIX",
        env = "TASKLANE_NATS_INBOX_PREFIX"
    )]
    pub inbox_prefix: Option<String>,
    /// How long an acknowledgement or an answer may take
    #[arg(long, global = true, hide_short_help = true, hide_env_values = true, value_name = "DURATION", default_value = "5s", value_parser = units::duration)]
    pub answer_timeout: Duration,
}

impl From<Connection> for BusConfig {
    fn from(c: Connection) -> Self {
        Self {
            url: c.nats,
            credentials_file: c.creds.unwrap_or_default(),
            nkey_file: c.nkey.unwrap_or_default(),
            user: c.user.unwrap_or_default(),
            password_file: c.password_file.unwrap_or_default(),
            tls_ca_file: c.tls_ca.unwrap_or_default(),
            tls_cert_file: c.tls_cert.unwrap_or_default(),
            tls_key_file: c.tls_key.unwrap_or_default(),
            inbox_prefix: c.inbox_prefix.unwrap_or_default(),
            batches: false,
            timeout_ms: u64::try_from(c.answer_timeout.as_millis()).unwrap_or(u64::MAX).max(1),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Submit a task and wait for its result
    Run(RunArgs),
    /// Submit a task; prints its id once it is stored
    Submit(SubmitArgs),
    /// Show a task's result
    Result(ResultArgs),
    /// Show events and results as they come
    Watch(WatchArgs),
    /// Cancel a task
    Cancel(IdArgs),
    /// Who would get a task, and why
    Explain(ExplainArgs),
    /// Every worker that is there
    Workers(WorkersArgs),
    /// Every pool: its queue, its slots, the expected wait
    Lanes,
    /// Queues and workers, refreshed; q quits
    Top(TopArgs),
    /// Tasks that were given up: list, show, replay
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Model calls: what may be asked, what was used, what is left of budgets; and a chat
    #[command(subcommand)]
    Llm(LlmCommand),
    /// Models of the ml workers: list, push, pull, load, unload
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Put documents into a collection: read, cut, embedded, indexed; what is there already is not done again
    Ingest(IngestArgs),
    /// Find the chunks of a collection that answer a question best
    Search(SearchArgs),
    /// Have a model answer a question from a collection, with its sources
    Ask(AskArgs),
    /// Collections of vectors: list, describe, drop, name, snapshot, restore; and who holds them
    #[command(subcommand)]
    Vectors(VectorsCommand),
    /// Keep new tasks from a pool; what it has goes elsewhere or waits
    Pause(PoolArgs),
    /// Let a paused pool have tasks again
    Resume(PoolArgs),
    /// Find what is missing or wrong, and how to mend it
    Doctor(DoctorArgs),
    /// Make the keys, certificates and permissions of NATS users; run again for a new pool
    Keys(KeysArgs),
    /// Run NATS and all services here until Ctrl-C (in a checkout)
    Up,
    /// Stop what `up` started in another terminal (in a checkout)
    Down,
    /// Who of a running stack is ready (in a checkout)
    Status,
    /// Follow the logs of a running stack (in a checkout)
    Logs,
    /// Print completions for a shell
    Completions(CompletionArgs),
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The task.
    #[command(flatten)]
    pub task: TaskArgs,
    /// How long to wait for the result; 0s waits for ever
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = units::duration)]
    pub timeout: Duration,
    /// Write what the task returned to a file, also where it is too large for a message
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// The task.
    #[command(flatten)]
    pub task: TaskArgs,
}

/// `result`.
#[derive(Debug, Args)]
pub struct ResultArgs {
    /// The task's id
    pub id: String,
    /// How long to wait for it, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    pub wait: Option<Duration>,
    /// Write what the task returned to a file, also where it is too large for a message
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// One task; ends with its result
    #[arg(conflicts_with = "task_type")]
    pub id: Option<String>,
    /// Tasks of one type
    #[arg(long = "type", value_name = "TYPE")]
    pub task_type: Option<String>,
}

/// A task's id.
#[derive(Debug, Args)]
pub struct IdArgs {
    /// The task's id
    pub id: String,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The task; without a payload, {} is asked about.
    #[command(flatten)]
    pub task: TaskArgs,
}

/// `workers`.
#[derive(Debug, Args)]
pub struct WorkersArgs {
    /// Show the task types that they serve
    #[arg(long)]
    pub types: bool,
}

/// `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// How often it is refreshed
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = units::duration)]
    pub interval: Duration,
}

/// `dead`.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// Show what was given up
    List(DeadListArgs),
    /// Show one in full
    Show {
        /// Its number, as `dead list` shows it
        number: u64,
    },
    /// Submit them again
    Replay(ReplayArgs),
}

/// `dead list`.
#[derive(Debug, Args)]
pub struct DeadListArgs {
    /// Tasks of one type
    #[arg(long = "type", value_name = "TYPE")]
    pub task_type: Option<String>,
    /// Start after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub after: u64,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u64,
}

/// `dead replay`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ReplayArgs {
    /// Their numbers, as `dead list` shows them
    pub numbers: Vec<u64>,
    /// All of one type
    #[arg(long = "type", value_name = "TYPE")]
    pub task_type: Option<String>,
    /// All there are
    #[arg(long)]
    pub all: bool,
}

/// A pool.
#[derive(Debug, Args)]
pub struct PoolArgs {
    /// Its name, as `lanes` shows it
    pub pool: String,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// NATS's monitoring page
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8222")]
    pub monitor: String,
}

/// `keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// The folder; what is in it already stays
    #[arg(default_value = ".tasklane/keys", value_name = "FOLDER")]
    pub folder: PathBuf,
    /// A pool besides generic and document, with the object stores it reads: NAME or NAME=STORE,STORE
    #[arg(long = "pool", value_name = "POOL")]
    pub pools: Vec<String>,
    /// A name or address by which clients reach the server, besides localhost and nats
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Make a new certificate for the server, under the authority that is there
    #[arg(long)]
    pub renew: bool,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// Which shell
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("tasklane").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_task_with_all_its_flags() {
        let line = "run document_analysis report.pdf --priority high --tenant acme --label a=b --label c=d \
                    --requires text_processing --requires ocr --prefer document_processor --max-time 30s \
                    --memory 512MB --max-attempts 2 --deadline 10m --not-before 2026-11-20T12:00:00Z --id t-1 \
                    --timeout 1m --output out.json --json --nats nats://there:4222";
        let cli = parse(line).unwrap();
        let Command::Run(run) = cli.command else { panic!("not run") };
        assert_eq!(run.task.labels.len(), 2);
        assert_eq!(run.task.requires, ["text_processing", "ocr"]);
        assert_eq!((run.task.memory, run.timeout.as_secs()), (Some(512), 60));
        assert!(cli.json);
        assert_eq!(BusConfig::from(cli.connection).url, "nats://there:4222");
    }

    #[test]
    fn documents_are_put_searched_and_asked() {
        let line =
            "ingest docs https://a.b/c --collection papers --max-tokens 100 --meta lang=en --failures f";
        let Command::Ingest(ingest) = parse(line).unwrap().command else { panic!("not ingest") };
        assert_eq!((ingest.sources.len(), ingest.max_tokens, ingest.parallel), (2, 100, 16));
        let line = "search papers why? --filter lang=en --filter year>=2020 --hybrid -k 3 --rerank r";
        let Command::Search(search) = parse(line).unwrap().command else { panic!("not search") };
        assert_eq!((search.k, search.narrow.filters.len(), search.hybrid), (3, 2, true));
        let Command::Ask(ask) = parse("ask papers why? --model fast").unwrap().command else {
            panic!("not ask")
        };
        assert_eq!((ask.k, ask.model.as_deref()), (6, Some("fast")));
        parse("ingest --retry f --collection papers").unwrap();
        parse("vectors restore papers s-1 --into papers2").unwrap();
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in [
            "",
            "run",
            "run echo {} --priority urgent",
            "run echo {} --max-time 30",
            "run echo {} --label x",
            "watch t-1 --type echo",
            "dead replay",
            "dead replay 1 --all",
            "dead show x",
            "lanes --user me",
            "ingest docs",
            "ingest --collection papers",
            "ingest docs --collection papers --parallel 0",
            "search papers",
            "search papers why? --hybrid --text",
            "search papers why? --filter lang",
            "vectors",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn an_answer_has_time_at_least_once() {
        let cli = parse("lanes --answer-timeout 0s").unwrap();
        assert_eq!(BusConfig::from(cli.connection).timeout_ms, 1);
    }
}
