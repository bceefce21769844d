//! Memory over many texts of mixed lengths.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use tasklane_ml::generate::pick::Picking;
use tokio::time::Instant;

use crate::reference::{Case, cases};
use crate::rig::{ask, calm, engine};

/// Texts that are written; `TASKLANE_TEST_TEXTS` says another number.
const TEXTS: usize = 3_000;
/// What may be added after a quarter of them: pages that the allocator keeps.
const GROWTH_KB: u64 = 4 << 10;
/// The model's folder, for the process in which nothing else runs.
const ALONE: &str = "TASKLANE_TEST_ALONE";

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[test]
fn memory_is_flat_over_many_texts() {
    if let Some(folder) = variable(ALONE) {
        let folder = Path::new(&folder);
        let text = std::fs::read(folder.join("expected.json")).unwrap();
        return write_many(folder, &serde_json::from_slice::<Vec<Case>>(&text).unwrap());
    }
    let Some((folder, _)) = cases("mistral") else { return };
    let this = std::env::current_exe().unwrap();
    let alone = ["--exact", "memory::memory_is_flat_over_many_texts", "--nocapture"];
    let out = Command::new(this).args(alone).env(ALONE, folder).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    println!("{}", said.lines().find(|line| line.contains("grown by")).unwrap_or_default());
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
}

fn write_many(folder: &Path, cases: &[Case]) {
    let texts = variable("TASKLANE_TEST_TEXTS").and_then(|n| n.to_str()?.parse().ok()).unwrap_or(TEXTS);
    let mut engine = engine(folder, 12, 4 << 20);
    let mut heard = VecDeque::new();
    let (mut written, mut after_warming) = (0, 0);
    for i in 0..texts {
        let case = &cases[i % cases.len()];
        let picking = Picking { temperature: (i % 2) as f32, seed: i as u64, ..Picking::GREEDY };
        heard.push_back(ask(&mut engine, &case.prompt, 1 + i * 7 % 50, picking, calm()));
        written += engine.step(Instant::now()).written;
        while engine.load().0 > 0 {
            written += engine.step(Instant::now()).written;
        }
        // Who is still being written by then leaves before the end.
        if heard.len() > 10 {
            heard.pop_front();
        }
        if i == texts / 4 {
            after_warming = resident_kb();
        }
    }
    let grown = resident_kb().saturating_sub(after_warming);
    println!("{texts} texts, {written} tokens: grown by {grown} kB after the first quarter");
    assert!(written > texts * 3, "hardly anything was written");
    assert!(grown < GROWTH_KB, "grown by {grown} kB");
}
