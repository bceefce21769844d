//! The ml service's process.

fn main() {}
