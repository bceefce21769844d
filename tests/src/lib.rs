//! The end-to-end tests of Tasklane: see `tests/e2e`. Cargo asks a package for a library; there is nothing in it.
