//! The last word on child processes: a shell that waits for the test process to end, however it ends, and kills what
//! that left behind. A test that is killed itself runs no destructor.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Reads `+ <group>` and `- <group>`, and kills the groups that are left when its input ends.
const SCRIPT: &str = r#"
groups=" "
while read -r sign group; do
    case "$sign" in
        +) groups="$groups$group " ;;
        -) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
"#;

static GUARD: Mutex<Option<ChildStdin>> = Mutex::new(None);

fn say(sign: char, group: u32) {
    let mut guard = GUARD.lock().unwrap_or_else(PoisonError::into_inner);
    let input = guard.get_or_insert_with(start);
    if let Err(e) = writeln!(input, "{sign} {group}") {
        eprintln!("nobody guards process group {group}: {e}");
    }
}

#[expect(clippy::zombie_processes, reason = "it outlives us: that is what it is for")]
fn start() -> ChildStdin {
    let spawned = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        // Whoever reads the test's output waits until all who hold it are gone.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut shell = spawned.unwrap_or_else(|e| panic!("sh cannot be started: {e}"));
    shell.stdin.take().unwrap_or_else(|| panic!("the shell has no input"))
}

/// A process group that shall not outlive this process.
pub fn watch(group: u32) {
    say('+', group);
}

/// A process group that is gone: its number may be somebody else's soon.
pub fn forget(group: u32) {
    say('-', group);
}
