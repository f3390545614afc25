//! The integration tests: one binary.
mod apps;
mod house;
