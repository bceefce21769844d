//! What a process costs, as the kernel counts it.

use std::time::Duration;

/// CPU time of a process so far, user and system; `None` where it is gone.
pub fn cpu(pid: u32) -> Option<Duration> {
    times(pid).map(|(own, _)| own)
}

/// CPU time of a process and of all that descend from it.
pub fn tree_cpu(pid: u32) -> Option<Duration> {
    let (own, ended) = times(pid)?;
    Some(own + ended + children(pid).into_iter().filter_map(tree_cpu).sum::<Duration>())
}

/// CPU time of the processes that this one has started and that have ended.
pub fn ended_cpu() -> Duration {
    times(std::process::id()).map_or(Duration::ZERO, |(_, ended)| ended)
}

/// A process's own CPU time, and that of its children that have ended and were waited for.
fn times(pid: u32) -> Option<(Duration, Duration)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (own, ended) = parse_ticks(&text)?;
    let time =
        |ticks: u64| Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
    Some((time(own), time(ended)))
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// Fields 14 to 17 of proc(5): user and system time, its own and its ended children's. The second one, the name, may
/// hold blanks and brackets.
fn parse_ticks(stat: &str) -> Option<(u64, u64)> {
    let rest = stat.rsplit_once(')')?.1;
    let mut fields = rest.split_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    let mut both = || Some(fields.next()?? + fields.next()??);
    Some((both()?, both()?))
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
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 1 2 3 4 150 25 7 1 20 0 1 0";
        assert_eq!(parse_ticks(stat), Some((175, 8)));
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
        let before = ended_cpu();
        // Counting takes the shell a while.
        let counts = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", counts]).status().unwrap().success());
        assert!(ended_cpu() > before);
    }

    #[test]
    fn this_process_can_be_read() {
        let me = std::process::id();
        assert!(cpu(me).is_some() && resident_kib(me).unwrap() > 100);
        assert_eq!((cpu(u32::MAX), resident_kib(u32::MAX)), (None, None));
    }
}
