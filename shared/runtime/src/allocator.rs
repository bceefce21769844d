//! The allocator of every process that is built on this crate. Messages are many small pieces that one thread makes and
//! another drops; jemalloc spends a tenth less of a processor on that than the system's allocator (docs/benchmarks.md).

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
