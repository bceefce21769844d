//! The inside of a parsing child: it limits itself, then reads documents until its input ends.

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;

use rustix::process::{Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde_json::value::RawValue;

use super::frame::{Header, Report, Usage, read_request, write_report};
use crate::error::DocError;
use crate::formats::pdf;

/// The hidden first argument that makes the binary a parsing child.
pub const FLAG: &str = "--parse-child";

/// Open files a parser may hold: its pipes, its library, a font or two.
const MAX_FILES: u64 = 32;

/// Runs as a parsing child: `arguments` are what follows [`FLAG`] - the parent's process id, the memory limit in
/// bytes, and the path of the PDF library (may be empty).
///
/// # Errors
/// Where the limits cannot be set or a pipe breaks; the process should then exit with a failure.
pub fn run(arguments: &[String]) -> io::Result<()> {
    let [parent, memory, library] = arguments else {
        return Err(io::Error::other("a parsing child is started by the document service, not by hand"));
    };
    let parent: i32 = parent.parse().map_err(io::Error::other)?;
    let memory: u64 = memory.parse().map_err(io::Error::other)?;
    // Documents may make parsers print: the real stdout is kept aside, and descriptor 1 becomes stderr.
    let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        return Err(io::Error::other("the service that started this parsing child is gone"));
    }
    pdf::library::load_early(Path::new(library));
    confine(memory)?;
    serve(&mut BufReader::new(io::stdin().lock()), &mut BufWriter::new(File::from(output)))
}

fn confine(memory: u64) -> io::Result<()> {
    for (resource, bound) in [
        (Resource::As, memory),
        (Resource::Data, memory),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nofile, MAX_FILES),
    ] {
        setrlimit(resource, Rlimit { current: Some(bound), maximum: Some(bound) })?;
    }
    Ok(())
}

fn serve(input: &mut impl io::Read, output: &mut impl io::Write) -> io::Result<()> {
    while let Some((header, body)) = read_request(input)? {
        let before = cpu_us();
        // The limit counts from the start of the process; it has served other documents before.
        let seconds = before / 1_000_000 + header.cpu_seconds;
        setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: None })?;
        let result = guarded(&header, &body);
        drop(body);
        let usage = Usage { cpu_us: cpu_us().saturating_sub(before), peak_rss_kb: peak_rss_kb() };
        write_report(output, &Report { result, usage })?;
    }
    Ok(())
}

/// A panic in a parser is this document's failure, not the child's.
fn guarded(header: &Header, body: &[u8]) -> Result<Box<RawValue>, DocError> {
    std::panic::catch_unwind(|| header.job.perform(body, &header.limits)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(DocError::Crashed { how: format!("a panic ({})", text.unwrap_or_else(|| "no message".into())) })
    })
}

/// CPU time of this thread, and so of the child, which has but one. The process's clock will not do: under
/// `RLIMIT_CPU` the kernel brings it up to date at ticks only, some milliseconds late.
fn cpu_us() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}

/// `VmHWM` of this process: the most memory that was ever resident.
fn peak_rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}
