//! `models push` and `models pull`: between folders and the object store.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use tasklane_models::name::compare_versions;
use tasklane_models::{Manifest, ModelName, StoreError, bucket, folder};
use tasklane_runtime::bus::Bus;
use tasklane_runtime::contract::code;

use super::args::{PullArgs, PushArgs};
use crate::error::{CliError, Exit};
use crate::format::{self, bytes};
use crate::session::Session;

/// Puts a folder into the store. What is there already is not put again, and nothing else is put in its place unasked.
pub async fn push(args: PushArgs, session: &Session) -> Result<Exit, CliError> {
    let (text, manifest) = folder::manifest(&args.folder)?;
    let name = manifest.full_name();
    let bus = session.bus().await?;
    match bucket::manifest(&bus, &name).await {
        Ok((there, _)) if there == text => {
            say(session, &name, &args.folder.display().to_string(), "is in the store already", None, 0)?;
            return Ok(Exit::Succeeded);
        }
        Ok(_) | Err(StoreError::Bad(_)) if !args.replace => {
            let why = format!("{name} is in the store already, and is another model");
            return Err(CliError::new(code::BAD_REQUEST, Exit::Failed, why)
                .remedy("give this one another version; or push it with --replace"));
        }
        Ok(_) | Err(StoreError::Bad(_) | StoreError::Absent(_)) => {}
        Err(e) => return Err(e.into()),
    }
    let began = Instant::now();
    bucket::put(&bus, &args.folder, &manifest).await?;
    let size = size(&args.folder, &manifest);
    say(session, &name, &args.folder.display().to_string(), "is in the store", Some(began), size)?;
    Ok(Exit::Succeeded)
}

/// Gets a model into a folder.
pub async fn pull(args: PullArgs, session: &Session) -> Result<Exit, CliError> {
    let bus = session.bus().await?;
    let name = newest(&bus, args.model).await?;
    let folder = args.folder.unwrap_or_else(|| PathBuf::from(name.to_string()));
    if folder.exists() {
        let why = format!("{} exists already; name a folder that does not", folder.display());
        return Err(CliError::usage(code::BAD_REQUEST, why));
    }
    let began = Instant::now();
    let manifest = bucket::get(&bus, &name, folder.clone()).await?;
    let what = format!("is in {}", folder.display());
    say(session, &name, &folder.display().to_string(), &what, Some(began), size(&folder, &manifest))?;
    Ok(Exit::Succeeded)
}

/// A name with the newest version that the store has of it.
async fn newest(bus: &Bus, wanted: ModelName) -> Result<ModelName, CliError> {
    if wanted.version.is_some() {
        return Ok(wanted);
    }
    let stored = bucket::list(bus).await?.into_iter().map(|stored| stored.name);
    let version = |name: &ModelName| name.version.clone().unwrap_or_default();
    let found = stored
        .filter(|name| name.name == wanted.name)
        .max_by(|a, b| compare_versions(&version(a), &version(b)));
    found.ok_or_else(|| StoreError::Absent(wanted.to_string()).into())
}

fn size(folder: &std::path::Path, manifest: &Manifest) -> u64 {
    let size = |file: &String| std::fs::metadata(folder.join(file)).map_or(0, |facts| facts.len());
    manifest.files.keys().map(size).sum()
}

fn say(
    session: &Session,
    name: &ModelName,
    folder: &str,
    what: &str,
    began: Option<Instant>,
    size: u64,
) -> Result<(), CliError> {
    let ms = began.map(|began| began.elapsed().as_secs_f64() * 1_000.0);
    if session.json {
        let said = json!({"model": name.to_string(), "folder": folder, "moved": ms.is_some(), "bytes": size, "ms": ms});
        return session.print(&said.to_string());
    }
    match ms {
        Some(ms) => session.print(&format!("{name} {what}: {} in {}", bytes(size), format::ms(ms))),
        None => session.print(&format!("{name} {what}")),
    }
}
