//! What a PostgreSQL server says on the wire.
#![warn(missing_docs)]
