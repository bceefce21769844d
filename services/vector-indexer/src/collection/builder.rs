//! The builder: a thread that merges segments and builds their graphs. It works beside everything else, and what it
//! made is swapped in at once: a merged segment comes with its graph, so that no search is slower for a merge.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Error,
    hub::lock,
    ledger::{GONE, Input, Moves},
    plan::{self, Bounds, Size},
    shared::Shared,
    state::Place,
};
use crate::{
    graph::Graph,
    segment::{Part, Segment, manifest::Entry},
};

/// How long until a failure is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Runs until the collection is closed.
pub fn run(shared: &Shared) {
    loop {
        let board =
            shared.hub.wait(Duration::from_secs(3600), |board| board.stop || board.build || !board.idle);
        let quiet_in = shared.config.quiet.saturating_sub(board.last_write.elapsed());
        let stop = board.stop;
        drop(board);
        if stop {
            return;
        }
        shared.hub.change(|board| board.build = false);
        let quiet = quiet_in.is_zero();
        let step = catch_unwind(AssertUnwindSafe(|| step(shared, quiet)));
        match step {
            Ok(Ok(true)) => shared.hub.change(|board| board.build = true),
            // Nothing for now; when nothing is written for a while there may be.
            Ok(Ok(false)) if !quiet => drop(shared.hub.wait(quiet_in, |board| board.stop || board.build)),
            Ok(Ok(false)) => shared.hub.change(|board| board.idle = !board.build),
            Ok(Err(Error::Closed)) => return,
            failed => {
                let why = match failed {
                    Ok(Err(why)) => why.to_string(),
                    _ => "the builder panicked".to_owned(),
                };
                tracing::warn!(folder = %shared.folder.display(), why, "segments cannot be merged; trying again");
                drop(shared.hub.wait(AGAIN, |board| board.stop));
            }
        }
    }
}

/// Does one thing, if there is one to do.
fn step(shared: &Shared, quiet: bool) -> Result<bool, Error> {
    let bounds = Bounds { most_rows: shared.config.most_rows, graph_rows: shared.config.graph_rows };
    let (inputs, sizes) = durable(shared);
    if let Some(chosen) = plan::merge(&sizes, &bounds, quiet) {
        let chosen =
            inputs.iter().enumerate().filter(|(at, _)| chosen.contains(at)).map(|(_, place)| place.clone());
        merge(shared, &chosen.collect::<Vec<_>>())?;
        return Ok(true);
    }
    let Some(place) = plan::graph(&sizes, &bounds, quiet).and_then(|at| inputs.get(at)) else {
        return Ok(false);
    };
    graph(shared, &place.segment)?;
    Ok(true)
}

/// The segments as they are on disk, with what is deleted of them there.
fn durable(shared: &Shared) -> (Vec<Place>, Vec<Size>) {
    let ledger = lock(&shared.ledger);
    let state = shared.read();
    let mut places = Vec::new();
    let mut sizes = Vec::new();
    for entry in &ledger.durable.entries {
        if let Some(place) = state.places.iter().find(|place| place.segment.number == entry.number) {
            let deleted = entry.deleted.len() as u32;
            sizes.push(Size { rows: entry.rows, deleted, graph: place.segment.graph.is_some() });
            places.push(Place { segment: Arc::clone(&place.segment), deleted: Arc::clone(&entry.deleted) });
        }
    }
    (places, sizes)
}

fn build(shared: &Shared, part: &Part) -> Result<Graph, Error> {
    let config = &shared.config;
    Graph::build(&part.rows, &config.graph, config.threads, &shared.stop).ok_or(Error::Closed)
}

fn graph(shared: &Shared, segment: &Segment) -> Result<(), Error> {
    let graph = Arc::new(build(shared, &segment.part)?);
    match Segment::save_graph(&shared.folder, segment.number, &graph) {
        // Its last row was deleted meanwhile, and it with them.
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        saved => saved?,
    }
    shared.write().replace(segment.number, |now| Segment { graph: Some(Arc::clone(&graph)), ..now.clone() });
    Ok(())
}

fn merge(shared: &Shared, places: &[Place]) -> Result<(), Error> {
    let number = lock(&shared.ledger).number();
    let (part, moves) = gather(shared, places, number)?;
    let from = |input: &Input| places.iter().find(|place| place.segment.number == input.number);
    let output = if part.rows.is_empty() {
        None
    } else {
        let large = part.rows.len() >= shared.config.graph_rows.max(1);
        let graph = if large { Some(Arc::new(build(shared, &part)?)) } else { None };
        let mut order: Vec<(u32, &Segment, u32)> = Vec::with_capacity(part.uids.len());
        for (input, place) in moves.inputs.iter().filter_map(|input| Some((input, from(input)?))) {
            let rows = input.rows.iter().zip(0_u32..).filter(|(new, _)| **new != GONE);
            order.extend(rows.map(|(new, old)| (*new, &*place.segment, old)));
        }
        order.sort_unstable_by_key(|(new, ..)| *new);
        let records = order.iter().map(|(_, segment, old)| segment.stored.get(*old));
        let stored = Segment::save(&shared.folder, number, &part, graph.as_deref(), records)?;
        Some(Segment { number, part: Arc::new(part), stored: Arc::new(stored), graph })
    };
    swap(shared, &moves, output)
}

/// The living rows of segments, in the order of their versions.
fn gather(shared: &Shared, places: &[Place], number: u64) -> Result<(Part, Moves), Error> {
    let mut order: Vec<(u64, usize, u32)> = Vec::new();
    let mut inputs = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let rows =
            place.segment.part.uids.iter().zip(0_u32..).filter(|(_, row)| !place.deleted.contains(*row));
        order.extend(rows.map(|(uid, row)| (*uid, at, row)));
        let rows = vec![GONE; place.segment.rows() as usize];
        inputs.push(Input { number: place.segment.number, dropped: Arc::clone(&place.deleted), rows });
    }
    order.sort_unstable();
    let mut part = Part::like(&shared.like);
    for (new, (_, at, row)) in (0_u32..).zip(&order) {
        if new % 1024 == 0 && shared.stop.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        if let (Some(place), Some(input)) = (places.get(*at), inputs.get_mut(*at)) {
            part.push_from(&place.segment, *row)?;
            if let Some(to) = input.rows.get_mut(*row as usize) {
                *to = new;
            }
        }
    }
    let first = part.uids.first().map_or(0, |uid| uid >> 16);
    let output = Entry { number, rows: part.rows.len(), first, deleted: Arc::default() };
    Ok((part, Moves { inputs, output }))
}

/// Puts the new segment in the place of those that it was made of: in what is durable, in what is on its way there,
/// and in what searches see.
fn swap(shared: &Shared, moves: &Moves, output: Option<Segment>) -> Result<(), Error> {
    let mut ledger = lock(&shared.ledger);
    ledger.merged(moves);
    let mut state = shared.write();
    let deleted = moves.carried(|number| {
        let place = state.places.iter().find(|place| place.segment.number == number)?;
        Some(Arc::clone(&place.deleted))
    });
    state.places.retain(|place| !moves.takes(place.segment.number));
    if let (Some(segment), Some(deleted)) = (output, deleted) {
        state.places.push(Place { segment: Arc::new(segment), deleted: Arc::new(deleted) });
    }
    drop(state);
    ledger.write(&shared.folder)?;
    Ok(())
}
