//! Task types on encoders: each says what it is asked and how it is answered. Finding the model, and saying which it was, is
//! the same for all.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tasklane_runtime::{Ctx, Output, Payload, TaskType};

use super::of_model;
use crate::error::MlError;
use crate::models::Urgency;
use crate::models::encoder::Handle;
use crate::registry::InUse;

/// Where encoders come from.
pub trait Encoders: Send + Sync + 'static {
    /// The encoder of a name, loaded, and its version.
    fn encoder(&self, name: &str) -> impl Future<Output = Result<(InUse<Handle>, String), MlError>> + Send;
}

/// A task type on an encoder. Its values are payloads; in the input of an example, the model's name may be left out.
pub trait OfEncoder: DeserializeOwned + Send + 'static {
    /// The task type's name.
    const NAME: &'static str;
    /// What it does, for people.
    const ABOUT: &'static str;
    /// What a worker must be able to do for it.
    const CAPABILITY: &'static str;
    /// The result, but for the model's name and version.
    type Found: Serialize + Send;

    /// The schema of its payloads.
    fn schema() -> Value;

    /// The name of the model that is asked.
    fn model(&self) -> &str;

    /// What the encoder says.
    ///
    /// # Errors
    /// An encoder of the wrong kind, an input that it cannot read, or its failure.
    fn answer(
        self,
        encoder: &Handle,
        urgency: Urgency,
    ) -> impl Future<Output = Result<Self::Found, MlError>> + Send;
}

/// The result. It is written as it stands: as a tree of JSON values, vectors would take ten times their memory.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a, F> {
    pub(super) model: &'a str,
    pub(super) version: &'a str,
    #[serde(flatten)]
    pub(super) found: F,
}

/// The task type, served by these encoders.
pub fn task_type<T: OfEncoder>(encoders: Arc<impl Encoders>) -> TaskType {
    let run = move |ctx: Ctx, payload: Payload| {
        let encoders = Arc::clone(&encoders);
        async move {
            let asked: T = payload.json()?;
            let (encoder, version) = encoders.encoder(asked.model()).await?;
            let found = asked.answer(&encoder, Urgency::of(&ctx)).await?;
            Output::json(&Told { model: encoder.name(), version: &version, found })
        }
    };
    TaskType::new(T::NAME, T::ABOUT, run).schema(&T::schema()).rule(of_model::rule(T::CAPABILITY, 120_000))
}

/// What an encoder answers to the input of an example: the result of a task, without the model's name.
///
/// # Errors
/// An input that is none, or the model's failure.
pub async fn example<T: OfEncoder>(
    encoder: &Handle,
    input: &Value,
    urgency: Urgency,
) -> Result<Value, MlError> {
    let found = of_model::input::<T>(input)?.answer(encoder, urgency).await?;
    serde_json::to_value(found).map_err(|e| MlError::Internal(e.to_string()))
}
