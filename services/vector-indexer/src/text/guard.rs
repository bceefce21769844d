//! Looks an index over before it is used: tantivy checks little when it opens one, and panics on what is torn.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tantivy::{Directory, Index, TantivyError};

use super::TextError;

/// Reads all files of the last commit and compares their checksums; none may be missing.
///
/// # Errors
/// [`TextError::Damaged`] says which file is torn or gone.
pub fn check(index: &Index) -> Result<(), TextError> {
    // tantivy's own check leaves out what its list of files does not name, and that list may be torn.
    for file in index.load_metas()?.list_segment_files() {
        let directory = index.directory();
        if !directory.exists(&file).map_err(TantivyError::from)? {
            // The list has files that a segment need not have. The others are missed too late, or only by a search.
            if file.extension().is_some_and(|kind| kind == "del" || kind == "temp") {
                continue;
            }
            return Err(TextError::Damaged(format!("{} is not there", file.display())));
        }
        if !directory.validate_checksum(&file).map_err(TantivyError::from)? {
            return Err(TextError::Damaged(format!("{} does not have its checksum", file.display())));
        }
    }
    Ok(())
}

/// Runs what reads files that nobody has looked over yet. A panic there is damage.
pub fn caught<T>(read: impl FnOnce() -> Result<T, TextError>) -> Result<T, TextError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(TextError::Damaged("its files contradict one another".to_owned())))
}

/// A commit's sequence as it is kept in the commit: with a checksum, for the file it is in has none.
pub fn sealed(sequence: u64) -> String {
    format!("{sequence} {:08x}", crc32fast::hash(&sequence.to_be_bytes()))
}

/// The sequence of a payload; an index that was never committed has none and is at 0.
pub fn unsealed(payload: Option<&str>) -> Result<u64, TextError> {
    let Some(payload) = payload else { return Ok(0) };
    let sequence = payload.split(' ').next().and_then(|digits| digits.parse().ok());
    sequence
        .filter(|sequence| sealed(*sequence) == payload)
        .ok_or_else(|| TextError::Damaged("the last commit does not say its sequence".to_owned()))
}
