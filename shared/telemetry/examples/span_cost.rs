//! What a span costs: `cargo run --release -p tasklane-telemetry --example span_cost`.
//!
//! Starts a span under a parent, sets five attributes and ends it, on one thread, in three states of the process:
//! off, exporting with a parent that is not sampled, and exporting with one that is. The collector is a closed
//! port: what is measured is what the caller pays, until the queue is full (`sampled`) and beyond (`overflow`).

use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use tasklane_telemetry::{Span, SpanKind, TraceContext, TraceSettings, init_tracing, names, stats};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

fn one(parent: &TraceContext, id: &str) {
    let mut span = Span::start("process echo", SpanKind::Consumer, Some(parent));
    span.set(names::MESSAGING_SYSTEM, names::NATS);
    span.set(names::MESSAGING_DESTINATION_NAME, "work.text_processing.document.p1");
    span.set(names::TASK_ID, id);
    span.set(names::ATTEMPT, 1u32);
    span.set(names::ROUTE_SCORE, 0.97);
    black_box(span).end();
}

/// CPU time of this thread in nanoseconds: what others do on the machine does not count.
fn cpu() -> i64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// The best round, in nanoseconds of CPU time a call.
fn measure(what: &str, rounds: u32, spans: u32, mut run: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let start = cpu();
        for _ in 0..spans {
            run();
        }
        best = best.min((cpu() - start) as f64 / f64::from(spans));
    }
    println!("{what:<28} {best:>8.1} ns");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sampled = TraceContext::parse(&format!("{TRACE}-01"), None).ok_or("a valid header")?;
    let unsampled = TraceContext { sampled: false, ..sampled.clone() };
    let id = "0197f3a0-7c00-7000-8000-000000000000";
    let header = sampled.traceparent();
    measure("parse traceparent", 7, 1_000_000, || {
        black_box(TraceContext::parse(black_box(&header), None));
    });
    measure("write traceparent", 7, 1_000_000, || {
        black_box(black_box(&sampled).traceparent());
    });
    measure("span, off", 7, 1_000_000, || one(black_box(&sampled), black_box(id)));

    let settings = TraceSettings {
        endpoint: "http://127.0.0.1:9".to_owned(),
        queue_size: 1 << 18,
        flush_interval_ms: 600_000,
        shutdown_timeout_ms: 100,
        ..TraceSettings::default()
    };
    let guard = init_tracing("span_cost", &settings)?;
    measure("span, on, not sampled", 7, 1_000_000, || one(black_box(&unsampled), black_box(id)));
    measure("span, on, sampled", 5, 40_000, || one(black_box(&sampled), black_box(id)));
    println!("{:?}", stats());
    measure("span, on, overflow", 3, 200_000, || one(black_box(&sampled), black_box(id)));
    println!("{:?}", guard.shutdown());
    Ok(())
}
