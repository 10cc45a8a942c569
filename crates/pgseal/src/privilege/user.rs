//! The operating system's users, as the name service knows them.

use std::ffi::CString;
use std::path::PathBuf;

use nix::unistd::{Gid, Uid, User, getgrouplist};

use crate::failure::{Failure, Result};

/// A user that exists on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SystemUser {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, the primary one among them.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: PathBuf,
}

pub(crate) fn effective_uid() -> u32 {
    Uid::effective().as_raw()
}

pub(crate) fn running_as_root() -> bool {
    effective_uid() == 0
}

impl SystemUser {
    /// The user who runs this program. One that the name service does not know (a bare uid in a
    /// container) is taken by number.
    pub(crate) fn current() -> Result<Self> {
        let uid = Uid::effective();
        match User::from_uid(uid) {
            Ok(Some(user)) => Self::from_entry(user),
            Ok(None) => Ok(Self {
                name: uid.to_string(),
                uid: uid.as_raw(),
                gid: Gid::effective().as_raw(),
                groups: vec![Gid::effective().as_raw()],
                home: PathBuf::from("/"),
            }),
            Err(error) => Err(Failure::new(format!("could not look up user {uid}: {}", error.desc()))),
        }
    }

    pub(crate) fn named(name: &str) -> Result<Option<Self>> {
        match User::from_name(name) {
            Ok(Some(user)) => Self::from_entry(user).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(Failure::new(format!("could not look up user {name}: {}", error.desc()))),
        }
    }

    /// The user with a uid, as far as the name service knows one.
    pub(crate) fn with_uid(uid: u32) -> Result<Self> {
        match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => Self::from_entry(user),
            Ok(None) => Err(Failure::new(format!("there is no user with uid {uid} on this machine"))),
            Err(error) => Err(Failure::new(format!("could not look up uid {uid}: {}", error.desc()))),
        }
    }

    /// The name behind a uid, or the number where there is none.
    pub(crate) fn name_of(uid: u32) -> String {
        match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => user.name,
            _ => format!("uid {uid}"),
        }
    }

    fn from_entry(user: User) -> Result<Self> {
        let name = CString::new(user.name.as_bytes())
            .map_err(|_| Failure::new("a user name of this machine holds a NUL byte"))?;
        let groups = getgrouplist(&name, user.gid).map_err(|error| {
            Failure::new(format!("could not look up the groups of user {}: {}", user.name, error.desc()))
        })?;
        Ok(Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
            home: user.dir,
            name: user.name,
        })
    }
}

/// Whose name a PostgreSQL server gets here. PostgreSQL refuses to run as root, so root drops to
/// `--run-as`, or to `postgres`; anyone else runs it as themselves.
pub(crate) fn server_user(run_as: Option<&str>) -> Result<SystemUser> {
    let me = SystemUser::current()?;
    if me.uid != 0 {
        return match run_as {
            Some(other) if other != me.name => {
                Err(Failure::usage(format!("--run-as {other} needs root, and you are {}", me.name))
                    .hint(format!("sudo pgseal up --run-as {other} …, or leave --run-as out")))
            }
            _ => Ok(me),
        };
    }
    let name = run_as.unwrap_or("postgres");
    match SystemUser::named(name)? {
        Some(user) if user.uid == 0 => {
            Err(Failure::usage(format!("--run-as {name} is root, and PostgreSQL refuses to run as root"))
                .hint("--run-as with an ordinary user"))
        }
        Some(user) => Ok(user),
        None => Err(Failure::new(format!(
            "there is no user {name} on this machine to run PostgreSQL as (it refuses to run as root)"
        ))
        .hint("useradd --system postgres, or --run-as USER, or run pgseal as an ordinary user")),
    }
}
