//! Tasklane from its user's side: real processes, a real NATS server, no knowledge of the inside. One program, for
//! linking is what tests like these spend their time on; one file for each subject.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test stops where it cannot go on")]

mod bad_input;
mod basics;
mod cancel;
mod clients;
mod command;
mod compose;
mod documents;
mod durability;
mod faults;
mod jobs;
mod jobs_of_many;
mod llm_command;
mod ml_batches;
mod ml_faults;
mod ml_input;
mod ml_models;
mod ml_tasks;
mod model_cache;
mod model_tasks;
mod models;
mod pages;
mod pipeline;
mod priorities;
mod retries;
mod routing;
mod security;
mod tracing;
