//! The direction of dependencies: which crate may name which, and who owns a heavy dependency.
//!
//! The rule is a table. A crate that is not in it is refused, so that a new room is placed on purpose.

use crate::Findings;
use crate::workspace::{Crate, Dependency, Kind};

/// The shared crates, and what of ours each may name.
const SHARED: &[(&str, &[&str])] = &[
    ("tasklane-domain", &[]),
    ("tasklane-telemetry", &[]),
    ("tasklane-contract", &["tasklane-domain"]),
    ("tasklane-bus", &["tasklane-contract", "tasklane-domain"]),
    ("tasklane-runtime", BELOW_RUNTIME),
    ("tasklane-models", BELOW_MODELS),
    ("tasklane-testkit", BELOW_MODELS),
];

const BELOW_RUNTIME: &[&str] =
    &["tasklane-bus", "tasklane-telemetry", "tasklane-contract", "tasklane-domain"];

const BELOW_MODELS: &[&str] =
    &["tasklane-runtime", "tasklane-bus", "tasklane-telemetry", "tasklane-contract", "tasklane-domain"];

const ALL_SHARED: &[&str] = &[
    "tasklane-models",
    "tasklane-runtime",
    "tasklane-bus",
    "tasklane-telemetry",
    "tasklane-contract",
    "tasklane-domain",
];

const TESTKIT: &str = "tasklane-testkit";

/// Folders whose crates may use the test kit in more than their own tests: they are tests.
const TEST_FOLDERS: &[&str] = &["tests", "loadtest"];

/// A heavy third-party crate (a trailing `*` stands for any ending) and the only crates that may name it.
/// `deny.toml` says the same of what is pulled in indirectly.
const OWNERS: &[(&str, &[&str])] = &[
    ("async-nats", &["tasklane-bus"]),
    ("nkeys", &["tasklane-bus"]),
    ("rcgen", &["tasklane"]),
    ("tikv-jemallocator", &["tasklane-runtime"]),
    // The test kit receives what telemetry sends, and so reads the protocol.
    ("opentelemetry-proto", &["tasklane-telemetry", TESTKIT]),
    ("opentelemetry*", &["tasklane-telemetry"]),
    ("tracing-opentelemetry", &["tasklane-telemetry"]),
    // A collection's log is a wire of its own: nobody but the vector indexer reads it.
    ("prost*", &["tasklane-contract", "tasklane-vector-indexer"]),
    ("qdrant-client", &["tasklane-vector-indexer"]),
    ("pdfium-render", &["tasklane-document"]),
    ("calamine", &["tasklane-document"]),
    ("axum", &["tasklane-runtime", "tasklane-openai-proxy"]),
    ("rhai", &["tasklane-generic"]),
    ("tch", &["tasklane-ml"]),
    ("torch-sys", &[]),
];

/// Everything in the workspace that breaks the table, one sentence each.
pub fn check(crates: &[Crate]) -> Findings {
    let mut findings = Findings::new();
    for krate in crates {
        let Some(allowed) = may_name(krate) else {
            findings.push(format!(
                "{} ({}) is not in the table of xtask/src/layers.rs: say there what it may depend on",
                krate.name, krate.folder
            ));
            continue;
        };
        for dependency in &krate.dependencies {
            let of_ours = crates.iter().find(|other| other.name == dependency.name);
            findings.extend(match of_ours {
                Some(target) => refuse_edge(krate, dependency, target, allowed, crates),
                None => refuse_owner(krate, dependency),
            });
        }
    }
    findings
}

/// The names of ours that a crate may use; `None` for a crate nobody has placed yet.
fn may_name(krate: &Crate) -> Option<&'static [&'static str]> {
    if let Some((_, allowed)) = SHARED.iter().find(|(name, _)| *name == krate.name) {
        return Some(allowed);
    }
    match krate.folder.as_str() {
        "xtask" => Some(&[]),
        "cli" | "loadtest" | "tests" => Some(ALL_SHARED),
        folder if folder.starts_with("services/") => Some(ALL_SHARED),
        _ => None,
    }
}

fn refuse_edge(
    krate: &Crate,
    dependency: &Dependency,
    target: &Crate,
    allowed: &[&str],
    crates: &[Crate],
) -> Option<String> {
    let edge = format!("{} -> {}", krate.name, target.name);
    if target.name == TESTKIT {
        return refuse_testkit(krate, dependency, target, crates, &edge);
    }
    if target.folder.starts_with("services/") {
        return Some(format!("{edge}: nobody depends on a service; what two need moves to shared/"));
    }
    if allowed.contains(&target.name.as_str()) {
        return None;
    }
    Some(format!("{edge}: the layers allow {} only {}", krate.name, listed(allowed)))
}

fn refuse_testkit(
    krate: &Crate,
    dependency: &Dependency,
    testkit: &Crate,
    crates: &[Crate],
    edge: &str,
) -> Option<String> {
    if dependency.kind != Kind::Dev && !TEST_FOLDERS.contains(&krate.folder.as_str()) {
        return Some(format!("{edge}: the test kit is for tests; make it a dev-dependency"));
    }
    reaches(testkit, &krate.name, crates)
        .then(|| format!("{edge}: a circle, for {TESTKIT} itself depends on {}", krate.name))
}

/// True if `from` names `name`, directly or through others of ours, outside of tests.
fn reaches(from: &Crate, name: &str, crates: &[Crate]) -> bool {
    from.dependencies.iter().filter(|dependency| dependency.kind != Kind::Dev).any(|dependency| {
        dependency.name == name
            || crates
                .iter()
                .find(|other| other.name == dependency.name)
                .is_some_and(|next| reaches(next, name, crates))
    })
}

fn refuse_owner(krate: &Crate, dependency: &Dependency) -> Option<String> {
    let (_, owners) = OWNERS.iter().find(|(pattern, _)| matches(pattern, &dependency.name))?;
    if owners.contains(&krate.name.as_str()) {
        return None;
    }
    Some(format!("{} -> {}: only {} may use it", krate.name, dependency.name, listed(owners)))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "nothing of ours".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn krate(name: &str, folder: &str, dependencies: &[(&str, Kind)]) -> Crate {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency { name: (*name).into(), kind: *kind })
            .collect();
        Crate { name: name.into(), folder: folder.into(), dependencies }
    }

    /// A small workspace that keeps the rule.
    fn good() -> Vec<Crate> {
        use Kind::{Dev, Normal};
        vec![
            krate("tasklane-domain", "shared/domain", &[("proptest", Dev)]),
            krate("tasklane-telemetry", "shared/telemetry", &[("opentelemetry-otlp", Normal)]),
            krate("tasklane-contract", "shared/contract", &[("tasklane-domain", Normal), ("prost", Normal)]),
            krate("tasklane-bus", "shared/bus", &[("tasklane-contract", Normal), ("async-nats", Normal)]),
            krate("tasklane-runtime", "shared/runtime", &[("tasklane-bus", Normal), ("axum", Normal)]),
            krate("tasklane-testkit", "shared/testkit", &[("tokio", Normal)]),
            krate(
                "tasklane-router",
                "services/router",
                &[("tasklane-runtime", Normal), ("tasklane-testkit", Dev)],
            ),
            krate("tasklane-generic", "services/generic", &[("tasklane-runtime", Normal), ("rhai", Normal)]),
            krate("tasklane-tests", "tests", &[("tasklane-testkit", Normal)]),
            krate("xtask", "xtask", &[("serde_json", Normal)]),
        ]
    }

    /// The findings after one more dependency line.
    fn with(from: &str, to: &str, kind: Kind) -> Findings {
        let mut crates = good();
        let krate =
            crates.iter_mut().find(|krate| krate.name == from).expect("a crate of the small workspace");
        krate.dependencies.push(Dependency { name: to.into(), kind });
        check(&crates)
    }

    #[test]
    fn the_right_direction_passes() {
        assert_eq!(check(&good()), Findings::new());
    }

    #[test]
    fn every_forbidden_edge_is_named() {
        let forbidden = [
            ("tasklane-domain", "tasklane-contract", "only nothing of ours"),
            ("tasklane-telemetry", "tasklane-domain", "only nothing of ours"),
            ("tasklane-contract", "tasklane-bus", "only tasklane-domain"),
            ("tasklane-bus", "tasklane-runtime", "only tasklane-contract"),
            ("tasklane-runtime", "tasklane-router", "nobody depends on a service"),
            ("tasklane-router", "tasklane-generic", "nobody depends on a service"),
            ("tasklane-router", "tasklane-testkit", "make it a dev-dependency"),
            ("xtask", "tasklane-domain", "only nothing of ours"),
            ("tasklane-router", "async-nats", "only tasklane-bus may use it"),
            ("tasklane-runtime", "opentelemetry_sdk", "only tasklane-telemetry may use it"),
            ("tasklane-bus", "prost-build", "only tasklane-contract, tasklane-vector-indexer may use it"),
            ("tasklane-router", "qdrant-client", "only tasklane-vector-indexer may use it"),
            ("tasklane-router", "rhai", "only tasklane-generic may use it"),
        ];
        for (from, to, why) in forbidden {
            let findings = with(from, to, Kind::Normal);
            assert_eq!(findings.len(), 1, "{from} -> {to}: {findings:?}");
            assert!(findings[0].contains(&format!("{from} -> {to}")), "{findings:?}");
            assert!(findings[0].contains(why), "{findings:?}");
        }
    }

    #[test]
    fn tests_too_keep_the_direction() {
        assert_eq!(with("tasklane-domain", "tasklane-bus", Kind::Dev).len(), 1);
        assert_eq!(with("tasklane-domain", "async-nats", Kind::Dev).len(), 1);
    }

    #[test]
    fn a_circle_through_the_test_kit_is_refused() {
        let mut crates = good();
        let testkit = crates.iter_mut().find(|krate| krate.name == TESTKIT).expect("the test kit");
        testkit.dependencies.push(Dependency { name: "tasklane-runtime".into(), kind: Kind::Normal });
        let bus = crates.iter_mut().find(|krate| krate.name == "tasklane-bus").expect("the bus");
        bus.dependencies.push(Dependency { name: TESTKIT.into(), kind: Kind::Dev });
        let findings = check(&crates);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains("tasklane-bus -> tasklane-testkit: a circle"));
    }

    #[test]
    fn a_crate_nobody_placed_is_refused() {
        let mut crates = good();
        crates.push(krate("tasklane-attic", "shared/attic", &[]));
        let findings = check(&crates);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("tasklane-attic (shared/attic) is not in the table"));
    }
}
