//! What a model is before anybody loads it: a folder with a manifest that names every file and its checksum; or an archive
//! of that folder in the object store `models`. The ml service reads them, the `tasklane` command moves them.

pub mod archive;
pub mod bucket;
pub mod error;
pub mod folder;
pub mod manifest;
pub mod name;

pub use error::StoreError;
pub use manifest::Manifest;
pub use name::ModelName;
