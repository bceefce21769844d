//! A TOML file that a person writes, read so that every mistake in it is named with its line: providers, models'
//! manifests.

mod mistake;
mod section;
mod words;

pub use mistake::{Mistake, Notes};
pub use section::{Section, Value, kind};
pub use words::{hint, shown};
