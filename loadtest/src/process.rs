//! What a process costs, as the kernel counts it.

use std::time::Duration;

/// CPU time of a process so far, user and system; `None` where it is gone.
pub fn cpu(pid: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks = parse_ticks(&text)?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// CPU time of a process and of all that descend from it and live.
pub fn tree_cpu(pid: u32) -> Option<Duration> {
    let own = cpu(pid)?;
    Some(own + children(pid).into_iter().filter_map(tree_cpu).sum::<Duration>())
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// Fields 14 and 15 of proc(5). The second one, the name, may hold blanks and brackets.
fn parse_ticks(stat: &str) -> Option<u64> {
    let rest = stat.rsplit_once(')')?.1;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Resident memory of a process in KiB; `None` where it is gone.
pub fn resident_kib(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 1 2 3 4 150 25 0 0 20 0 1 0";
        assert_eq!(parse_ticks(stat), Some(175));
    }

    #[test]
    fn a_child_counts_with_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let me = std::process::id();
        // Asked for first: other tests go on in this process meanwhile.
        let own = cpu(me);
        assert!(children(me).contains(&child.id()));
        assert!(own.is_some() && tree_cpu(me) >= own);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn this_process_can_be_read() {
        let me = std::process::id();
        assert!(cpu(me).is_some() && resident_kib(me).unwrap() > 100);
        assert_eq!((cpu(u32::MAX), resident_kib(u32::MAX)), (None, None));
    }
}
