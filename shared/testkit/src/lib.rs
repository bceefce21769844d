//! Real parts for tests: what a test needs to start, watch and wait for, without sleeping.

pub mod otlp;
