//! pg_hba.conf in people's hands: where a file comes from, for which versions it is judged, and how
//! that reads. What it means is pgseal-conf's business.

pub(crate) mod diff;
pub(crate) mod disk;
pub(crate) mod doors;
pub(crate) mod enforcement;
pub(crate) mod excerpt;
pub(crate) mod fetch;
pub(crate) mod judged;
pub(crate) mod loaded;
pub(crate) mod loading;
pub(crate) mod mask;
pub(crate) mod rewrite;
pub(crate) mod roles;
pub(crate) mod snapshot;
pub(crate) mod source;
pub(crate) mod weakness;
