//! How results are shown: for people on a screen, for programs as JSON.

pub(crate) mod ask;
pub(crate) mod certificate;
pub(crate) mod escape;
pub(crate) mod fact;
pub(crate) mod json;
pub(crate) mod proof;
pub(crate) mod screen;
pub(crate) mod shell;
pub(crate) mod stderr;
