//! The keeper: a thread that brings a collection to disk. It writes young segments, indexes texts, and replaces the
//! manifest when all that it names is there and the texts are as far.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Error,
    hub::{TextOp, lock},
    shared::Shared,
    state::Place,
};
use crate::{
    segment::{Segment, file, stored::Record},
    text::{TextError, Texts},
};

/// The folder of the index of texts, and its number.
const TEXTS: &str = "texts";
/// How long until a failure is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until the collection is closed.
pub fn run(shared: &Shared) {
    let mut committed = Instant::now();
    loop {
        let every = shared.config.text_every;
        let soon = |since: Instant| every.saturating_sub(since.elapsed());
        let board = shared.hub.wait(Duration::from_secs(3600), |board| {
            board.stop || board.wanted || board.rebuild || board.texted < board.text_sequence
        });
        if board.stop {
            return;
        }
        drop(board);
        // Only texts: they wait for company, unless somebody waits for them.
        let board = shared.hub.wait(soon(committed), |board| {
            let asked = board.text_asked > board.texted;
            board.stop
                || board.wanted
                || board.rebuild
                || asked
                || board.text_bytes * 2 > shared.config.waiting_texts
        });
        if board.stop {
            return;
        }
        drop(board);
        let step = catch_unwind(AssertUnwindSafe(|| step(shared)));
        let failed = match step {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(why.to_string()),
            Err(_) => Some("the keeper panicked".to_owned()),
        };
        committed = Instant::now();
        shared.hub.change(|board| board.trouble.clone_from(&failed));
        if let Some(why) = failed {
            tracing::warn!(folder = %shared.folder.display(), why, "a collection cannot be brought to disk; trying again");
            drop(shared.hub.wait(AGAIN, |board| board.stop));
        }
    }
}

fn step(shared: &Shared) -> Result<(), Error> {
    let mut ledger = lock(&shared.ledger);
    if ledger.working.is_none() {
        ledger.working = ledger.wanted.take();
    }
    let working = ledger.working.as_ref().map(|working| working.sequence);
    drop(ledger);
    shared.hub.change(|board| board.wanted = false);
    let kept = keep(shared, working);
    let more = {
        let ledger = lock(&shared.ledger);
        ledger.working.is_some() || ledger.wanted.is_some()
    };
    shared.hub.change(|board| board.wanted |= more);
    kept
}

fn keep(shared: &Shared, working: Option<u64>) -> Result<(), Error> {
    if working.is_some() {
        save_all(shared)?;
    }
    texts(shared)?;
    if let Some(sequence) = working {
        let texts = shared.texts();
        if texts.sequence() < sequence {
            texts.commit(sequence).inspect_err(|_| broken(shared))?;
        }
        publish(shared)?;
    }
    Ok(())
}

/// Writes the segments that the checkpoint names and that are in memory only.
fn save_all(shared: &Shared) -> Result<(), Error> {
    let places: Vec<Place> =
        shared.read().places.iter().filter(|place| !place.segment.saved()).cloned().collect();
    for Place { segment, .. } in places {
        let records = (0..segment.rows()).map(|row| segment.stored.get(row));
        let stored = Segment::save(&shared.folder, segment.number, &segment.part, None, records)?;
        let stored = Arc::new(stored);
        let mut state = shared.write();
        state.replace(segment.number, |now| Segment { stored: Arc::clone(&stored), ..now.clone() });
        let unsaved = state.places.iter().filter(|place| !place.segment.saved()).count();
        drop(state);
        shared.hub.change(|board| board.unsaved = unsaved);
    }
    Ok(())
}

/// What was worked on is durable: the manifest says so.
fn publish(shared: &Shared) -> Result<(), Error> {
    let mut ledger = lock(&shared.ledger);
    let Some(working) = ledger.working.take() else { return Ok(()) };
    let named = |number| working.entries.iter().any(|entry| entry.number == number);
    let gone: Vec<u64> =
        ledger.durable.entries.iter().map(|entry| entry.number).filter(|number| !named(*number)).collect();
    ledger.leaving.extend(gone);
    let before = std::mem::replace(&mut ledger.durable, working);
    if let Err(why) = ledger.write(&shared.folder) {
        ledger.working = Some(std::mem::replace(&mut ledger.durable, before));
        return Err(why.into());
    }
    let durable = ledger.durable.sequence;
    drop(ledger);
    shared.hub.change(|board| {
        board.durable = durable;
        board.build = true;
        board.idle = false;
    });
    Ok(())
}

/// Brings the texts that wait into their index.
fn texts(shared: &Shared) -> Result<(), Error> {
    if shared.hub.lock().rebuild {
        rebuild(shared)?;
    }
    let (ops, sequence) = shared.hub.change(super::hub::Board::take_texts);
    let texts = shared.texts();
    if !ops.is_empty() {
        let put = ops.iter().try_for_each(|op| match op {
            TextOp::Put { id, uid, record } => texts.put(id, *uid, record.text().unwrap_or_default()),
            TextOp::Remove(id) => texts.remove(id),
            TextOp::Clear => texts.clear(),
        });
        put.and_then(|()| texts.commit(sequence)).inspect_err(|_| broken(shared))?;
    }
    shared.hub.change(|board| board.texted = board.texted.max(sequence));
    Ok(())
}

/// What was taken off the board and not committed is lost with the index's writer: everything is put again.
fn broken(shared: &Shared) {
    shared.hub.change(|board| board.rebuild = true);
}

/// Makes the index of texts anew, of all points that are alive now.
fn rebuild(shared: &Shared) -> Result<(), Error> {
    let order = lock(&shared.order);
    let sequence = order.sequence;
    let state = shared.read();
    let places = state.places.clone();
    let growing = &state.growing;
    let alive = growing.part.texts.iter().filter(|row| growing.live(*row));
    let young: Vec<(Box<str>, u64, Record)> = alive
        .filter_map(|row| {
            let uid = growing.part.uids.get(row as usize)?;
            Some((growing.part.ids.get(row).into(), *uid, growing.records.get(row as usize)?.clone()))
        })
        .collect();
    drop(state);
    shared.hub.change(|board| {
        board.take_texts();
        board.texted = 0;
    });
    // Whoever applies next asks the new index whether it has what is applied.
    let texts = reopened(shared)?;
    drop(order);
    for Place { segment, deleted } in &places {
        for row in &segment.part.texts - &**deleted {
            let record = segment.stored.get(row)?;
            let uid = segment.part.uids.get(row as usize).copied().unwrap_or_default();
            texts.put(segment.part.ids.get(row), uid, record.text().unwrap_or_default())?;
        }
        if shared.hub.lock().stop {
            return Err(Error::Closed);
        }
    }
    for (id, uid, record) in &young {
        texts.put(id, *uid, record.text().unwrap_or_default())?;
    }
    texts.commit(sequence)?;
    shared.hub.change(|board| {
        board.rebuild = false;
        board.texted = sequence;
    });
    Ok(())
}

/// An index with nothing in it.
///
/// `clear` on the index that is there would do, but for one whose writer is out of order. That one has to go before
/// another can be opened in its folder, so each is made in a folder of its own, named by its number.
fn reopened(shared: &Shared) -> Result<Arc<Texts>, Error> {
    let mut number = 0;
    while shared.folder.join(format!("{TEXTS}.{number}")).exists() {
        number += 1;
    }
    let texts = Arc::new(Texts::open(shared.folder.join(format!("{TEXTS}.{number}")))?);
    *shared.texts.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&texts);
    for folder in text_folders(&shared.folder)? {
        if folder != shared.folder.join(format!("{TEXTS}.{number}")) {
            file::remove(&folder)?;
        }
    }
    Ok(texts)
}

/// Folders of indexes of texts. There is one, but for the moment in which one takes the place of another.
fn text_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let ours = |path: &PathBuf| {
        let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        name.strip_prefix(TEXTS)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|rest| rest.parse::<u32>().is_ok())
    };
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut folders: Vec<_> = entries.into_iter().map(|entry| entry.path()).filter(ours).collect();
    folders.sort();
    Ok(folders)
}

/// Opens the index of texts. One that is damaged, or of which there are two, is made anew with nothing in it.
pub fn open_texts(folder: &Path) -> Result<Texts, Error> {
    let folders = text_folders(folder)?;
    if let [only] = folders.as_slice() {
        match Texts::open(only) {
            Err(TextError::Damaged(why) | TextError::Broken(why)) => {
                tracing::warn!(folder = %only.display(), why, "the index of texts is damaged; it is made anew");
            }
            other => return Ok(other?),
        }
    }
    folders.iter().try_for_each(|folder| file::remove(folder))?;
    Ok(Texts::open(folder.join(format!("{TEXTS}.0")))?)
}
