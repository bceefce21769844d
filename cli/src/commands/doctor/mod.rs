//! `tasklane doctor`: what is missing or wrong, and how to mend it. One line a check.

mod around;
mod judge;
mod pdfium;
mod server;

use crate::api::{Lanes, Workers};
use crate::cli::DoctorArgs;
use crate::error::{CliError, Exit};
use crate::session::Session;
use judge::{Finding, Level};

/// Checks everything that can be checked from here. Exit 1 where something fails.
///
/// # Errors
/// Only where nothing can be printed.
pub async fn run(args: DoctorArgs, session: &Session) -> Result<Exit, CliError> {
    let mut findings = Vec::new();
    let mut router = false;
    match session.bus().await {
        Ok(bus) => {
            findings.extend(server::look(&bus, session.timeout()).await);
            findings.push(around::storage(&args.monitor).await);
            router = fleet(&bus, session, &mut findings).await;
        }
        Err(e) => {
            findings.push(failed("nats", &e));
            findings.push(Finding::skip("streams", "NATS is needed to look at streams, router and pools"));
        }
    }
    findings.extend(around::ports(router).await);
    findings.push(around::nats_command());
    findings.push(pdfium::look());
    findings.push(around::collector().await);
    report(&findings, session)
}

/// The router and the pools it knows of. Returns whether a router answers.
async fn fleet(bus: &tasklane_runtime::bus::Bus, session: &Session, findings: &mut Vec<Finding>) -> bool {
    let nothing = serde_json::json!({});
    let workers = session.ask::<Workers>(bus, "api.workers", &nothing).await;
    let lanes = session.ask::<Lanes>(bus, "api.lanes", &nothing).await;
    match (workers, lanes) {
        (Ok(workers), Ok(lanes)) => {
            findings.push(Finding::ok("router", "answers on api.workers and api.lanes"));
            findings.extend(judge::pools(&workers, &lanes));
            findings.extend(server::lane_consumers(bus, session.timeout(), &lanes).await);
            true
        }
        (Err(e), _) | (_, Err(e)) => {
            let remedy = "start it: `tasklane up`, or the program tasklane-router with TASKLANE_NATS_URL";
            findings.push(Finding { remedy: remedy.into(), ..failed("router", &e) });
            false
        }
    }
}

fn failed(what: &'static str, error: &CliError) -> Finding {
    let remedy = match error {
        CliError::Told { remedy, .. } => remedy.clone(),
        CliError::OutputClosed => String::new(),
    };
    Finding { level: Level::Fail, what, detail: error.to_string(), remedy }
}

fn report(findings: &[Finding], session: &Session) -> Result<Exit, CliError> {
    if session.json {
        let list: Vec<_> = findings.iter().map(Finding::to_json).collect();
        session.print(&serde_json::json!({ "checks": list }).to_string())?;
    } else {
        for finding in findings {
            session.print(&finding.line(session.paint))?;
        }
        session.print(&judge::verdict(findings, session.paint))?;
    }
    let bad = findings.iter().any(|f| f.level == Level::Fail);
    Ok(if bad { Exit::Failed } else { Exit::Succeeded })
}
