//! Docker Compose: its client, a project's containers and volumes, what an image is made for, and the compose file
//! of a sealed server. Knows nothing of TLS and of what is proved.

pub(crate) mod archive;
pub(crate) mod client;
pub(crate) mod daemon;
pub(crate) mod edit;
pub(crate) mod facts;
pub(crate) mod file;
pub(crate) mod find;
pub(crate) mod image;
pub(crate) mod mend;
pub(crate) mod moved;
pub(crate) mod project;
pub(crate) mod reading;
pub(crate) mod scalar;
pub(crate) mod text;
pub(crate) mod words;
pub(crate) mod yaml;
