//! A folder that only root can look into, and whatever becomes of it. Knows when somebody opens it, not who.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

use super::account::Account;
use super::picture::{Kept, picture};
use super::process::Ran;
use super::sandbox::Sandbox;

/// What would be seen if anything of it were shown.
const SECRET: &str = "canary-4471";

/// The folder. Its files would do as configuration, as rules, as lists of names, as certificates and as keys.
pub(crate) struct Canary {
    dir: PathBuf,
    before: BTreeMap<PathBuf, Kept>,
    watch: OwnedFd,
}

impl Canary {
    #[track_caller]
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let root = Account::current();
        assert!(
            root.is_root(),
            "only root has files that nobody else may read: run this scenario as root, as in a container"
        );
        let dir = sandbox.dir_of(&root, "canary");
        sandbox.dir_of(&root, "canary/data");
        let rules = format!("# {SECRET}\nhost {SECRET} {SECRET} all trust\n");
        for (name, content) in [
            ("pg_hba.conf", rules.as_str()),
            (
                "postgresql.conf",
                &format!("# {SECRET}\ncluster_name = '{SECRET}'\nssl_ciphers = '{SECRET}'\n"),
            ),
            ("names", &format!("{SECRET}\n")),
            ("server-with-key.pem", &format!("{SECRET}\n-----BEGIN PRIVATE KEY-----\n{SECRET}\n")),
            ("postmaster.pid", &format!("4471\n/{SECRET}\n")),
            ("data/PG_VERSION", "15\n"),
            ("data/postgresql.conf", &format!("cluster_name = '{SECRET}'\n")),
            ("data/pg_hba.conf", &rules),
        ] {
            sandbox.file_of(&root, &format!("canary/{name}"), 0o600, content);
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("its mode can be changed");
        let before = kept(&dir);
        let watch = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).expect("inotify is there");
        for watched in [dir.clone(), dir.join("data")] {
            add_watch(&watch, watched, WatchFlags::ALL_EVENTS).expect("root can watch its own folder");
        }
        let canary = Self { dir, before, watch };
        assert!(!canary.was_opened(), "nobody knows of it yet");
        fs::read(canary.at("names")).expect("root can read it");
        assert!(canary.was_opened(), "what is read is seen");
        canary
    }

    /// A path in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Whether anything in it was opened, changed or given away since the last time.
    fn was_opened(&self) -> bool {
        let mut events = [0; 4096];
        let mut any = false;
        while rustix::io::read(&self.watch, &mut events).is_ok_and(|length| length > 0) {
            any = true;
        }
        any
    }

    /// Fails if any of it was opened, changed, given away or shown.
    #[track_caller]
    pub(crate) fn is_untouched(&self, ran: &Ran) {
        assert!(!self.was_opened(), "something of the canary was opened:\n{ran}");
        assert_eq!(kept(&self.dir), self.before, "{ran}");
        assert!(!ran.stdout().contains(SECRET) && !ran.stderr().contains(SECRET), "it was shown:\n{ran}");
        assert!(!ran.stderr().contains("panicked"), "{ran}");
        // Looking was seen, too.
        self.was_opened();
    }

    /// Fails if any file below `dir` holds anything of it: journals, say.
    #[track_caller]
    pub(crate) fn is_not_in(dir: &Path) {
        if !dir.exists() {
            return;
        }
        for (path, found) in picture(dir, |_| true) {
            let holds = found.content().is_some_and(|text| String::from_utf8_lossy(text).contains(SECRET));
            assert!(!holds, "{} in {} holds it", path.display(), dir.display());
        }
    }
}

fn kept(dir: &Path) -> BTreeMap<PathBuf, Kept> {
    picture(dir, |_| true).into_iter().map(|(path, found)| (path, found.kept())).collect()
}
