//! The allocator of every process that is built on this crate. Messages are many small pieces that one thread makes and
//! another drops; jemalloc spends a tenth less of a processor on that than the system's allocator (docs/benchmarks.md).
//!
//! With the feature `malloc-of-all` it is also that of libraries in C and C++: libtorch asks for aligned memory, and glibc up to
//! 2.37 does not find that again when it was freed, so that the process grows with every batch.

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
