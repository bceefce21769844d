//! `vectors` on the command line.

use clap::{Args, Subcommand};

/// `vectors`.
#[derive(Debug, Subcommand)]
pub enum VectorsCommand {
    /// Every collection: how many points it has, and of which kind
    List,
    /// All that is known of a collection
    Describe(NameArgs),
    /// Remove a collection and all that is in it, its snapshots too
    Drop(NameArgs),
    /// Give a collection another name, or move that name to it from another collection
    Alias(AliasArgs),
    /// Take such a name away
    Unalias {
        /// The other name
        alias: String,
    },
    /// Put a copy of a collection into the object store
    Snapshot(NameArgs),
    /// The snapshots of a collection
    Snapshots(NameArgs),
    /// Make a collection what a snapshot of it was
    Restore(RestoreArgs),
    /// The workers that hold collections and answer searches
    Replicas,
}

/// A collection.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// The collection
    pub collection: String,
}

/// `vectors alias`.
#[derive(Debug, Args)]
pub struct AliasArgs {
    /// The other name
    pub alias: String,
    /// The collection
    pub collection: String,
}

/// `vectors restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The collection whose snapshot it is
    pub collection: String,
    /// Its name, as `vectors snapshots` shows it
    pub snapshot: String,
    /// A collection that it becomes, beside the one that it was taken of
    #[arg(long, value_name = "NAME")]
    pub into: Option<String>,
}
