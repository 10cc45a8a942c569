//! What was issued, and where it lies: a plain file a certificate, in the state directory of whoever runs pgseal, or beside
//! the CA of a folder made by `pgseal up`. No key is in it, and nothing rests on it: a file that is lost is a line
//! less in a list.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use pgseal_pki::{Certificate, Fingerprint, read_bundle};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::authority::resolved;
use crate::failure::{Failure, Result};
use crate::folder::layout::Folder;
use crate::journal::state;
use crate::privilege::{files, trusted};
use crate::report::certificate::instant;
use crate::report::stderr::say;

const LIMIT: u64 = 1 << 20;
const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;
/// Its name in the state directory.
const NAME: &str = "inventory";
/// Its name in a CA's folder of `pgseal up`.
const BESIDE: &str = "issued";

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Purpose {
    Server,
    Client,
    Authority,
}

impl Purpose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Authority => "authority",
        }
    }
}

/// A certificate, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The version of this format.
    pub(crate) format: u32,
    pub(crate) purpose: Purpose,
    /// In PEM.
    pub(crate) certificate: String,
    /// The folder of the CA that issued it, where it was one of ours.
    pub(crate) authority: Option<PathBuf>,
    /// When it was written down, RFC 3339.
    pub(crate) since: String,
    pub(crate) places: Vec<Place>,
}

/// Where it was put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// A file that was written, or a server that it was installed on.
    pub(crate) kind: PlaceKind,
    /// The file's path, or the server's TARGET.
    pub(crate) name: String,
    /// RFC 3339.
    pub(crate) since: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlaceKind {
    File,
    Server,
}

impl Entry {
    pub(crate) fn new(
        purpose: Purpose,
        certificate: &Certificate,
        authority: Option<&Path>,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            format: 1,
            purpose,
            certificate: certificate.pem(),
            authority: authority.map(Path::to_owned),
            since: instant(now),
            places: Vec::new(),
        }
    }

    pub(crate) fn at(mut self, kind: PlaceKind, name: impl Into<String>, now: OffsetDateTime) -> Self {
        self.places.push(Place { kind, name: name.into(), since: instant(now) });
        self
    }

    pub(crate) fn read(&self) -> Option<Certificate> {
        read_bundle(self.certificate.as_bytes()).ok()?.certificates.into_iter().next()
    }
}

/// A folder of such files.
#[derive(Clone, Debug)]
pub(crate) struct Inventory {
    folder: PathBuf,
}

impl Inventory {
    /// Where a CA's certificates are listed: beside it in a folder of `pgseal up`, else at home.
    pub(crate) fn of(authority: Option<&Path>) -> Result<Self> {
        let Some(folder) = authority else { return Self::home() };
        let folder = resolved(folder)?;
        let of_up = folder.parent().map(|root| Folder::at(root.to_owned()));
        let is_of_up = of_up.as_ref().is_some_and(|up| {
            up.authority() == folder && files::status(&up.settings()).is_ok_and(|found| found.is_some())
        });
        if !is_of_up {
            return Self::home();
        }
        trusted::folder_for_root(&folder)?;
        let folder = folder.join(BESIDE);
        if files::status(&folder).map_err(|error| Failure::io("look at", &folder, &error))?.is_none() {
            files::make_folder(&folder, PRIVATE_FOLDER)
                .map_err(|error| Failure::io("make the folder", &folder, &error))?;
        }
        Ok(Self { folder })
    }

    /// The one in the state directory.
    pub(crate) fn home() -> Result<Self> {
        Ok(Self { folder: state::private_folder(NAME)? })
    }

    /// The same, where there is one.
    pub(crate) fn find_home() -> Result<Option<Self>> {
        Ok(state::find_private_folder(NAME)?.map(|folder| Self { folder }))
    }

    /// That of a folder made by `pgseal up`, where there is one.
    pub(crate) fn find_beside(authority: &Path) -> Result<Option<Self>> {
        let folder = resolved(authority)?.join(BESIDE);
        let found = files::status(&folder).map_err(|error| Failure::io("look at", &folder, &error))?;
        Ok(found.map(|_| Self { folder }))
    }

    /// Every entry that can be read, soonest end first.
    pub(crate) fn entries(&self) -> Result<Vec<(Entry, Certificate)>> {
        let names = files::names(&self.folder).map_err(|error| Failure::io("list", &self.folder, &error))?;
        let mut all = Vec::new();
        for (name, _) in names {
            let is_entry = |name: &String| Path::new(name).extension().is_some_and(|ending| ending == "json");
            let Some(name) = String::from_utf8(name).ok().filter(is_entry) else {
                continue;
            };
            let entry = load(&self.folder.join(&name))?;
            match entry.read() {
                Some(certificate) => all.push((entry, certificate)),
                None => say(&format!("pgseal: {} in {} holds no certificate", name, self.folder.display())),
            }
        }
        all.sort_by_key(|(_, certificate)| certificate.not_after());
        Ok(all)
    }

    /// One writer at a time. What one that was killed has left half-written goes.
    fn alone(&self) -> Result<File> {
        let failed = |error: std::io::Error| Failure::io("lock", &self.folder, &error);
        let held = File::open(&self.folder).map_err(failed)?;
        held.lock().map_err(failed)?;
        let names = files::names(&self.folder).map_err(|error| Failure::io("list", &self.folder, &error))?;
        for (name, _) in names {
            if name.starts_with(b".") && name.ends_with(b".pgseal-new") {
                let path = self.folder.join(std::ffi::OsStr::from_bytes(&name));
                fs::remove_file(&path).map_err(|error| Failure::io("remove", &path, &error))?;
            }
        }
        Ok(held)
    }

    /// Writes an entry, with the places of one that is there already.
    pub(crate) fn put(&self, mut entry: Entry) -> Result<()> {
        let Some(certificate) = entry.read() else {
            return Err(Failure::new("no certificate to write down"));
        };
        let _alone = self.alone()?;
        let path = self.path_of(certificate.fingerprint());
        if files::status(&path).is_ok_and(|found| found.is_some()) {
            let known = load(&path)?;
            let mut places = known.places;
            places.retain(|place| {
                !entry.places.iter().any(|new| (new.kind, &new.name) == (place.kind, &place.name))
            });
            places.append(&mut entry.places);
            entry = Entry { places, since: known.since, ..entry };
        }
        save(&path, &entry)
    }

    fn path_of(&self, fingerprint: Fingerprint) -> PathBuf {
        let name: String = fingerprint.to_string().chars().filter(|c| *c != ':').take(32).collect();
        self.folder.join(format!("{name}.json"))
    }
}

fn load(path: &Path) -> Result<Entry> {
    let bytes = files::read(path, LIMIT).map_err(|error| Failure::io("read", path, &error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))
}

fn save(path: &Path, entry: &Entry) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(entry)
        .map_err(|error| Failure::new(format!("could not write {}: {error}", path.display())))?;
    files::replace(path, PRIVATE, &bytes).map_err(|error| Failure::io("write", path, &error))
}

/// Writes down what was made. What cannot be written down was made all the same, and that is said.
pub(crate) fn note(authority: Option<&Path>, entry: Entry) {
    noted(Inventory::of(authority).and_then(|inventory| inventory.put(entry)));
}

fn noted(outcome: Result<()>) {
    if let Err(failure) = outcome {
        say(&format!("pgseal: it is not in the list of certificates: {}", failure.sentence()));
    }
}
