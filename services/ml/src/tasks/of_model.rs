//! What all task types on models have in common: who runs them, and how a payload names its model.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tasklane_runtime::contract::v1;

use crate::error::MlError;

/// What applies where the publisher says nothing: an ml worker with this capability, for so many milliseconds.
pub fn rule(capability: &str, max_processing_time_ms: u64) -> v1::Rule {
    v1::Rule {
        required_capabilities: vec![capability.to_owned()],
        preferred_worker_type: "ml_inference".to_owned(),
        max_processing_time_ms,
        ..v1::Rule::default()
    }
}

/// The schema of a payload with a model's name and these properties, and with no others. `required`: those that must be
/// there beside the name.
pub fn schema(required: &[&str], mut properties: Value) -> Value {
    properties["model"] = json!({"type": "string", "minLength": 1, "description": "a name, or name@version"});
    let required = [&["model"], required].concat();
    json!({
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": properties
    })
}

/// The input of an example, as what a task would be asked.
///
/// # Errors
/// Where it is none.
pub fn input<T: DeserializeOwned>(example: &Value) -> Result<T, MlError> {
    T::deserialize(example).map_err(|e| MlError::BadInput(format!("its input: {e}")))
}
