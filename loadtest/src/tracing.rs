//! What tracing costs: throughput with one trace in a hundred exported beside none, on two stacks that take turns.

use std::time::Duration;

use serde::Serialize;
use tasklane_testkit::otlp::OtlpReceiver;

use crate::args::Args;
use crate::bench::Bench;
use crate::error::LoadError;
use crate::marks::Marks;
use crate::path::Path;
use crate::report::{Bar, line, median};
use crate::stack::Programs;

/// One trace in so many is sampled.
const SAMPLED_EVERY: usize = 100;
/// Spans are sent once a second.
const EXPORTED_WITHIN: Duration = Duration::from_secs(10);

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Tracing {
    /// Tasks of a round.
    pub tasks: usize,
    /// Tasks a second without tracing.
    pub off_per_s: f64,
    /// Tasks a second with one trace in a hundred exported.
    pub on_per_s: f64,
    /// On divided by off, the median of the rounds.
    pub ratio: f64,
    /// Spans that reached the collector.
    pub spans: usize,
}

/// Measures.
///
/// # Errors
/// Where a task is lost, doubled or failed, or no span arrives.
pub async fn measure(programs: &Programs, args: &Args) -> Result<Tracing, LoadError> {
    let collector = OtlpReceiver::start().await.map_err(LoadError::io("start the collector"))?;
    let off = Bench::start(programs, None, &[]).await?;
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())];
    let on = Bench::start(programs, None, &endpoint).await?;
    let (mut offs, mut ons) = (Vec::new(), Vec::new());
    for n in 0..args.rounds {
        for traced in [n % 2 == 0, n % 2 != 0] {
            let (bench, rates, every) =
                if traced { (&on, &mut ons, SAMPLED_EVERY) } else { (&off, &mut offs, 0) };
            let round = bench.round(Path::Product, &Marks::fresh(every), args.tasks, args.in_flight).await?;
            eprintln!(
                "  tracing {:<12} {:>7.0} tasks/s",
                if traced { "1%" } else { "off" },
                round.tasks_per_s
            );
            rates.push(round.tasks_per_s);
        }
    }
    // Each sampled task gives a span of the router's and one of the worker's at least.
    let expected = 2 * args.rounds as usize * args.tasks.div_ceil(SAMPLED_EVERY);
    let spans = collector.wait_for(|spans| spans.len() >= expected, EXPORTED_WITHIN).await;
    let spans = spans
        .map_err(|_| LoadError::Wrong(format!("fewer than {expected} spans arrived at the collector")))?;
    off.stop().await?;
    on.stop().await?;
    Ok(Tracing {
        tasks: args.tasks,
        ratio: median(ons.iter().zip(&offs).map(|(on, off)| on / off)),
        off_per_s: median(offs),
        on_per_s: median(ons),
        spans: spans.len(),
    })
}

impl Tracing {
    /// The bar.
    pub fn bar(&self) -> Bar {
        Bar {
            promise: "tracing 1% of the tasks: at least 90% of the rate without",
            measured: format!("{:.0}%", self.ratio * 100.0),
            met: self.ratio >= 0.9,
        }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        line(&mut out, &format!("tracing: {} tasks a round", self.tasks));
        line(
            &mut out,
            &format!(
                "  off {:>8.0} tasks/s   1% sampled {:>8.0} tasks/s   {:.1}%   {} spans arrived",
                self.off_per_s,
                self.on_per_s,
                self.ratio * 100.0,
                self.spans
            ),
        );
        out
    }
}
