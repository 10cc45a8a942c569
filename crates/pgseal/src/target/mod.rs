//! What a TARGET word means: a folder made by `pgseal up`, or a connection string with everything
//! that libpq would read beside it.

mod connection;
pub(crate) mod environment;
mod folder;
mod libpq;
mod login;
mod own_certificate;
mod passfile;
mod service;
mod word;

pub(crate) use connection::connection_subject;
pub(crate) use folder::{folder_subject, led_to};
pub(crate) use libpq::{Client, Given, Said, host_and_port};
pub(crate) use login::{Asked, login, nobody_yet};
pub(crate) use own_certificate::certificate_at_home;
pub(crate) use service::own_services;
pub(crate) use word::{Target, shown};
