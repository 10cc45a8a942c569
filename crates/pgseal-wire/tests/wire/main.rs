//! pgseal-wire against real PostgreSQL servers, against psql, and against servers that mean harm.
//!
//! One binary, so that everything links once. A file is a scenario.
// A test that cannot be set up is to fail with all it knows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod certificates;
mod malice;
mod server;

mod as_psql_does;
mod direct_tls;
mod hostile_servers;
mod hostile_tls;
mod logins;
mod what_a_server_shows;
