//! Encoders of the BERT family: vectors of texts, classes of texts and tokens, and how well a passage answers a question.

pub mod attention;
pub mod handle;
pub mod head;
pub mod load;
pub mod net;
pub mod rows;
pub mod score;
pub mod shape;
pub mod warm;

pub use handle::{Handle, Read, Truncation};
