//! The service as a worker: its task types, announced and served.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tasklane_runtime::contract::code::{self, Code};
use tasklane_runtime::contract::v1;
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType, Worker};

use crate::config::DocumentConfig;
use crate::contract::{Request, analysis_schema, chunk_schema, extract_schema};
use crate::error::DocError;
use crate::job::Job;
use crate::service::Service;
use crate::sources::{ObjectError, ObjectFetch};

/// The service's name; also its pool where the operator names none.
pub const SERVICE: &str = "document";
/// What it announces itself as.
const WORKER_TYPE: &str = "document_processor";
/// What it can do, and what its task types ask for.
const CAPABILITY: &str = "text_processing";
/// A second document per child is fetched while the first is parsed.
const TASKS_PER_CHILD: usize = 2;

/// The worker with its three task types; starts the parsing children.
///
/// # Errors
/// As [`Service::start`].
pub async fn worker(config: &DocumentConfig) -> Result<Worker, DocError> {
    let service = Arc::new(Service::start(config).await?);
    let slots = u32::try_from(service.slots() * TASKS_PER_CHILD).unwrap_or(u32::MAX);
    // Waiting for a child, fetching and parsing each have their own limit; this is the sum, seen from outside.
    let rule = v1::Rule {
        required_capabilities: vec![CAPABILITY.to_owned()],
        preferred_worker_type: WORKER_TYPE.to_owned(),
        max_processing_time_ms: 2 * config.parser.timeout_ms + config.sources.http_timeout_ms,
        ..v1::Rule::default()
    };
    let extract =
        serve(&service, "document_extract", "Reads a document into text and Markdown", Job::Extract);
    let chunk = serve(&service, "document_chunk", "Cuts a document into chunks for an index", Job::Chunk);
    let analysis = serve(
        &service,
        "document_analysis",
        "Finds a document's language, keywords, entities, outline and tables",
        Job::Analyse,
    );
    Ok(Worker::new(SERVICE, WORKER_TYPE, &[CAPABILITY])
        .default_slots(slots)
        .task(extract.schema(&extract_schema()).rule(rule.clone()))
        .task(chunk.schema(&chunk_schema()).rule(rule.clone()))
        .task(analysis.schema(&analysis_schema()).rule(rule)))
}

/// A task type whose requests have `Options`, and become a job by `job`.
fn serve<Options>(service: &Arc<Service>, name: &str, description: &str, job: fn(Options) -> Job) -> TaskType
where
    Options: DeserializeOwned + Default + Send + 'static,
{
    let service = Arc::clone(service);
    TaskType::new(name, description, move |ctx: Ctx, payload: Payload| {
        let service = Arc::clone(&service);
        async move {
            let request: Request<Options> = payload.json()?;
            let answer = service.serve(request, job, &Objects(ctx)).await.map_err(task_error)?;
            Ok(Output::raw(String::from(Box::<str>::from(answer)), ""))
        }
    })
}

fn task_error(error: DocError) -> TaskError {
    let code = Code::new(error.code());
    if error.retriable() {
        TaskError::retry(code, error.to_string())
    } else {
        TaskError::failed(code, error.to_string())
    }
}

/// The object store, as a task's context reaches it.
struct Objects(Ctx);

impl ObjectFetch for Objects {
    async fn fetch(&self, bucket: &str, name: &str, max_bytes: u64) -> Result<Vec<u8>, ObjectError> {
        let max = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        match self.0.object(bucket, name, max).await {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if error.code == code::BAD_REFERENCE => Err(ObjectError::NotFound),
            Err(error) if error.code == code::TOO_LARGE => Err(ObjectError::TooLarge),
            Err(error) => Err(ObjectError::Unreachable(error.message)),
        }
    }
}
