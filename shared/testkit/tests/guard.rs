//! A test that is killed itself leaves no process behind.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use tasklane_testkit::child::Plan;
use tasklane_testkit::wait;

const NAME: &str = "what_a_killed_test_started_ends_with_it";
/// Set for the test that is killed: this one, in a process of its own.
const INNER: &str = "TASKLANE_TEST_INNER";

fn sleeper() -> Plan {
    let args = vec!["600".to_owned()];
    Plan { name: "sleeper".to_owned(), program: "sleep".into(), args, env: BTreeMap::new() }
}

fn is_there(pid: Pid) -> bool {
    // A zombie is there as well; whoever adopted it takes it away in a moment.
    test_kill_process(pid).is_ok()
}

#[tokio::test]
async fn what_a_killed_test_started_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os(INNER).is_some() {
        let running = sleeper().start(folder.path());
        println!("\nsleeper {}", running.id());
        tokio::time::sleep(Duration::from_secs(600)).await;
        panic!("nobody killed the test");
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", NAME, "--nocapture"]).env(INNER, "1").stdout(Stdio::piped());
    let mut test = command.spawn().unwrap();
    let lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let pid = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("sleeper ")?.parse().ok());
    let pid = Pid::from_raw(pid.expect("the inner test tells what it started")).unwrap();
    assert!(is_there(pid));
    test.kill().unwrap();
    test.wait().unwrap();
    wait::until("the process is gone", async || (!is_there(pid)).then_some(())).await;
}

#[tokio::test]
async fn what_is_dropped_is_killed_and_what_ended_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = sleeper().start(folder.path());
    let pid = Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap();
    assert!(running.is_running() && is_there(pid));
    drop(running);
    assert!(!is_there(pid));
    let script = "echo out; echo err >&2; exit 3".to_owned();
    let plan = Plan { program: "sh".into(), args: vec!["-c".to_owned(), script], ..sleeper() };
    let status = plan.start(folder.path()).ended_within(wait::PATIENCE).await;
    assert_eq!(status.code(), Some(3));
    assert_eq!(tasklane_testkit::child::log(folder.path(), "sleeper"), "out\nerr\n");
}
