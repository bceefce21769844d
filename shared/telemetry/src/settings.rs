//! How traces are exported, and the OpenTelemetry environment variables that say so.
//!
//! Source of names and defaults: <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>.
//! As that page asks, a value that cannot be read is warned about and ignored: telemetry never stops a service.

use std::time::Duration;

use serde::Deserialize;

/// Which traces are exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// What the parent decided; a new trace by [`TraceSettings::sample_ratio`].
    #[default]
    ParentBased,
    /// By [`TraceSettings::sample_ratio`] and the trace id, whatever the parent decided.
    Ratio,
    /// Every span.
    AlwaysOn,
    /// No span; contexts are still passed on, as not sampled.
    AlwaysOff,
}

/// Settings of the trace exporter. The default exports nothing.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceSettings {
    /// OTLP endpoint over gRPC, such as `http://jaeger:4317`. Empty: nothing is exported.
    pub endpoint: String,
    /// Which traces are exported.
    pub sampler: Sampler,
    /// Share of new traces that are sampled, 0 to 1.
    pub sample_ratio: f64,
    /// Takes the place of the service's own name when set.
    pub service_name: Option<String>,
    /// Ended spans that may wait for the exporter; what comes on top is dropped and counted.
    pub queue_size: usize,
    /// Longest time an ended span waits before it is sent, in milliseconds.
    pub flush_interval_ms: u64,
    /// Longest time one export may take, in milliseconds.
    pub export_timeout_ms: u64,
    /// Longest time [`crate::TracingGuard::shutdown`] takes to send what is left, in milliseconds.
    pub shutdown_timeout_ms: u64,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            sampler: Sampler::ParentBased,
            sample_ratio: 1.0,
            service_name: None,
            queue_size: 8192,
            flush_interval_ms: 1000,
            export_timeout_ms: 10_000,
            shutdown_timeout_ms: 3000,
        }
    }
}

impl TraceSettings {
    /// Reads `OTEL_*` from the environment. `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_HEADERS` and the
    /// span limits are read by the SDK itself.
    #[expect(clippy::disallowed_methods, reason = "the names are OpenTelemetry's, the same in every program")]
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads the same names from anywhere.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let defaults = Self::default();
        let off = get("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"))
            || get("OTEL_TRACES_EXPORTER").is_some_and(|v| v == "none");
        let endpoint =
            get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| get("OTEL_EXPORTER_OTLP_ENDPOINT"));
        let (sampler, sample_ratio) = sampler(get("OTEL_TRACES_SAMPLER"), get("OTEL_TRACES_SAMPLER_ARG"));
        Self {
            endpoint: endpoint.filter(|_| !off).unwrap_or_default(),
            sampler,
            sample_ratio,
            service_name: get("OTEL_SERVICE_NAME"),
            queue_size: number("OTEL_BSP_MAX_QUEUE_SIZE", get, defaults.queue_size),
            flush_interval_ms: number("OTEL_BSP_SCHEDULE_DELAY", get, defaults.flush_interval_ms),
            export_timeout_ms: number("OTEL_EXPORTER_OTLP_TIMEOUT", get, defaults.export_timeout_ms),
            shutdown_timeout_ms: defaults.shutdown_timeout_ms,
        }
    }

    /// The endpoint with a scheme: `jaeger:4317` means `http://jaeger:4317`.
    pub(crate) fn endpoint_url(&self) -> String {
        let endpoint = self.endpoint.trim();
        if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") }
    }

    pub(crate) fn export_timeout(&self) -> Duration {
        Duration::from_millis(self.export_timeout_ms)
    }

    pub(crate) fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }
}

fn sampler(name: Option<String>, arg: Option<String>) -> (Sampler, f64) {
    let ratio = || match arg.as_deref().map(str::parse::<f64>) {
        None => 1.0,
        Some(Ok(ratio)) if (0.0..=1.0).contains(&ratio) => ratio,
        Some(_) => {
            tracing::warn!(value = ?arg, "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1: all are sampled");
            1.0
        }
    };
    match name.as_deref() {
        None | Some("parentbased_always_on") => (Sampler::ParentBased, 1.0),
        Some("parentbased_traceidratio") => (Sampler::ParentBased, ratio()),
        Some("parentbased_always_off") => (Sampler::ParentBased, 0.0),
        Some("traceidratio") => (Sampler::Ratio, ratio()),
        Some("always_on") => (Sampler::AlwaysOn, 1.0),
        Some("always_off") => (Sampler::AlwaysOff, 1.0),
        Some(other) => {
            tracing::warn!(value = other, "OTEL_TRACES_SAMPLER is not known: parentbased_always_on is used");
            (Sampler::ParentBased, 1.0)
        }
    }
}

fn number<N: std::str::FromStr + PartialOrd + From<u8>>(
    name: &str,
    get: impl Fn(&str) -> Option<String>,
    default: N,
) -> N {
    let Some(text) = get(name) else { return default };
    match text.parse::<N>() {
        Ok(n) if n >= N::from(1) => n,
        _ => {
            tracing::warn!(value = text, "{name} is not a positive whole number: the default is used");
            default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> TraceSettings {
        TraceSettings::from_lookup(|name| {
            vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_means_nothing_exported() {
        assert_eq!(read(&[]), TraceSettings::default());
        assert_eq!(TraceSettings::default().endpoint, "");
    }

    #[test]
    fn the_names_of_opentelemetry_are_read() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "jaeger:4317"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_SERVICE_NAME", "blue"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ]);
        assert_eq!(settings.endpoint_url(), "http://jaeger:4317");
        assert_eq!((settings.sampler, settings.sample_ratio), (Sampler::ParentBased, 0.25));
        assert_eq!(settings.service_name.as_deref(), Some("blue"));
        assert_eq!(settings.queue_size, 100);
    }

    #[test]
    fn it_can_be_switched_off() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://jaeger:4317");
        assert_eq!(read(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]).endpoint, "");
        assert_eq!(read(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]).endpoint, "");
        assert_eq!(read(&[endpoint, ("OTEL_SDK_DISABLED", "no")]).endpoint, endpoint.1);
    }

    #[test]
    fn what_cannot_be_read_falls_back() {
        for (sampler, arg) in [("nonsense", "1"), ("parentbased_traceidratio", "7"), ("traceidratio", "x")] {
            let settings = read(&[("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", arg)]);
            assert_eq!(settings.sample_ratio, 1.0, "{sampler} {arg}");
        }
        assert_eq!(read(&[("OTEL_BSP_MAX_QUEUE_SIZE", "0")]).queue_size, 8192);
    }
}
