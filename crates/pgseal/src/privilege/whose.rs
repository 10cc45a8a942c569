//! In whose name root may read what a person named: as itself only where nobody else could have put it
//! there.
//!
//! A path is walked step by step, links and all, since whoever may write one folder on the way decides
//! where the rest of it leads.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// As many links as Linux follows (path_resolution(7)).
const MOST_LINKS: u32 = 40;

/// Who could have put there what a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Nobody but root.
    Roots,
    /// The user with this uid: whoever owns the file, or the link or folder that leads to it.
    Users(u32),
    /// More users than one: what they may write, as a reason.
    Anybodys(String),
}

/// Where a path leads, and in whose hands it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Led {
    /// Without links.
    pub(crate) path: PathBuf,
    pub(crate) whose: Whose,
    pub(crate) is_folder: bool,
}

/// Walks an absolute path as the kernel would.
pub(crate) fn follow(path: &Path) -> io::Result<Led> {
    let mut walk = Walk { at: PathBuf::from("/"), whose: Whose::Roots, led: false, is_folder: true };
    let mut ahead = steps(path);
    let mut links = 0;
    walk.note(&fs::symlink_metadata("/")?);
    while let Some(step) = ahead.pop() {
        if step == ".." {
            walk.at.pop();
            continue;
        }
        let next = walk.at.join(&step);
        let found = fs::symlink_metadata(&next)?;
        if !found.is_symlink() {
            walk.note(&found);
            walk.at = next;
        } else if next.starts_with("/proc") {
            // No link, but a door: its text leads nowhere (proc(5), /proc/self/fd).
            walk.note(&fs::metadata(&next)?);
            walk.at = next;
        } else {
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::LOOP.raw_os_error()));
            }
            walk.be_led(&found);
            let target = fs::read_link(&next)?;
            if target.is_absolute() {
                walk.at = PathBuf::from("/");
            }
            ahead.extend(steps(&target));
        }
    }
    Ok(Led { path: walk.at, whose: walk.whose, is_folder: walk.is_folder })
}

/// The steps of a path, the first one last.
fn steps(path: &Path) -> Vec<OsString> {
    let step = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().rev().filter_map(step).collect()
}

struct Walk {
    at: PathBuf,
    whose: Whose,
    /// Somebody's link was followed: whatever it leads to is their choice.
    led: bool,
    is_folder: bool,
}

impl Walk {
    fn note(&mut self, found: &Metadata) {
        self.is_folder = found.is_dir();
        if self.led {
            return;
        }
        if found.uid() != 0 {
            self.whose = Whose::Users(found.uid());
        } else if self.whose == Whose::Roots
            && found.mode() & 0o022 != 0
            // In a folder with the sticky bit (as /tmp) others cannot exchange what is root's.
            && !(found.is_dir() && found.mode() & 0o1000 != 0)
            && (found.is_dir() || found.is_file())
        {
            let mode = found.mode() & 0o7777;
            self.whose = Whose::Anybodys(format!("may be written by others than root (mode {mode:04o})"));
        }
    }

    fn be_led(&mut self, link: &Metadata) {
        if link.uid() != 0 && !self.led {
            self.whose = Whose::Users(link.uid());
            self.led = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::super::user::{effective_uid, running_as_root};
    use super::*;

    const ALICE: u32 = 4711;
    const BOB: u32 = 4712;

    /// `/tmp/X/alice` belongs to alice, `/tmp/X` to whoever runs the tests.
    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(place.path().join("own"), "x").unwrap();
        fs::create_dir(place.path().join("alice")).unwrap();
        fs::write(place.path().join("alice/file"), "x").unwrap();
        place
    }

    fn whose(path: &Path) -> Whose {
        follow(path).unwrap().whose
    }

    #[test]
    fn where_links_lead_is_where_the_kernel_goes() {
        let place = place();
        let at = |name: &str| place.path().join(name);
        symlink("alice/../own", at("one")).unwrap();
        symlink(at("one"), at("two")).unwrap();
        symlink("loop", at("loop")).unwrap();
        assert_eq!(follow(&at("two")).unwrap().path, fs::canonicalize(at("two")).unwrap());
        assert_eq!(follow(&at("alice")).map(|led| led.is_folder).ok(), Some(true));
        assert_eq!(
            follow(&at("loop")).unwrap_err().raw_os_error(),
            fs::metadata(at("loop")).unwrap_err().raw_os_error()
        );
        assert_eq!(follow(&at("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_another_user_could_have_put_there_is_theirs() {
        let place = place();
        let at = |name: &str| place.path().join(name);
        if !running_as_root() {
            // Nobody else can give files away.
            assert_eq!(whose(&at("alice/file")), Whose::Users(effective_uid()));
            return;
        }
        assert_eq!(whose(&at("own")), Whose::Roots);
        chown(at("alice"), Some(ALICE), None).unwrap();
        assert_eq!(whose(&at("alice/file")), Whose::Users(ALICE), "root's file in alice's folder");
        symlink(at("own"), at("alice/link")).unwrap();
        std::os::unix::fs::lchown(at("alice/link"), Some(ALICE), None).unwrap();
        assert_eq!(whose(&at("alice/link")), Whose::Users(ALICE), "alice's link to root's file");
        chown(at("own"), Some(BOB), None).unwrap();
        assert_eq!(whose(&at("own")), Whose::Users(BOB));
        assert_eq!(whose(&at("alice/link")), Whose::Users(ALICE), "alice's link to bob's file");
        symlink(at("own"), at("roots")).unwrap();
        assert_eq!(whose(&at("roots")), Whose::Users(BOB), "root's link to bob's file");
        chown(at("own"), Some(0), None).unwrap();
        fs::set_permissions(at("own"), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(whose(&at("own")), Whose::Anybodys(_)));
    }
}
