//! `error`: fails as it is asked, so that everything around a failure can be seen and tested: retries, dead letters,
//! limits, drains, and workers that die.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::contract::{Code, code, time, v1};
use tasklane_runtime::{Ctx, Output, TaskError, TaskType};

use crate::config::ErrorConfig;

/// The task would end the whole process, and the operator has not allowed it.
pub const NOT_ALLOWED: Code = Code::new("TL2210");

/// As a shell reports a process that was killed: 128 and SIGKILL.
const EXIT_CODE: i32 = 137;
/// No wait is longer, in ms.
const MAX_WAIT_MS: u64 = 3_600_000;
/// A sleep tells of its progress this often.
const STEPS: u32 = 10;

/// The task type with its handler.
pub fn task_type(config: &ErrorConfig) -> TaskType {
    let config = config.clone();
    let description = "Fails as it is asked, or sleeps: for tests and demonstrations.";
    TaskType::new("error", description, move |ctx, payload| {
        let config = config.clone();
        async move { handle(&config, ctx, payload.json()?).await }
    })
    .schema(&schema())
    .rule(rule())
}

/// What applies where the publisher says nothing.
pub fn rule() -> v1::Rule {
    crate::rule(30_000)
}

/// The JSON Schema of the payload.
pub fn schema() -> Value {
    let wait =
        |what: &str| json!({"type": "integer", "minimum": 0, "maximum": MAX_WAIT_MS, "description": what});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["mode"],
        "additionalProperties": false,
        "properties": {
            "mode": {
                "description": "How it ends. `exit` and `out_of_memory` end the worker's process, where the operator allows it.",
                "enum": ["retriable", "permanent", "panic", "timeout", "exit", "out_of_memory", "flaky", "put_off", "sleep"]
            },
            "message": {"type": "string", "maxLength": 1024, "description": "What the failure says."},
            "fail_attempts": {
                "type": "integer", "minimum": 0, "maximum": 1000,
                "description": "With `flaky`: how many attempts fail before one succeeds; 1 where it is not given."
            },
            "until": {
                "type": "string", "format": "date-time",
                "description": "With `put_off`: when it succeeds. Until then it is put off, and no attempt counts."
            },
            "retry_after_ms": wait("With `retriable`, `flaky` and `put_off`: when it wishes to be tried again."),
            "delay_ms": wait("How long it runs first; with `sleep`, how long it sleeps.")
        }
    })
}

/// The payload.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    mode: Mode,
    message: Option<String>,
    fail_attempts: Option<u32>,
    until: Option<String>,
    retry_after_ms: Option<u64>,
    #[serde(default)]
    delay_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Retriable,
    Permanent,
    Panic,
    Timeout,
    Exit,
    OutOfMemory,
    Flaky,
    PutOff,
    Sleep,
}

/// How the attempt ends, once it has waited as long as it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Succeed,
    Fail(TaskError),
    Panic(String),
    /// Never, of its own accord.
    Hang,
    Exit,
    OutOfMemory,
}

async fn handle(config: &ErrorConfig, ctx: Ctx, request: Request) -> Result<Output, TaskError> {
    let end = decide(&request, ctx.attempt(), time::now_us(), config.dangerous);
    let delay = Duration::from_millis(request.delay_ms.min(MAX_WAIT_MS));
    if request.mode == Mode::Sleep {
        sleep(&ctx, delay).await;
    } else if !matches!(&end, End::Fail(e) if e.code == NOT_ALLOWED) {
        tokio::time::sleep(delay).await;
    }
    match end {
        End::Succeed => Output::json(&json!({"attempt": ctx.attempt(), "delay_ms": request.delay_ms})),
        End::Fail(error) => Err(error),
        End::Panic(message) => panic!("{message}"),
        End::Hang => std::future::pending().await,
        End::Exit => {
            tracing::warn!(task_id = ctx.task_id(), "exiting with {EXIT_CODE}, as the task asks");
            std::process::exit(EXIT_CODE)
        }
        End::OutOfMemory => {
            tracing::warn!(
                task_id = ctx.task_id(),
                mb = config.memory_mb,
                "running out of memory, as the task asks"
            );
            run_out_of_memory(config.memory_mb)
        }
    }
}

fn decide(request: &Request, attempt: u32, now_us: i64, dangerous: bool) -> End {
    let message = || request.message.clone().unwrap_or_else(|| "the task asked to fail".to_owned());
    let retriable = || TaskError {
        retry_after: request.retry_after_ms.map(|ms| Duration::from_millis(ms.min(MAX_WAIT_MS))),
        ..TaskError::retry(code::RETRY, message())
    };
    match request.mode {
        Mode::Exit | Mode::OutOfMemory if !dangerous => End::Fail(not_allowed()),
        Mode::Exit => End::Exit,
        Mode::OutOfMemory => End::OutOfMemory,
        Mode::Retriable => End::Fail(retriable()),
        Mode::Permanent => End::Fail(TaskError::failed(code::FAILED, message())),
        Mode::Panic => End::Panic(message()),
        Mode::Timeout => End::Hang,
        Mode::Flaky if attempt <= request.fail_attempts.unwrap_or(1) => End::Fail(retriable()),
        Mode::PutOff if is_before(now_us, request.until.as_deref()) => {
            End::Fail(TaskError { put_off: true, ..retriable() })
        }
        Mode::Flaky | Mode::PutOff | Mode::Sleep => End::Succeed,
    }
}

/// A time that cannot be read was refused with the schema already; it is never before it.
fn is_before(now_us: i64, until: Option<&str>) -> bool {
    until.and_then(|text| time::parse_rfc3339(text).ok()).is_some_and(|t| now_us < t)
}

fn not_allowed() -> TaskError {
    TaskError::failed(
        NOT_ALLOWED,
        "modes `exit` and `out_of_memory` end the worker's whole process and are switched off; to allow them in a \
         test, start the worker with `error.dangerous = true` (TASKLANE_ERROR_DANGEROUS=true)",
    )
}

/// Sleeps, telling whoever listens how far it is.
async fn sleep(ctx: &Ctx, delay: Duration) {
    let begun = tokio::time::Instant::now();
    for step in 1..=STEPS {
        tokio::time::sleep_until(begun + delay * step / STEPS).await;
        ctx.progress(f64::from(step) / f64::from(STEPS), "sleeping").await;
    }
}

/// Takes memory as a leaking task would, and ends as the kernel or the allocator would end it. The bound keeps the
/// machine and its other processes out of it.
fn run_out_of_memory(mb: usize) -> ! {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    while taken.len() < mb {
        let mut block = Vec::new();
        if block.try_reserve_exact(1 << 20).is_err() {
            break;
        }
        block.resize(1 << 20, 1);
        taken.push(std::hint::black_box(block));
    }
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(body: Value) -> Request {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn each_mode_ends_as_it_says() {
        let end = |mode: &str| decide(&request(json!({"mode": mode, "message": "so be it"})), 1, 0, true);
        assert_eq!(end("retriable"), End::Fail(TaskError::retry(code::RETRY, "so be it")));
        assert_eq!(end("permanent"), End::Fail(TaskError::failed(code::FAILED, "so be it")));
        assert_eq!(end("panic"), End::Panic("so be it".into()));
        assert_eq!(end("timeout"), End::Hang);
        assert_eq!(end("exit"), End::Exit);
        assert_eq!(end("out_of_memory"), End::OutOfMemory);
        assert_eq!(end("sleep"), End::Succeed);
    }

    #[test]
    fn nobody_ends_the_process_unless_the_operator_allows_it() {
        for mode in ["exit", "out_of_memory"] {
            let End::Fail(error) = decide(&request(json!({"mode": mode})), 1, 0, false) else {
                panic!("{mode} was allowed")
            };
            assert_eq!((error.code, error.retriable), (NOT_ALLOWED, false));
            assert!(error.message.contains("error.dangerous"), "{}", error.message);
        }
    }

    #[test]
    fn a_wish_when_to_be_tried_again_is_passed_on_within_bounds() {
        let after =
            |ms: u64| match decide(&request(json!({"mode": "retriable", "retry_after_ms": ms})), 1, 0, false)
            {
                End::Fail(error) => error.retry_after,
                other => panic!("{other:?}"),
            };
        assert_eq!(after(250), Some(Duration::from_millis(250)));
        assert_eq!(after(u64::MAX), Some(Duration::from_hours(1)));
    }

    #[test]
    fn what_is_put_off_does_not_count_and_succeeds_when_its_time_has_come() {
        let request = request(json!({"mode": "put_off", "until": "1970-01-01T00:00:01Z"}));
        assert!(matches!(decide(&request, 1, 999_999, false), End::Fail(e) if e.put_off));
        assert_eq!(decide(&request, 1, 1_000_000, false), End::Succeed);
    }

    #[test]
    fn what_the_payload_does_not_know_is_refused() {
        assert!(serde_json::from_value::<Request>(json!({"mode": "panic", "massage": "x"})).is_err());
        assert!(serde_json::from_value::<Request>(json!({"mode": "panik"})).is_err());
    }

    proptest! {
        #[test]
        fn flaky_fails_exactly_as_often_as_asked(fail_attempts in 0u32..20, attempt in 1u32..30) {
            let request = request(json!({"mode": "flaky", "fail_attempts": fail_attempts}));
            let failed = matches!(decide(&request, attempt, 0, false), End::Fail(e) if e.retriable);
            prop_assert_eq!(failed, attempt <= fail_attempts);
        }
    }
}
