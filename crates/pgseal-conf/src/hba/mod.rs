//! `pg_hba.conf` as `hba.c` reads it, 12 to 19: the grammar of a record, every error and not the first alone, the files
//! it includes, which rule decides a connection, and what can be proved of all connections at once.
//!
//! Refuses to know whether a role exists, what a name resolves to and which interfaces a host has, unless told.

mod address;
pub mod compare;
mod connection;
mod decide;
mod diagnostic;
mod grammar;
mod ldap;
mod ldap_url;
mod lint;
mod load;
mod method;
mod option;
pub mod proof;
mod requirements;
mod rule;
mod server;
mod view;
mod world;

pub use address::AddressRange;
pub use connection::{Channel, ClientName, Connection, Purpose};
pub use decide::{Decision, Hinge, Outcome, Passed, decide};
pub use diagnostic::{Diagnostic, Problem, Severity};
pub use load::{Entry, Ruleset, SourceFile};
pub use method::Method;
pub use option::{ClientCertificate, OptionName, OptionValue, RuleOption};
pub use rule::{AddressMatch, ConnectionType, DatabaseMatch, RoleMatch, Rule};
pub use server::{Build, Server};
pub use view::ViewRow;
pub use world::{Roles, World};

#[cfg(test)]
mod tests;
