//! The compose files against the services as they are: every service has its entry, and what the entry says of ports and
//! variables is what the program reads.

use std::collections::BTreeMap;

use serde_json::Value;
use tasklane_testkit::{child, tool};

use super::pages::services;

fn read(file: &str) -> Value {
    let path = tool::repository().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// `${NAME:-default}` and `${NAME-default}` as they are where nothing is set.
fn unset(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (inside, after) = rest.split_once('}').unwrap_or_else(|| panic!("{text} does not end"));
    let default = inside.split_once('-').map_or("", |(_, default)| default);
    format!("{before}{default}{}", unset(after))
}

fn environment(service: &Value) -> BTreeMap<String, String> {
    let pairs = service["environment"].as_object().unwrap_or_else(|| panic!("no environment: {service}"));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    pairs.iter().map(|(key, value)| (key.clone(), unset(&text(value)))).collect()
}

/// What a service makes of these variables; `None` where it is not built, as the ml service without libtorch.
fn printed(service: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let program = tool::place_of_ours(&format!("tasklane-{service}"));
    if !program.is_file() {
        tool::skipped(&program.display().to_string(), "(`make test` builds it)");
        return None;
    }
    let mut command = child::command(program);
    command.envs(variables).arg("--print-config");
    let said = command.output().unwrap_or_else(|e| panic!("{service}: {e}"));
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success(), "{service} refuses its settings: {errors}");
    Some(String::from_utf8(said.stdout).unwrap_or_else(|e| panic!("{service}: {e}")))
}

#[test]
fn every_service_has_an_entry_with_settings_that_it_reads() {
    let compose = read("docker-compose.yml");
    for name in services() {
        let entry = &compose["services"][&name];
        assert!(entry.is_object(), "docker-compose.yml has no {name}");
        assert_eq!(entry["build"]["args"]["SERVICE"], name.as_str());
        assert_eq!(entry["depends_on"]["nats"]["condition"], "service_healthy", "{name}");
        let variables = environment(entry);
        let port = entry["expose"][0].as_str().unwrap_or_else(|| panic!("{name} exposes no port"));
        let Some(config) = printed(&name, &variables) else { continue };
        assert!(config.contains("url = \"nats://nats:4222\""), "{name}: {config}");
        assert!(
            config.contains(&format!("listen = \"0.0.0.0:{port}\"")),
            "{name} does not listen on {port}: {config}"
        );
        // By itself it listens on the same port, on loopback.
        let Some(alone) = printed(&name, &BTreeMap::new()) else { continue };
        assert!(alone.contains(&format!("listen = \"127.0.0.1:{port}\"")), "{name}: {alone}");
    }
}

#[test]
fn every_service_has_a_user_of_its_own_where_there_are_users() {
    let secure = read("docker-compose.secure.yml");
    for name in services() {
        let entry = &secure["services"][&name];
        let variables = environment(entry);
        assert_eq!(variables["TASKLANE_NATS_INBOX_PREFIX"], format!("_INBOX.{name}"));
        printed(&name, &variables);
        let mounts = entry["volumes"].as_array().unwrap_or_else(|| panic!("{name} mounts no key"));
        let seed =
            mounts.iter().filter_map(Value::as_str).map(unset).find(|m| m.ends_with(":/keys/user.nk:ro"));
        let seed = seed.unwrap_or_else(|| panic!("{name} has no seed"));
        assert!(seed.starts_with(&format!("./.tasklane/keys/{name}.nk:")), "{seed}");
    }
}

#[test]
fn nothing_listens_beyond_this_machine() {
    let compose = read("docker-compose.yml");
    let services = compose["services"].as_object().unwrap_or_else(|| panic!("no services"));
    let mut published = 0;
    for (name, entry) in services {
        for port in entry["ports"].as_array().into_iter().flatten() {
            let port = port.as_str().unwrap_or_else(|| panic!("{name}: write ports as text"));
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
            published += 1;
        }
    }
    assert!(published >= 4, "NATS, its page, Jaeger, Prometheus: {published}");
}

#[test]
fn images_have_versions() {
    let compose = read("docker-compose.yml");
    for (name, entry) in compose["services"].as_object().unwrap_or_else(|| panic!("no services")) {
        let image = entry["image"].as_str().unwrap_or_else(|| panic!("{name} has no image"));
        let version = image.split_once(':').unwrap_or_else(|| panic!("{name}: {image} has no version")).1;
        assert!(version.chars().any(|c| c.is_ascii_digit()), "{name}: {image}");
    }
}
