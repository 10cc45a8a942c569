//! The parameters that one connection string sets. Knows which are set and to what; refuses to know defaults, files
//! and the meaning of a value.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::error::ConninfoError;
use super::keyword::Keyword;
use super::render::{self, Secrets};
use super::{parse, uri};
use crate::PgVersion;

/// The parameters that a connection string sets, each at most once, in libpq's order.
///
/// Values are wiped from memory when dropped. `Display` and `Debug` show secrets as `****`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Conninfo {
    /// By place in [`Keyword::all`].
    values: BTreeMap<usize, Zeroizing<String>>,
}

impl Conninfo {
    /// No parameter set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `keyword=value …` or a URI as the newest measured libpq does ([`PgVersion::LATEST`]).
    pub fn parse(text: &str) -> Result<Self, ConninfoError> {
        Self::parse_as(text, PgVersion::LATEST)
    }

    /// Reads `keyword=value …` or a URI as the libpq of this version does (`PQconninfoParse`): only what is written is
    /// set, nothing is looked up, and nothing but the form is judged.
    pub fn parse_as(text: &str, version: PgVersion) -> Result<Self, ConninfoError> {
        if text.len() > parse::MAX_BYTES {
            return Err(ConninfoError::TooLong(text.len()));
        }
        if text.contains('\0') {
            return Err(ConninfoError::Nul);
        }
        match parse::uri_body(text) {
            Some(_) => uri::parse(text, version),
            None => parse::keyword_values(text, version),
        }
    }

    /// The value of a parameter, `None` when it is not set. An empty value is a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(&index_of(name)?).map(|value| value.as_str())
    }

    /// Sets a parameter that some version of libpq knows, over any earlier value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConninfoError> {
        if value.contains('\0') {
            return Err(ConninfoError::Nul);
        }
        let index = index_of(name).ok_or_else(|| ConninfoError::UnknownOption(name.to_owned()))?;
        self.values.insert(index, Zeroizing::new(value.to_owned()));
        Ok(())
    }

    /// Sets a parameter as a string of this libpq version would, `requiressl` included. `false`: no such parameter.
    pub(super) fn store(&mut self, name: &str, value: &str, version: PgVersion) -> bool {
        if name == "requiressl" {
            let mode = if value.starts_with('1') { "require" } else { "prefer" };
            return self.store("sslmode", mode, version);
        }
        if Keyword::find(name, version).is_none() {
            return false;
        }
        self.set(name, value).is_ok()
    }

    /// Unsets a parameter and says whether it was set.
    pub fn remove(&mut self, name: &str) -> bool {
        index_of(name).is_some_and(|index| self.values.remove(&index).is_some())
    }

    /// Every parameter set, in libpq's order. Values are as they are, secrets too.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Keyword, &str)> {
        self.values.iter().filter_map(|(index, value)| Some((Keyword::all().get(*index)?, value.as_str())))
    }

    /// Whether no parameter is set.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Takes every parameter of `other` that is not yet set here, as libpq takes a service's.
    pub fn fill_from(&mut self, other: &Self) {
        for (index, value) in &other.values {
            self.values.entry(*index).or_insert_with(|| value.clone());
        }
    }

    /// Takes every parameter of `other`, over what is set here.
    pub fn override_with(&mut self, other: &Self) {
        for (index, value) in &other.values {
            self.values.insert(*index, value.clone());
        }
    }

    /// As `keyword='value' …`, quoted where needed; [`Conninfo::parse`] reads it back.
    pub fn to_conninfo(&self, secrets: Secrets) -> Zeroizing<String> {
        render::conninfo(self, secrets)
    }

    /// As `postgresql://…`, percent-encoded where needed; [`Conninfo::parse`] reads it back, except that one port for
    /// many hosts is written at each of them.
    pub fn to_uri(&self, secrets: Secrets) -> Zeroizing<String> {
        render::uri(self, secrets)
    }
}

impl fmt::Display for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_conninfo(Secrets::Masked))
    }
}

impl fmt::Debug for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Conninfo").field(&self.to_conninfo(Secrets::Masked).as_str()).finish()
    }
}

fn index_of(name: &str) -> Option<usize> {
    Keyword::all().iter().position(|keyword| keyword.name == name)
}
