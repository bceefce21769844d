//! How much memory there is: of the machine, or of the container that this process runs in; and that nobody here gets more.

use std::path::Path;
use std::sync::Once;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Where control groups (version 2) tell a container's limits.
const CGROUP: &str = "/sys/fs/cgroup";

/// Memory that this process may have at most, in bytes; 0 where nobody says.
pub fn machine_bytes() -> u64 {
    let total = meminfo("MemTotal").unwrap_or_default();
    match limit() {
        Some(limit) if total == 0 || limit < total => limit,
        _ => total,
    }
}

/// Memory that can be had now without taking it from others, in bytes; `None` where nobody says.
pub fn free_bytes() -> Option<u64> {
    let machine = meminfo("MemAvailable");
    let container = limit().and_then(|limit| {
        // What files left in the cache is counted as used, and goes when it is needed.
        let cached = field(&read("memory.stat")?, "inactive_file ")?;
        Some(limit.saturating_sub(number(&read("memory.current")?)?.saturating_sub(cached)))
    });
    match (machine, container) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What this process maps beside what it uses: stacks of threads, and what the allocator keeps for later.
const BESIDE: u64 = 2 << 30;

/// Bounds what this process may map, once: who asks for more memory than there is is told so, instead of being given
/// addresses that end the process when they are written to.
pub fn bound() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let (machine, before) = (machine_bytes(), getrlimit(Resource::Data));
        let most = machine.saturating_add(BESIDE);
        if machine == 0 || before.current.is_some_and(|now| now <= most) {
            return;
        }
        if let Err(e) = setrlimit(Resource::Data, Rlimit { current: Some(most), ..before }) {
            tracing::warn!("what this process may map is not bounded: {e}");
        }
    });
}

fn limit() -> Option<u64> {
    number(&read("memory.max")?)
}

fn read(file: &str) -> Option<String> {
    std::fs::read_to_string(Path::new(CGROUP).join(file)).ok()
}

fn meminfo(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    field(&text, &format!("{name}:")).map(|kib| kib << 10)
}

/// The number behind a word at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| number(line.strip_prefix(name)?))
}

fn number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found() {
        let text = "MemTotal:       24689764 kB\nMemFree:  12 kB\nMemAvailable:   22213456 kB\n";
        assert_eq!(field(text, "MemAvailable:"), Some(22_213_456));
        assert_eq!(field("anon 5\ninactive_file 77\n", "inactive_file "), Some(77));
        assert_eq!((number("max\n"), number("1024\n")), (None, Some(1024)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_says() {
        let (all, free) = (machine_bytes(), free_bytes().unwrap());
        assert!(all > 1 << 28 && free > 1 << 20 && free <= all, "{free} of {all}");
    }
}
