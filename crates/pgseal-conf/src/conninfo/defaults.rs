//! What libpq fills in where a connection string is silent: the environment, then its compiled-in values
//! (`conninfo_add_defaults`). Refuses to read the environment or a file itself: the caller hands over a look-up.

use super::keyword::Keyword;
use super::options::Conninfo;
use crate::PgVersion;

/// A look-up of environment variables; `None` where a variable is not set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Conninfo {
    /// The service that must be looked up before the other defaults: `service`, else `PGSERVICE`.
    pub fn service_name(&self, environment: Environment<'_>) -> Option<String> {
        self.get("service").map(str::to_owned).or_else(|| environment("PGSERVICE"))
    }

    /// Fills every parameter not yet set from its environment variable, then from libpq's compiled-in value. A service
    /// is to be applied before ([`Conninfo::fill_from`]), as libpq does. `user` and `dbname` stay unset where nothing
    /// says them: libpq takes the operating system's user, and the user's name for the database.
    pub fn fill_defaults(&mut self, environment: Environment<'_>, version: PgVersion) {
        let mode_was_said = self.get("sslmode").is_some();
        let mut mode_from_environment = false;
        for keyword in Keyword::all() {
            let known = Keyword::find(keyword.name, version).is_some();
            if !known || self.get(keyword.name).is_some() {
                continue;
            }
            let mut value = keyword.environment.and_then(environment);
            if keyword.name == "sslmode" {
                value = value.or_else(|| requiressl(environment));
                mode_from_environment = value.is_some();
            }
            let value = value.or_else(|| keyword.default.map(str::to_owned));
            if let Some(value) = value {
                // A variable cannot hold NUL, so this cannot fail.
                let _ = self.set(keyword.name, &value);
            }
        }
        let system_roots = version >= PgVersion::V16 && self.get("sslrootcert") == Some("system");
        if system_roots && !mode_was_said && !mode_from_environment {
            let _ = self.set("sslmode", "verify-full");
        }
    }
}

/// `PGREQUIRESSL=1…` still means `sslmode=require` where nothing else says a mode; other values mean nothing.
fn requiressl(environment: Environment<'_>) -> Option<String> {
    environment("PGREQUIRESSL").filter(|value| value.starts_with('1')).map(|_| "require".to_owned())
}
