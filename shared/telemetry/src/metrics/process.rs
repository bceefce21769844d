//! What the process itself costs, and what became of its spans; read when somebody looks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        if let Some(bytes) = resident_bytes() {
            let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            let name = "process_resident_memory_bytes";
            gauge.encode(encoder.encode_descriptor(
                name,
                "Resident memory in bytes",
                None,
                gauge_type(),
            )?)?;
        }
        let seconds = ConstCounter::new(cpu_seconds());
        seconds.encode(encoder.encode_descriptor(
            "process_cpu_seconds",
            "User and system CPU time in seconds",
            None,
            counter_type(),
        )?)?;
        let stats = crate::stats();
        let mut spans = encoder.encode_descriptor(
            "tasklane_spans",
            "Ended spans by what became of them",
            None,
            counter_type(),
        )?;
        for (outcome, count) in
            [("exported", stats.exported), ("failed", stats.failed), ("dropped", stats.dropped)]
        {
            let labels = [("outcome", outcome)];
            ConstCounter::new(count).encode(spans.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn gauge_type() -> prometheus_client::metrics::MetricType {
    prometheus_client::metrics::MetricType::Gauge
}

fn counter_type() -> prometheus_client::metrics::MetricType {
    prometheus_client::metrics::MetricType::Counter
}

/// `VmRSS` of `/proc/self/status`; `None` where there is no such file.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    resident_of(&status)
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// CPU time of all threads, finer than the clock ticks of `/proc/self/stat`.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_linux_prints_it() {
        assert_eq!(resident_of("VmPeak:\t 9 kB\nVmRSS:\t   10240 kB\nThreads: 1\n"), Some(10_485_760));
        assert_eq!(resident_of("VmRSS: much\n"), None);
        assert_eq!(resident_of(""), None);
    }
}
