//! Keys, certificates and chains for PostgreSQL servers and their clients.
#![warn(missing_docs)]
