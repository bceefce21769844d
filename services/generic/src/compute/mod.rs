//! `compute`: an expression or a script over JSON inputs, within limits. This room takes the task apart and gives it
//! to a thread; what a script may do stands in `engine`.

mod engine;
mod failure;
mod value;
mod watch;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::contract::v1;
use tasklane_runtime::{Output, Payload, TaskError, TaskType};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::config::ComputeConfig;
use engine::Program;
use failure::Failure;

pub use failure::codes;

/// Why the threads that run scripts cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("TL9001 the threads for `compute` cannot be started: {0}; look at the limits of threads and memory")]
pub struct PoolError(#[from] rayon::ThreadPoolBuildError);

/// The task type with its handler.
///
/// # Errors
/// Where the threads cannot be started.
pub fn task_type(limits: &ComputeConfig) -> Result<TaskType, PoolError> {
    let compute = Arc::new(Compute::start(limits.clone())?);
    let description = "Evaluates an expression or a script over JSON inputs, within limits.";
    Ok(TaskType::new("compute", description, move |ctx, payload| {
        let compute = Arc::clone(&compute);
        async move { compute.handle(payload, ctx.cancellation()).await }
    })
    .schema(&schema())
    .rule(rule()))
}

/// What applies where the publisher says nothing. More than a script may run, for it may have to wait for a core.
pub fn rule() -> v1::Rule {
    crate::rule(30_000)
}

/// The JSON Schema of the payload.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "expression": {"type": "string", "minLength": 1, "description": "One expression, such as `a * 2 + b`."},
            "script": {
                "type": "string", "minLength": 1,
                "description": "A script in the Rhai language; its last expression is the value."
            },
            "inputs": {
                "type": "object",
                "description": "Variables of the expression or script, by name.",
                "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": 64}
            }
        },
        "oneOf": [{"required": ["expression"]}, {"required": ["script"]}]
    })
}

/// The payload.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    expression: Option<String>,
    script: Option<String>,
    #[serde(default)]
    inputs: serde_json::Map<String, Value>,
}

impl Request {
    fn program(self) -> Result<(Program, serde_json::Map<String, Value>), Failure> {
        match (self.expression, self.script) {
            (Some(text), None) => Ok((Program::Expression(text), self.inputs)),
            (None, Some(text)) => Ok((Program::Script(text), self.inputs)),
            _ => Err(Failure::Payload(
                "the payload needs either `expression` or `script`, and not both".into(),
            )),
        }
    }
}

/// The threads that run scripts. They are ours, not the runtime's: there are as many as there are cores, so that
/// heavy scripts do not starve what waits on the network; and their stacks are deep enough for the deepest value that
/// the limits allow.
struct Compute {
    limits: Arc<ComputeConfig>,
    threads: rayon::ThreadPool,
}

impl Compute {
    fn start(limits: ComputeConfig) -> Result<Self, PoolError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(limits.threads)
            .stack_size(engine::stack_size(&limits))
            .thread_name(|n| format!("compute-{n}"))
            .build()?;
        Ok(Self { limits: Arc::new(limits), threads })
    }

    async fn handle(&self, payload: Payload, cancelled: CancellationToken) -> Result<Output, TaskError> {
        let (bytes, most) = (payload.bytes.len(), self.limits.max_payload_bytes);
        if bytes > most {
            return Err(
                Failure::limit(format!("the payload has {bytes} bytes"), "max_payload_bytes", most).into()
            );
        }
        let (program, inputs) = payload.json::<Request>()?.program()?;
        match self.evaluate(program, inputs, cancelled).await {
            Ok(value) => Output::json(&json!({"value": value})),
            // The runtime ends this future, and says why.
            Err(Failure::Cancelled) => std::future::pending().await,
            Err(failure) => Err(failure.into()),
        }
    }

    /// First come, first served. A script that was cancelled while it waited is not begun.
    async fn evaluate(
        &self,
        program: Program,
        inputs: serde_json::Map<String, Value>,
        cancelled: CancellationToken,
    ) -> Result<Value, Failure> {
        let (done, wait) = oneshot::channel();
        let limits = Arc::clone(&self.limits);
        self.threads.spawn_fifo(move || {
            let value = engine::run(&limits, &program, inputs, cancelled);
            // Nobody waits for a script whose task is over.
            drop(done.send(value));
        });
        wait.await.unwrap_or(Err(Failure::Broke))
    }
}

#[cfg(test)]
mod tests;
