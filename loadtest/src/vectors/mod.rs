//! The vector indexer: its graph beside hnswlib in one process each, tasks through the whole platform, and a folder of
//! documents through all services.

mod corpus;
mod curve;
mod data;
mod ingest;
mod platform;
mod points;
mod search;
mod stage;
mod truth;

use serde::Serialize;

use self::ingest::Ingest;
use self::platform::Platform;
use self::search::Search;
use crate::args::{Args, What};
use crate::error::LoadError;
use crate::report::Bar;
use crate::stack::Programs;

/// Everything that was measured of the vector indexer.
#[derive(Debug, Default, Serialize)]
pub struct Vectors {
    /// In process.
    pub search: Option<Search>,
    /// Through the platform.
    pub platform: Option<Platform>,
    /// Documents.
    pub ingest: Option<Ingest>,
}

impl Vectors {
    /// The promises.
    pub fn bars(&self) -> Vec<Bar> {
        let search = self.search.iter().flat_map(Search::bars);
        let platform = self.platform.iter().flat_map(Platform::bars);
        search.chain(platform).chain(self.ingest.iter().flat_map(Ingest::bars)).collect()
    }
}

/// Measures what is wanted.
///
/// # Errors
/// Where a program or a package is missing, or a task fails.
pub async fn measure(programs: &Programs, args: &Args) -> Result<Vectors, LoadError> {
    let mut vectors = Vectors::default();
    if args.wants(What::VectorsSearch) {
        let search = search::measure(programs, args).await?;
        println!("{}", search.table());
        vectors.search = Some(search);
    }
    if args.wants(What::VectorsPlatform) {
        let platform = platform::measure(programs, args).await?;
        println!("{}", platform.table());
        vectors.platform = Some(platform);
    }
    if args.wants(What::VectorsIngest) {
        let ingest = ingest::measure(programs, args).await?;
        println!("{}", ingest.table());
        vectors.ingest = Some(ingest);
    }
    Ok(vectors)
}
