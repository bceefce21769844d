//! How much memory keys and values may take.

/// Where a system does not say how much it has.
const UNKNOWN: u64 = 4 << 30;

/// Bytes of a setting in MB; an eighth of what this process may have where it is 0.
pub fn budget(setting_mb: u64) -> u64 {
    match setting_mb {
        0 => of_the_machine() / 8,
        mb => mb << 20,
    }
}

/// The machine's memory, or what its container may take of it.
fn of_the_machine() -> u64 {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let machine = total(&text("/proc/meminfo")).unwrap_or(UNKNOWN);
    let container = text("/sys/fs/cgroup/memory.max").trim().parse().unwrap_or(u64::MAX);
    machine.min(container)
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_counts_and_without_one_the_machine() {
        assert_eq!(budget(3), 3 << 20);
        assert!((32 << 20..1 << 50).contains(&budget(0)));
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       24674920 kB\n"), Some(24_674_920 << 10));
        assert_eq!(total("?"), None);
    }
}
