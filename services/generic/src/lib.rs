//! The worker for everything small: `echo` gives back what it gets, `compute` runs bounded expressions and scripts,
//! `error` fails as it is asked. It needs nothing but NATS, so it is also what load tests and first steps run on.

pub mod compute;
pub mod config;
pub mod echo;
pub mod error;

use tasklane_runtime::Worker;
use tasklane_runtime::contract::v1;

pub use config::GenericConfig;

/// The service's name; also its pool where the operator names none.
const SERVICE: &str = "generic";
/// What it announces itself as.
const WORKER_TYPE: &str = "generic";
/// What it can do, and what its task types ask for.
const CAPABILITY: &str = "basic_computation";
/// Its tasks are short and small, so many may run at once; scripts wait for a core of their own.
const SLOTS: u32 = 256;

/// The worker with its three task types, ready to run in a process of its own or inside another.
///
/// # Errors
/// Where the threads that run scripts cannot be started.
pub fn worker(config: &GenericConfig) -> Result<Worker, compute::PoolError> {
    Ok(Worker::new(SERVICE, WORKER_TYPE, &[CAPABILITY])
        .default_slots(SLOTS)
        .task(echo::task_type())
        .task(compute::task_type(&config.compute)?)
        .task(error::task_type(&config.error)))
}

/// What applies to a task type of this service where the publisher says nothing.
fn rule(max_processing_time_ms: u64) -> v1::Rule {
    v1::Rule {
        required_capabilities: vec![CAPABILITY.to_owned()],
        preferred_worker_type: WORKER_TYPE.to_owned(),
        max_processing_time_ms,
        ..v1::Rule::default()
    }
}
