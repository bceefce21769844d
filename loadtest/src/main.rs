//! Measures a running Tasklane: throughput beside the floor of the same hops, latency at a fixed rate, the price of
//! tracing, memory over many tasks; model calls through the openai-proxy; the ml service; and the vector indexer.

mod args;
mod arrivals;
mod awake;
mod bench;
mod error;
mod floor;
mod latency;
mod load;
mod marks;
mod memory;
mod ml;
mod models;
mod path;
mod process;
mod programs;
mod report;
mod stack;
mod throughput;
mod tracing;
mod vectors;

use std::process::ExitCode;

use args::{Args, What};
use bench::Bench;
use error::LoadError;
use path::Path;
use report::Report;
use stack::Programs;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::read();
    // On a worker, as the services run: the thread that only waits would be woken for every result.
    let ran = tokio::spawn(async move { run(&args).await }).await;
    match ran.unwrap_or_else(|panicked| Err(LoadError::Stack(panicked.to_string()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("tasklane-loadtest: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), LoadError> {
    let mut report = Report::new(args.quick);
    let programs = programs::find(args)?;
    if args.wants(What::Throughput) || args.wants(What::Latency) {
        beside_the_floor(&programs, args, &mut report).await?;
    }
    if args.nats.is_some() {
        eprintln!(
            "tracing, memory and model calls are measured on stacks of our own only; leave --nats out for them"
        );
    } else {
        on_our_own(&programs, args, &mut report).await?;
    }
    report.judge();
    print!("{}", report.summary());
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&report).map_err(|e| LoadError::Stack(e.to_string()))?;
        std::fs::write(file, text).map_err(LoadError::io(format!("write {}", file.display())))?;
    }
    Ok(())
}

async fn beside_the_floor(programs: &Programs, args: &Args, report: &mut Report) -> Result<(), LoadError> {
    let bench = Bench::start(programs, args.nats.as_deref(), &[]).await?;
    let bench = bench.with_floors(&[Path::Guarded, Path::Bare]).await?;
    if args.wants(What::Throughput) {
        let throughput = throughput::measure(&bench, args).await?;
        println!("{}", throughput.table());
        report.throughput = Some(throughput);
    }
    if args.wants(What::Latency) {
        let latency = latency::measure(&bench, args).await?;
        println!("{}", latency.table());
        report.latency = Some(latency);
    }
    bench.stop().await
}

async fn on_our_own(programs: &Programs, args: &Args, report: &mut Report) -> Result<(), LoadError> {
    if args.wants(What::Tracing) {
        let tracing = tracing::measure(programs, args).await?;
        println!("{}", tracing.table());
        report.tracing = Some(tracing);
    }
    if args.wants(What::Memory) {
        let bench = Bench::start(programs, None, &[]).await?;
        let memory = memory::measure(&bench, args).await?;
        println!("{}", memory.table());
        report.memory = Some(memory);
        bench.stop().await?;
    }
    let models = [What::ModelLatency, What::ModelThroughput, What::ModelMemory, What::ModelBudgets];
    if models.into_iter().any(|what| args.wants(what)) {
        report.models = Some(models::measure(programs, args).await?);
    }
    let ml = [What::MlEmbeddings, What::MlLatency, What::MlGeneration, What::MlMemory];
    if ml.into_iter().any(|what| args.wants(what)) {
        report.ml = Some(ml::measure(programs, args).await?);
    }
    let vectors = [What::VectorsSearch, What::VectorsPlatform, What::VectorsIngest];
    if vectors.into_iter().any(|what| args.wants(what)) {
        report.vectors = Some(vectors::measure(programs, args).await?);
    }
    Ok(())
}
