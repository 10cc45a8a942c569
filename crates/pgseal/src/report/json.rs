//! JSON on stdout: one object, two spaces, a newline.

use serde::Serialize;

use crate::failure::{Failure, Result};

/// The version of all JSON that pgseal prints. It only grows; a field never changes its meaning.
pub(crate) const SCHEMA_VERSION: u32 = 1;

pub(crate) fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(format!("could not write the result as JSON: {error}")))
}
