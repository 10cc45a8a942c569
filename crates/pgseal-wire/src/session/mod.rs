//! Getting in, and a session for SQL.
//!
//! Startup and authentication are done here, message by message, so that every refusal has its
//! name, every length its bound, and it is known whether the channel was bound. Only then does
//! tokio-postgres take over.

mod credentials;
mod established;
mod handover;
mod login;
mod login_error;
mod require_auth;
mod scram;

pub use credentials::{ChannelBinding, Credentials, InvalidChannelBinding};
pub use established::{LoginMethod, Session};
pub(crate) use login::{Demands, Manners, login, objection};
pub use login_error::{BindingProblem, LoginError};
pub use require_auth::{InvalidRequireAuth, RequireAuth};
