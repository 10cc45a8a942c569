//! Scenarios: promises of pgseal, kept against real PostgreSQL servers.
//!
//! A file in this directory is one scenario, its name is the sentence that it proves, and it is a module of this one
//! test binary. How to write one: CONTRIBUTING.md. What a scenario stands on: `harness`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a scenario that cannot go on fails, and says why"
)]

mod harness;

mod a_program_that_never_ends_is_stopped_and_what_it_said_is_told;
mod a_server_of_every_version_starts_answers_and_is_gone;
mod every_licence_is_allowed_and_no_banned_crate_is_linked;
mod what_a_failed_scenario_leaves_running_is_stopped;
