//! Clusters of Debian's postgresql-common: `15/main` lives under /etc/postgresql/15/main, and its
//! postgresql.conf says where the data is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use pgseal_conf::settings::{ConfFile, Statement};

use super::{Layout, Place};
use crate::delegate::Delegate;
use crate::failure::{Failure, Result};
use crate::privilege::files::{self, Kind};
use crate::privilege::user::{SystemUser, running_as_root};

/// A postgresql.conf is 30 kB as shipped.
const LIMIT: u64 = 8 << 20;

/// Where Debian keeps configuration; pg_createcluster reads the same variable.
fn root() -> PathBuf {
    std::env::var_os("PG_CLUSTER_CONF_ROOT")
        .filter(|_| !running_as_root())
        .map_or_else(|| PathBuf::from("/etc/postgresql"), PathBuf::from)
}

/// A cluster's configuration folder.
pub(super) fn configuration(version: &str, name: &str) -> PathBuf {
    root().join(version).join(name)
}

/// The configuration folder that `15/main` names, if the word has that form and there is one.
pub(crate) fn folder_of(word: &str) -> Option<(String, String, PathBuf)> {
    let (version, name) = word.split_once('/')?;
    let plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
            && !part.starts_with('.')
    };
    let digits = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (plain(version) && plain(name) && digits)
        .then(|| (version.to_owned(), name.to_owned(), configuration(version, name)))
}

impl Place {
    /// Another cluster whose postgresql.conf names something in a folder, as one that was made from this one by
    /// pg_upgradecluster does.
    pub(crate) async fn other_cluster_that_names(&mut self, folder: &Path) -> Result<Option<String>> {
        let Layout::Cluster { version, name } = &self.layout else { return Ok(None) };
        let own = format!("{version}/{name}");
        let wanted = format!("{}/", folder.display()).into_bytes();
        for version in self.names_in(&root()).await? {
            let of_version = root().join(OsStr::from_bytes(&version));
            for name in self.names_in(&of_version).await.unwrap_or_default() {
                let path = of_version.join(OsStr::from_bytes(&name)).join("postgresql.conf");
                // What this user may not read is no cluster of theirs.
                let Ok(bytes) = self.hands.read(&path, LIMIT).await else { continue };
                let word = [version.as_slice(), name.as_slice()].map(String::from_utf8_lossy).join("/");
                if word != own && names(&bytes, &wanted) {
                    return Ok(Some(word));
                }
            }
        }
        Ok(None)
    }
}

fn names(conf: &[u8], wanted: &[u8]) -> bool {
    let lines = conf.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii_start().starts_with(b"#"));
    lines.into_iter().any(|line| memchr::memmem::find(line, wanted).is_some())
}

/// The data directory that the cluster's postgresql.conf names, and whose that file is.
pub(super) async fn data_directory(folder: &Path) -> Result<(PathBuf, u32)> {
    let path = folder.join("postgresql.conf");
    let found = files::status(&path).map_err(|error| Failure::io("look at", &path, &error))?;
    let found = found.filter(|found| found.kind == Kind::File);
    let found = found.ok_or_else(|| Failure::new(format!("{} is no regular file", path.display())))?;
    // As the owner: whoever owns it could have put anything there.
    let owner = if running_as_root() { SystemUser::with_uid(found.uid)? } else { SystemUser::current()? };
    let mut delegate = Delegate::start(&owner).await?;
    let bytes = delegate.read(&path, LIMIT).await?.to_vec();
    let file = ConfFile::read(bytes).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    let named = file.lines().iter().rev().find_map(|line| match &line.statement {
        Statement::Setting { name, value, .. } if name.as_bytes().eq_ignore_ascii_case(b"data_directory") => {
            Some(PathBuf::from(OsStr::from_bytes(value.as_bytes())))
        }
        _ => None,
    });
    let named = named.filter(|path| path.is_absolute()).ok_or_else(|| {
        Failure::new(format!("{} names no data_directory", path.display()))
            .hint("the data directory itself as TARGET")
    })?;
    Ok((named, found.uid))
}
