//! Root asks `pgseal hba` about a file in another user's folder. That user can put a link to anything there, and include
//! anything: what only root may read is not read for that, not shown, not changed and not given away.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use crate::harness::{Account, Pgseal, Pictured, Ran, Sandbox, picture, record};

/// Would show in an excerpt or a diff if it were read: no line of it is a rule.
const SECRET: &str = "canary-4471";
const RULES: &str = "local all all peer\nhost all all 10.0.0.0/8 scram-sha-256\n";

/// A folder of another user's, and one with files that only root can read.
struct Place {
    sandbox: Sandbox,
    other: Account,
    folder: PathBuf,
    canary: PathBuf,
    before: BTreeMap<PathBuf, Pictured>,
}

impl Place {
    #[track_caller]
    fn new() -> Self {
        let root = Account::current();
        assert!(
            root.is_root(),
            "only root has files that nobody else may read: run this scenario as root, as in a container"
        );
        let (sandbox, other) = (Sandbox::new(), Account::ordinary());
        let folder = sandbox.dir_of(&other, "theirs");
        let canary = sandbox.dir_of(&root, "canary");
        for name in ["canary/file", "canary/rules.conf"] {
            sandbox.file_of(&root, name, 0o600, &format!("{SECRET} {SECRET}\n"));
        }
        sandbox.file_of(&root, "canary/good.conf", 0o600, &format!("host {SECRET} all all trust\n"));
        fs::set_permissions(&canary, fs::Permissions::from_mode(0o700)).unwrap();
        let before = picture(&canary, |_| true);
        Self { sandbox, other, folder, canary, before }
    }

    /// A file of theirs.
    fn theirs(&self, name: &str, content: &str) -> PathBuf {
        self.sandbox.file_of(&self.other, &format!("theirs/{name}"), 0o600, content)
    }

    /// A link of theirs.
    fn link(&self, name: &str, to: &Path) -> PathBuf {
        let link = self.folder.join(name);
        symlink(to, &link).unwrap();
        lchown(&link, Some(self.other.uid()), None).unwrap();
        link
    }

    /// By root, as if nothing were to fear.
    fn hba(&self, args: &[&str]) -> Ran {
        Pgseal::new(&self.sandbox).arg("hba").args(args).run()
    }

    /// Every verb on the file.
    fn every_verb(&self, file: &Path) -> Vec<Ran> {
        let file = file.to_str().unwrap();
        let good = self.theirs("good", RULES);
        let good = good.to_str().unwrap();
        [
            &["check", file][..],
            &["check", file, "--format", "json"],
            &["prove", file],
            &["explain", file, "-U", "a", "--addr", "10.0.0.1"],
            &["diff", file, good],
            &["diff", good, file],
            &["enforce", file],
            &["enforce", file, "--diff"],
            &["enforce", file, "--undo"],
            &["enforce", file, "-i"],
            &["enforce", file, "-i", "--undo"],
        ]
        .iter()
        .map(|args| self.hba(args))
        .collect()
    }

    #[track_caller]
    fn is_untouched(&self, runs: Vec<Ran>) {
        for ran in runs {
            let ran = ran.never_mentions("4471");
            assert_eq!(picture(&self.canary, |_| true), self.before, "{ran}");
            record("what only root may read is not read for rules of another user", 1);
        }
    }
}

#[test]
fn links_lead_root_nowhere() {
    for target in ["file", "good.conf"] {
        let place = Place::new();
        let file = place.link("pg_hba.conf", &place.canary.join(target));
        let runs = place.every_verb(&file);
        assert!(runs.iter().all(|ran| ran.code() == Some(3)), "{}", runs[0]);
        place.is_untouched(runs);
        // A link in the middle of the path, and one of root's that leads to theirs.
        let place = Place::new();
        place.link("dir", &place.canary);
        let runs = place.every_verb(&place.folder.join("dir").join(target));
        assert!(runs.iter().all(|ran| ran.code() == Some(3)), "{}", runs[0]);
        place.is_untouched(runs);
        let place = Place::new();
        place.link("pg_hba.conf", &place.canary.join(target));
        symlink(&place.folder, place.sandbox.join("of-root")).unwrap();
        place.is_untouched(place.every_verb(&place.sandbox.join("of-root/pg_hba.conf")));
    }
}

#[test]
fn includes_and_mentions_lead_root_nowhere() {
    let inclusions = [
        "include CANARY/file",
        "include_if_exists CANARY/file",
        "include_dir CANARY",
        "include CANARY/good.conf",
        "host @CANARY/file all all trust",
        "host all @CANARY/file all trust",
        "include link",
        "include_dir dir",
        "host all @link all trust",
    ];
    for inclusion in inclusions {
        let place = Place::new();
        place.link("link", &place.canary.join("file"));
        place.link("dir", &place.canary);
        let line = inclusion.replace("CANARY", place.canary.to_str().unwrap());
        let file = place.theirs("pg_hba.conf", &format!("{RULES}{line}\n"));
        place.is_untouched(place.every_verb(&file));
        // Root's own file that includes one of theirs, which includes root's.
        let own = place.sandbox.join("own.conf");
        fs::write(&own, format!("{RULES}include {}\n", file.display())).unwrap();
        place.is_untouched(place.every_verb(&own));
    }
}

#[test]
fn what_is_theirs_is_read_and_written_as_theirs() {
    let place = Place::new();
    let file = place.theirs("pg_hba.conf", "host all all 192.0.2.1/32 trust\ninclude more.conf\n");
    place.theirs("more-rules", "local all all peer\n");
    place.link("more.conf", &place.folder.join("more-rules"));
    let path = file.to_str().unwrap();
    // What their file says, from each of its files.
    place.hba(&["prove", path, "--pg-version", "16"]).ended(1).says("192.0.2.1");
    place.hba(&["explain", path, "-U", "a", "--pg-version", "16"]).succeeded().says("more.conf").says("peer");
    place.hba(&["enforce", path, "-i", "--pg-version", "16"]).succeeded();
    assert_eq!(Account::owner_of(&file), place.other, "it stays theirs");
    place.hba(&["prove", path, "--pg-version", "16"]).succeeded();
    // A file that is root's, wherever it lies, is not theirs to read; and a folder that anybody may write is nobody's.
    let own = place.sandbox.file_of(&Account::current(), "theirs/own.conf", 0o600, RULES);
    place.hba(&["check", own.to_str().unwrap()]).ended(3).complains("Permission denied");
    let open = place.sandbox.dir_of(&Account::current(), "open");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let own = place.sandbox.file_of(&Account::current(), "open/pg_hba.conf", 0o644, RULES);
    for args in [&["check"][..], &["enforce", "-i"]] {
        let ran = Pgseal::new(&place.sandbox).arg("hba").args(args).arg(&own).run().ended(3);
        ran.complains("may be written by others than root");
    }
    assert_eq!(fs::read_to_string(&own).unwrap(), RULES);
    place.is_untouched(Vec::new());
}

/// What is no regular file is refused, not waited for.
#[test]
fn pipes_and_devices_of_theirs_keep_nobody_waiting() {
    let place = Place::new();
    let fifo = place.folder.join("pg_hba.conf");
    let mut make = place.other.command("mkfifo", Path::new("/"));
    assert!(make.arg(&fifo).status().unwrap().success());
    for ran in place.every_verb(&fifo) {
        assert!(matches!(ran.code(), Some(2 | 3)), "{ran}");
    }
    let including = place.theirs("including", &format!("{RULES}include {}\n", fifo.display()));
    place.hba(&["prove", including.to_str().unwrap(), "--pg-version", "16"]).ended(3);
    let own = place.sandbox.join("own.conf");
    fs::write(&own, format!("{RULES}include {}\n", fifo.display())).unwrap();
    place.hba(&["prove", own.to_str().unwrap(), "--pg-version", "16"]).ended(3);
    // The person's own pipe is read.
    let script = "cat \"$4\" | \"$1\" \"$2\" \"$3\" /dev/stdin";
    let good = place.theirs("good", RULES);
    Pgseal::new(&place.sandbox)
        .args(["hba", "prove"])
        .arg(&good)
        .through(script)
        .run()
        .ended(1)
        .says("10.0.0.0");
}
