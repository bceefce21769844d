//! What a collection's log holds: batches of operations, one message each, as protobuf written by derive.
//!
//! Whoever reads the log cannot ask back. So the bounds hold for encoding and decoding alike, and a batch that is
//! past them never gets into the log. The tags are for ever: a log outlives the program that wrote it.

use prost::Message;

/// Most operations in one batch: a version's number has 16 bits for the place in its batch.
pub const MOST_OPS: usize = 65_536;
/// Most bytes of one encoded batch: what the server takes as one message.
pub const MOST_BYTES: usize = 8 << 20;
/// Most bytes of an id.
pub const MOST_ID: usize = 256;
/// Most numbers of a vector.
pub const MOST_DIMENSION: usize = 16_384;
/// Most bytes of a point's text.
pub const MOST_TEXT: usize = 1 << 20;
/// Most bytes of a point's metadata, and of a filter, as JSON.
pub const MOST_METADATA: usize = 64 << 10;

/// One message of the log. Its operations are applied in their order, all or none.
#[derive(Clone, PartialEq, Message)]
pub struct Batch {
    /// At least one, at most [`MOST_OPS`].
    #[prost(message, repeated, tag = "1")]
    pub ops: Vec<Op>,
}

/// One operation. The wrapper is protobuf's: a field of alternatives lies in a message.
#[derive(Clone, PartialEq, Message)]
pub struct Op {
    /// `None` is what a program reads that is older than the operation; [`Batch::decode`] refuses it.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4")]
    pub kind: Option<Kind>,
}

/// What an operation does.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    /// A point is there with exactly this, whatever was there under its id.
    #[prost(message, tag = "1")]
    Upsert(Upsert),
    /// Points with these ids are gone; ids of nobody are no error.
    #[prost(message, tag = "2")]
    Delete(Delete),
    /// Points that match are gone.
    #[prost(message, tag = "3")]
    DeleteWhere(DeleteWhere),
    /// All points are gone.
    #[prost(message, tag = "4")]
    Clear(Clear),
}

/// A point.
#[derive(Clone, PartialEq, Message)]
pub struct Upsert {
    /// 1 to [`MOST_ID`] bytes.
    #[prost(string, tag = "1")]
    pub id: String,
    /// As the user gave it; the collection brings it into its metric's form.
    #[prost(float, repeated, tag = "2")]
    pub vector: Vec<f32>,
    /// What full text search finds.
    #[prost(string, optional, tag = "3")]
    pub text: Option<String>,
    /// A JSON object, or nothing for an empty one.
    #[prost(string, tag = "4")]
    pub metadata: String,
}

/// Points to delete, by id.
#[derive(Clone, PartialEq, Message)]
pub struct Delete {
    /// Each 1 to [`MOST_ID`] bytes.
    #[prost(string, repeated, tag = "1")]
    pub ids: Vec<String>,
}

/// Points to delete, by what their metadata say.
#[derive(Clone, PartialEq, Message)]
pub struct DeleteWhere {
    /// A filter as JSON, see `filter::Predicate`.
    #[prost(string, tag = "1")]
    pub filter: String,
}

/// Everything is to be deleted.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Clear {}

/// Why a batch is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Wrong {
    /// Not protobuf, or not of this shape.
    #[error("the batch cannot be read: {0}")]
    Unreadable(String),
    /// Something is outside of its bounds.
    #[error("op {op}: {what} has {is}, from {least} to {most} are taken")]
    Bounds {
        /// Which operation of the batch.
        op: usize,
        /// What of it.
        what: &'static str,
        /// How many there are.
        is: usize,
        /// Fewest.
        least: usize,
        /// Most.
        most: usize,
    },
    /// An operation that this version does not know.
    #[error("op {0} is of a kind that this version does not know")]
    Unknown(usize),
}

impl Batch {
    /// As bytes for the log.
    ///
    /// # Errors
    /// When something is outside of its bounds.
    pub fn encode(&self) -> Result<Vec<u8>, Wrong> {
        self.check()?;
        let bytes = self.encode_to_vec();
        within(0, "the message", bytes.len(), 1, MOST_BYTES)?;
        Ok(bytes)
    }

    /// From bytes of the log.
    ///
    /// # Errors
    /// When they are no batch, or one outside of its bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, Wrong> {
        within(0, "the message", bytes.len(), 1, MOST_BYTES)?;
        let batch = <Self as Message>::decode(bytes).map_err(|why| Wrong::Unreadable(why.to_string()))?;
        batch.check()?;
        Ok(batch)
    }

    /// Holds every operation against its bounds.
    ///
    /// # Errors
    /// The first that is outside.
    pub fn check(&self) -> Result<(), Wrong> {
        within(0, "the batch", self.ops.len(), 1, MOST_OPS)?;
        self.ops.iter().enumerate().try_for_each(|(at, op)| match &op.kind {
            Some(Kind::Upsert(point)) => point.check(at),
            Some(Kind::Delete(delete)) => {
                within(at, "the list of ids", delete.ids.len(), 1, MOST_OPS)?;
                delete.ids.iter().try_for_each(|id| within(at, "the id", id.len(), 1, MOST_ID))
            }
            Some(Kind::DeleteWhere(delete)) => {
                within(at, "the filter", delete.filter.len(), 2, MOST_METADATA)
            }
            Some(Kind::Clear(_)) => Ok(()),
            None => Err(Wrong::Unknown(at)),
        })
    }
}

impl Upsert {
    fn check(&self, at: usize) -> Result<(), Wrong> {
        within(at, "the id", self.id.len(), 1, MOST_ID)?;
        within(at, "the vector", self.vector.len(), 1, MOST_DIMENSION)?;
        within(at, "the text", self.text.as_ref().map_or(0, String::len), 0, MOST_TEXT)?;
        within(at, "the metadata", self.metadata.len(), 0, MOST_METADATA)
    }
}

fn within(op: usize, what: &'static str, is: usize, least: usize, most: usize) -> Result<(), Wrong> {
    if (least..=most).contains(&is) { Ok(()) } else { Err(Wrong::Bounds { op, what, is, least, most }) }
}

impl From<Kind> for Op {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

impl FromIterator<Kind> for Batch {
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        Self { ops: kinds.into_iter().map(Op::from).collect() }
    }
}

/// The number of a point's version: ascending in the order of the log, and never given twice.
#[must_use]
pub fn uid(sequence: u64, place: usize) -> u64 {
    sequence << 16 | place as u64 & 0xffff
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Batch {
        [
            Kind::Upsert(Upsert {
                id: "a".into(),
                vector: vec![1.0, -0.5],
                text: Some("Grüße".into()),
                metadata: r#"{"lang":"de"}"#.into(),
            }),
            Kind::Delete(Delete { ids: vec!["b".into(), "c".into()] }),
            Kind::DeleteWhere(DeleteWhere { filter: r#"{"year":{"$lt":2000}}"#.into() }),
            Kind::Clear(Clear {}),
        ]
        .into_iter()
        .collect()
    }

    /// The bytes of a log that was written once must be readable for ever.
    #[test]
    fn golden() {
        let golden = "0a270a250a016112080000803f000000bf1a074772c3bcc39f65220d7b226c616e67223a226465227d\
                      0a0812060a01620a0163\
                      0a191a170a157b2279656172223a7b22246c74223a323030307d7d\
                      0a022200";
        let bytes = sample().encode().unwrap();
        assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), golden);
        assert_eq!(Batch::decode(&bytes).unwrap(), sample());
    }

    #[test]
    fn bounds() {
        let refused = |kind: Kind| Batch::from_iter([kind]).encode().unwrap_err().to_string();
        let point =
            |id: &str, numbers| Upsert { id: id.into(), vector: vec![0.0; numbers], ..Upsert::default() };
        assert_eq!(refused(Kind::Upsert(point("", 1))), "op 0: the id has 0, from 1 to 256 are taken");
        assert_eq!(refused(Kind::Upsert(point("a", 0))), "op 0: the vector has 0, from 1 to 16384 are taken");
        assert!(refused(Kind::Upsert(point(&"x".repeat(257), 1))).contains("257"));
        assert!(refused(Kind::Delete(Delete { ids: vec![] })).contains("list of ids"));
        assert_eq!(
            Batch::default().encode().unwrap_err().to_string(),
            "op 0: the batch has 0, from 1 to 65536 are taken"
        );
        assert_eq!(Batch::decode(&[0x0a, 0x00]).unwrap_err(), Wrong::Unknown(0));
    }

    proptest! {
        #[test]
        fn bytes_of_anybody_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(batch) = Batch::decode(&bytes) {
                prop_assert_eq!(Batch::decode(&batch.encode().unwrap()).unwrap(), batch);
            }
        }

        #[test]
        fn a_cut_batch_is_no_other(cut in 1_usize..87) {
            let bytes = sample().encode().unwrap();
            if let Ok(batch) = Batch::decode(&bytes[..cut.min(bytes.len() - 1)]) {
                prop_assert!(batch.ops.len() < sample().ops.len());
            }
        }
    }
}
