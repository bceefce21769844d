//! How much memory there is: of the machine, or of the container that this process runs in; and that nobody here gets more.

use std::path::{Path, PathBuf};
use std::sync::Once;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::MlError;

/// Where control groups (version 2) are.
const CGROUPS: &str = "/sys/fs/cgroup";
/// What is assumed where neither the machine nor a container says: few machines that run models have less.
const UNKNOWN: u64 = 4 << 30;
/// A request that needs less is not worth asking the system for.
const LITTLE: u64 = 64 << 20;

/// Memory that this process may have at most, in bytes.
pub fn machine_bytes() -> u64 {
    let limits = groups().into_iter().filter_map(|group| number(&read(&group, "memory.max")?));
    limits.chain(meminfo("MemTotal")).min().unwrap_or(UNKNOWN)
}

/// Memory that can be had now without taking it from others, in bytes; `None` where nobody says.
pub fn free_bytes() -> Option<u64> {
    groups().iter().filter_map(|group| free_of(group)).chain(meminfo("MemAvailable")).min()
}

/// Lets a request in that needs so many bytes, if they can be had now.
///
/// # Errors
/// [`MlError::TooMuchMemory`].
pub fn admit(need: u64) -> Result<(), MlError> {
    if need < LITTLE {
        return Ok(());
    }
    match free_bytes() {
        Some(free) if need > free => Err(MlError::TooMuchMemory {
            need_mb: need >> 20,
            has_mb: free >> 20,
            advice: "send less at once, or give the worker more memory",
        }),
        _ => Ok(()),
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
        if before.current.is_some_and(|now| now <= most) {
            return;
        }
        if let Err(e) = setrlimit(Resource::Data, Rlimit { current: Some(most), ..before }) {
            tracing::warn!("what this process may map is not bounded: {e}");
        }
    });
}

fn free_of(group: &Path) -> Option<u64> {
    let limit = number(&read(group, "memory.max")?)?;
    // What files left in the cache is counted as used, and goes when it is needed.
    let cached = field(&read(group, "memory.stat")?, "inactive_file ")?;
    Some(limit.saturating_sub(number(&read(group, "memory.current")?)?.saturating_sub(cached)))
}

/// The control groups that this process is in, from its own up: each may have a limit.
fn groups() -> Vec<PathBuf> {
    let told = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    above(told.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/"))
}

/// A group and those above it. In a container that sees its own group alone, that is the root.
fn above(path: &str) -> Vec<PathBuf> {
    let own = Path::new(CGROUPS).join(path.trim_start_matches('/'));
    own.ancestors().take_while(|group| group.starts_with(CGROUPS)).map(Path::to_owned).collect()
}

fn read(group: &Path, file: &str) -> Option<String> {
    std::fs::read_to_string(group.join(file)).ok()
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
    fn every_group_above_counts() {
        let of = |path: &str| above(path).iter().map(|g| g.display().to_string()).collect::<Vec<_>>();
        assert_eq!(of("/"), ["/sys/fs/cgroup/"]);
        let service = ["/sys/fs/cgroup/a.slice/b.service", "/sys/fs/cgroup/a.slice", "/sys/fs/cgroup"];
        assert_eq!(of("/a.slice/b.service"), service);
    }

    #[test]
    fn what_never_fits_is_not_let_in() {
        assert_eq!(admit(1), Ok(()));
        assert!(matches!(admit(1 << 60), Err(MlError::TooMuchMemory { need_mb, .. }) if need_mb == 1 << 40));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_says() {
        let (all, free) = (machine_bytes(), free_bytes().unwrap());
        assert!(all > 1 << 28 && free > 1 << 20 && free <= all, "{free} of {all}");
    }
}
