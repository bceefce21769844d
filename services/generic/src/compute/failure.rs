//! Why a computation failed, with the codes that users see.

use rhai::{EvalAltResult, ParseError, ParseErrorType, Position};
use tasklane_runtime::TaskError;
use tasklane_runtime::contract::{Code, code};

use super::watch::Stop;
use crate::config::ComputeConfig;

/// The codes of `compute`.
pub mod codes {
    use tasklane_runtime::contract::Code;

    /// The payload names neither expression nor script, or both, or an input that cannot be a variable.
    pub const PAYLOAD: Code = Code::new("TL2200");
    /// The expression or script cannot be read.
    pub const SYNTAX: Code = Code::new("TL2201");
    /// It failed while it ran.
    pub const RUNTIME: Code = Code::new("TL2202");
    /// It reached a limit other than time.
    pub const LIMIT: Code = Code::new("TL2203");
    /// It ran as long as a script may.
    pub const TIME: Code = Code::new("TL2204");
    /// An input or the value has no counterpart on the other side.
    pub const VALUE: Code = Code::new("TL2205");
    /// The engine broke off; other scripts and tasks are not touched.
    pub const BROKE: Code = Code::new("TL2206");
    /// The process grew too much while the script ran.
    pub const MEMORY: Code = Code::new("TL3200");
}

/// The longest text of a script's own making that a message repeats, in characters.
const MAX_TEXT: usize = 300;

/// Why a computation failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The payload cannot be used.
    #[error("{0}")]
    Payload(String),
    /// It cannot be read.
    #[error("syntax error{at}: {text}")]
    Syntax {
        /// Where.
        at: At,
        /// What.
        text: String,
    },
    /// It failed while it ran.
    #[error("failed{at}: {text}")]
    Runtime {
        /// Where.
        at: At,
        /// What.
        text: String,
    },
    /// It reached a limit.
    #[error("{what}; the limit is {most} (compute.{key}): do less, or ask the operator for a higher limit")]
    Limit {
        /// What there is too much of.
        what: String,
        /// The configuration's key.
        key: &'static str,
        /// Its value.
        most: u64,
    },
    /// It ran as long as a script may.
    #[error(
        "the script ran longer than {0} ms (compute.max_ms): do less in one task, or ask the operator for a higher limit"
    )]
    TimeUp(u64),
    /// No counterpart.
    #[error("{0}")]
    Value(String),
    /// The engine broke off.
    #[error(
        "the engine broke off while it ran the script; look at the worker's log for the panic, and report it"
    )]
    Broke,
    /// The process grew too much.
    #[error(
        "the worker grew by more than {0} MB while the script ran (compute.memory_mb), and the script was ended to \
         keep it alive: keep less in variables, or ask the operator for a higher limit"
    )]
    Memory(u64),
    /// Nobody waits for it any more; the runtime has said why.
    #[error("the task is over")]
    Cancelled,
}

impl Failure {
    /// A limit that was reached.
    pub fn limit(what: impl Into<String>, key: &'static str, most: usize) -> Self {
        Self::Limit { what: what.into(), key, most: u64::try_from(most).unwrap_or(u64::MAX) }
    }

    fn code(&self) -> Code {
        match self {
            Self::Payload(_) => codes::PAYLOAD,
            Self::Syntax { .. } => codes::SYNTAX,
            Self::Runtime { .. } => codes::RUNTIME,
            Self::Limit { .. } => codes::LIMIT,
            Self::TimeUp(_) => codes::TIME,
            Self::Value(_) => codes::VALUE,
            Self::Broke => codes::BROKE,
            Self::Memory(_) => codes::MEMORY,
            Self::Cancelled => code::CANCELLED,
        }
    }

    /// What the engine refused to read.
    pub fn of_parsing(limits: &ComputeConfig, error: &ParseError) -> Self {
        Self::parsing(limits, error.err_type(), error.position())
    }

    fn parsing(limits: &ComputeConfig, kind: &ParseErrorType, position: Position) -> Self {
        let at = At(position);
        match kind {
            ParseErrorType::ExprTooDeep => {
                let what = format!("expressions or blocks are nested too deep{at}");
                Self::limit(what, "max_expression_depth", limits.max_expression_depth)
            }
            ParseErrorType::TooManyFunctions => {
                Self::limit("too many functions are defined", "max_functions", limits.max_functions)
            }
            ParseErrorType::LiteralTooLarge(what, _) => Self::too_large(limits, what, at),
            ParseErrorType::VariableUndefined(name) => {
                let name = shorten(name);
                let text = format!(
                    "there is no variable `{name}`; a function sees its own parameters alone, so give it a variable \
                     from outside with `curry`"
                );
                Self::Syntax { at, text }
            }
            other => Self::Syntax { at, text: shorten(&other.to_string()) },
        }
    }

    /// What ended a run.
    pub fn of_running(limits: &ComputeConfig, error: &EvalAltResult) -> Self {
        let inner = error.unwrap_inner();
        let at = At(inner.position());
        match inner {
            EvalAltResult::ErrorParsing(kind, position) => Self::parsing(limits, kind, *position),
            EvalAltResult::ErrorTooManyOperations(_) => Self::Limit {
                what: format!("the script takes too many steps{at}"),
                key: "max_operations",
                most: limits.max_operations,
            },
            EvalAltResult::ErrorStackOverflow(_) => {
                Self::limit(format!("calls are nested too deep{at}"), "max_call_depth", limits.max_call_depth)
            }
            EvalAltResult::ErrorTooManyVariables(_) => Self::limit(
                format!("there are too many variables{at}"),
                "max_variables",
                limits.max_variables,
            ),
            EvalAltResult::ErrorDataTooLarge(what, _) => Self::too_large(limits, what, at),
            EvalAltResult::ErrorTerminated(token, _) => match token.clone().try_cast::<Stop>() {
                Some(Stop::TimeUp) => Self::TimeUp(limits.max_ms),
                Some(Stop::Memory) => Self::Memory(limits.memory_mb),
                Some(Stop::Cancelled) | None => Self::Cancelled,
            },
            EvalAltResult::ErrorRuntime(thrown, _) => {
                Self::Runtime { at, text: shorten(&format!("the script threw {thrown}")) }
            }
            other => Self::Runtime { at, text: shorten(&without_position(other)) },
        }
    }

    /// A value beyond a size. The engine names the kind in words of its own.
    fn too_large(limits: &ComputeConfig, what: &str, at: At) -> Self {
        let (what, key, most) = match what {
            w if w.contains("string") => ("a text is too long", "max_string_bytes", limits.max_string_bytes),
            w if w.contains("map") => ("a map is too large", "max_map_size", limits.max_map_size),
            _ => ("an array is too large", "max_array_size", limits.max_array_size),
        };
        Self::limit(format!("{what}{at}"), key, most)
    }
}

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        let code = failure.code();
        Self { retriable: code.is_retriable(), ..Self::failed(code, failure.to_string()) }
    }
}

/// Where in the text; nothing where the engine does not know.
#[derive(Debug, Clone, Copy)]
pub struct At(Position);

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.line(), self.0.position()) {
            (Some(line), Some(column)) => write!(f, " at line {line}, column {column}"),
            (Some(line), None) => write!(f, " at line {line}"),
            _ => Ok(()),
        }
    }
}

/// The engine's text ends with the position, which we tell ourselves.
fn without_position(error: &EvalAltResult) -> String {
    let text = error.to_string();
    match error.position() {
        Position::NONE => text,
        position => text.strip_suffix(&format!(" ({position})")).map_or(text.clone(), str::to_owned),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
