//! `ml_inference`: tensors through a TorchScript module. In JSON, or as safetensors with `model` in the metadata; the result
//! comes in the form of the payload.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tasklane_runtime::contract::headers;
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};

use super::of_model;
use crate::error::MlError;
use crate::models::Urgency;
use crate::models::script::{Answer, Handle, WrittenAnswer};
use crate::registry::InUse;
use crate::tensor::{CONTENT_TYPE, Encoding, Tensor, read_all};

/// The task type's name.
pub const NAME: &str = "ml_inference";
/// Inputs of a call, at most.
const MOST_INPUTS: usize = 64;

/// Where modules come from.
pub trait Scripts: Send + Sync + 'static {
    /// The module of a name, loaded, and its name with its version.
    fn script(&self, name: &str) -> impl Future<Output = Result<(InUse<Handle>, String), MlError>> + Send;
}

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    model: String,
    #[serde(flatten)]
    call: Call,
}

/// What is asked of the model: also the input of an example.
#[derive(Debug, Deserialize)]
struct Call {
    inputs: Vec<Tensor>,
    #[serde(default)]
    encoding: Encoding,
}

/// What is answered.
#[derive(Serialize)]
struct Told<'a> {
    model: &'a str,
    output: WrittenAnswer<'a>,
}

/// The task type, served by these modules.
pub fn task_type<S: Scripts>(scripts: Arc<S>) -> TaskType {
    let run = move |ctx: Ctx, payload: Payload| {
        let scripts = Arc::clone(&scripts);
        async move { run(&*scripts, &ctx, &payload).await }
    };
    TaskType::new(NAME, "Calls a TorchScript module with tensors", run)
        .schema(&schema())
        .rule(of_model::rule("prediction", 120_000))
}

fn schema() -> Value {
    let properties = json!({
        "inputs": {
            "type": "array", "maxItems": MOST_INPUTS,
            "description": "tensors in the order of the module's arguments: nested lists, or {dtype, shape, values or base64}"
        },
        "encoding": {"enum": ["values", "base64"], "default": "values", "description": "how tensors of the result are written"}
    });
    of_model::schema(&["inputs"], properties)
}

async fn run<S: Scripts>(scripts: &S, ctx: &Ctx, payload: &Payload) -> Result<Output, TaskError> {
    let urgency = Urgency::of(ctx);
    if is_binary(&payload.content_type) {
        return binary(scripts, payload, urgency).await;
    }
    let wanted: Wanted = payload.json()?;
    check_inputs(wanted.call.inputs.len())?;
    let (handle, model) = scripts.script(&wanted.model).await?;
    let answer = handle.run(wanted.call.inputs, urgency).await?;
    Output::json(&Told { model: &model, output: WrittenAnswer(&answer, wanted.call.encoding) })
}

/// The inputs are the tensors `0`, `1`, ... in this order.
async fn binary<S: Scripts>(scripts: &S, payload: &Payload, urgency: Urgency) -> Result<Output, TaskError> {
    let wrong = |e: String| MlError::BadInput(format!("the payload cannot be read: {e}"));
    let (mut tensors, metadata) = read_all(&payload.bytes).map_err(|e| wrong(e.to_string()))?;
    let model = metadata.get("model").ok_or_else(|| wrong("its metadata has no `model`".to_owned()))?;
    let count = tensors.len();
    check_inputs(count)?;
    let inputs = (0..count).map(|n| {
        let absent =
            || wrong(format!("its {count} tensors must be named `0` to `{}`: `{n}` is missing", count - 1));
        tensors.remove(&n.to_string()).ok_or_else(absent)
    });
    let inputs: Vec<Tensor> = inputs.collect::<Result<_, _>>()?;
    let (handle, model) = scripts.script(model).await?;
    let answer = handle.run(inputs, urgency).await?;
    let metadata = HashMap::from([("model".to_owned(), model)]);
    let bytes = answer.to_bytes(metadata).map_err(|e| MlError::Internal(e.to_string()))?;
    Ok(Output::raw(bytes, CONTENT_TYPE))
}

fn is_binary(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    !headers::is_json(content_type) && essence.eq_ignore_ascii_case(CONTENT_TYPE)
}

fn check_inputs(count: usize) -> Result<(), MlError> {
    if count > MOST_INPUTS {
        return Err(MlError::BadInput(format!("{count} inputs; at most {MOST_INPUTS} are taken")));
    }
    Ok(())
}

/// What a module answers to the input of an example: the result of a task, without the model's name.
///
/// # Errors
/// An input that is none, or the module's failure.
pub async fn example(handle: &Handle, input: &Value, urgency: Urgency) -> Result<Value, MlError> {
    let call: Call = of_model::input(input)?;
    let answer: Answer = handle.run(call.inputs, urgency).await?;
    let told = serde_json::to_value(WrittenAnswer(&answer, call.encoding));
    told.map(|output| json!({"output": output})).map_err(|e| MlError::Internal(e.to_string()))
}
