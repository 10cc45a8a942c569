//! DIR may be anything that a person types by mistake. What pgseal has not made, and what others could change under it,
//! is refused with a sentence and stays to the byte as it was.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::harness::{Account, Install, Pgseal, Ran, Sandbox, picture};

/// `pgseal VERB DIR` for every verb that takes a folder; `up` with a free port.
fn every_verb(sandbox: &Sandbox, account: &Account, dir: impl AsRef<OsStr>) -> Vec<(&'static str, Ran)> {
    ["up", "status", "verify", "down", "remove"]
        .into_iter()
        .map(|verb| (verb, one_verb(sandbox, account, verb, dir.as_ref())))
        .collect()
}

fn one_verb(sandbox: &Sandbox, account: &Account, verb: &str, dir: &OsStr) -> Ran {
    let pgseal = Pgseal::new(sandbox).by(account);
    match verb {
        "up" => pgseal.args(["up", "-p", "0"]).bindir(&Install::of(15)).arg(dir),
        "remove" => pgseal.args(["down", "--remove", "--yes"]).arg(dir),
        "verify" => {
            let mut target = OsStr::new("dir:").to_owned();
            target.push(dir);
            pgseal.arg("verify").arg(target)
        }
        verb => pgseal.arg(verb).arg(dir),
    }
    .run()
}

/// A directory of that account with a file of somebody's in it.
fn inhabited(sandbox: &Sandbox, account: &Account, name: &str, file: &str) -> PathBuf {
    let dir = sandbox.dir_of(account, name);
    sandbox.file_of(account, &format!("{name}/{file}"), 0o644, "precious\n");
    dir
}

#[track_caller]
fn unchanged<T>(root: &Path, what_happens: impl FnOnce() -> T) -> T {
    let before = picture(root, |path| !path.starts_with(".alive"));
    let outcome = what_happens();
    assert_eq!(before, picture(root, |path| !path.starts_with(".alive")), "nothing should have changed");
    outcome
}

#[test]
fn a_folder_with_something_else_in_it_is_refused_by_every_verb() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        // Also where the names are ours: a mark that says something else is somebody else's file.
        for (name, file) in [("diary", "notes.txt"), ("hidden", ".config"), ("marked", ".unfinished")] {
            let dir = inhabited(&sandbox, &account, name, file);
            for inner in ["data", "ca", "client", "log"] {
                sandbox.dir_of(&account, &format!("{name}/{inner}"));
                sandbox.file_of(&account, &format!("{name}/{inner}/precious"), 0o600, "precious\n");
            }
            unchanged(&dir, || {
                for (verb, ran) in every_verb(&sandbox, &account, &dir) {
                    let ran = ran.ended(3).complains("is not empty and was not made by pgseal");
                    assert!(!ran.stderr().contains("precious"), "{verb}: {ran}");
                }
            });
        }
    }
}

#[test]
fn a_mark_that_was_itself_cut_off_is_ours_and_begun_anew() {
    for content in ["", "pgseal up was cut"] {
        let sandbox = Sandbox::new();
        let account = Account::ordinary();
        let dir = sandbox.dir_of(&account, "cut");
        sandbox.file_of(&account, "cut/.unfinished", 0o644, content);
        one_verb(&sandbox, &account, "up", dir.as_os_str()).succeeded();
        assert!(!dir.join(".unfinished").exists());
    }
}

#[test]
fn a_link_a_file_and_a_device_are_no_folders() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let work = sandbox.dir_of(&account, "w");
        let target = sandbox.dir_of(&account, "w/target");
        let file = sandbox.file_of(&account, "w/file", 0o644, "precious\n");
        symlink(&target, work.join("link")).unwrap();
        symlink(work.join("nowhere"), work.join("dangling")).unwrap();
        unchanged(&work, || {
            for link in ["link", "dangling"] {
                for (_, ran) in every_verb(&sandbox, &account, work.join(link)) {
                    ran.ended(3).complains("is a symbolic link").complains("try: ");
                }
            }
            for no_folder in [file.as_path(), Path::new("/dev/null")] {
                for (_, ran) in every_verb(&sandbox, &account, no_folder) {
                    ran.ended(3).complains("is no folder");
                }
            }
        });
        // A link on the way is resolved, and what is shown is where the folder really lies.
        symlink(&work, sandbox.join(format!("way-{}", account.uid()))).unwrap();
        let through = sandbox.join(format!("way-{}/new", account.uid()));
        let ran = one_verb(&sandbox, &account, "up", through.as_os_str()).succeeded();
        assert!(ran.stdout().contains(work.join("new").to_str().unwrap()), "{ran}");
    }
}

#[test]
fn another_users_folder_is_refused_with_that_users_name() {
    let sandbox = Sandbox::new();
    let (we, others): (Account, Vec<Account>) = if Account::current().is_root() {
        (Account::current(), vec![Account::ordinary(), Account::server(), Account::numbered(54_321)])
    } else {
        // Somebody else's folders are there without root, too: the system's own.
        (Account::current(), vec![])
    };
    for other in others {
        let dir = sandbox.dir_of(&other, &format!("of-{}", other.uid()));
        unchanged(&dir, || {
            for (_, ran) in every_verb(&sandbox, &we, &dir) {
                ran.ended(3).complains("belongs to").complains(&other.name());
            }
        });
    }
    // And the other way round: an ordinary user in root's house.
    for (_, ran) in every_verb(&sandbox, &Account::ordinary(), "/usr") {
        ran.ended(3).complains("/usr belongs to root, not to you");
    }
}

#[test]
fn paths_that_no_line_can_hold_are_wrong_usage() {
    let account = Account::ordinary();
    let sandbox = Sandbox::new();
    let work = sandbox.dir_of(&account, "w");
    let not_utf8 = work.join(OsStr::from_bytes(b"caf\xe9"));
    let escape = "\u{1b}[2Jgone";
    unchanged(&work, || {
        for name in ["new\nline", "tab\tulator", "\u{7f}", escape] {
            for (_, ran) in every_verb(&sandbox, &account, work.join(name)) {
                let ran = ran.ended(2).complains("control characters");
                assert!(!ran.stderr().contains(['\u{1b}', '\u{7f}', '\t']), "{ran}");
                // A newline in a path begins no line of ours.
                assert!(
                    ran.stderr().lines().all(|line| line.starts_with("pgseal: ") || line.starts_with("  "))
                );
            }
        }
        for (_, ran) in every_verb(&sandbox, &account, &not_utf8) {
            ran.ended(2).complains("UTF-8");
        }
        for (_, ran) in every_verb(&sandbox, &account, "/") {
            ran.ended(2).complains("the root directory cannot be a pgseal folder");
        }
        for (_, ran) in every_verb(&sandbox, &account, work.join("no/such/parent")) {
            ran.ended(3).complains("mkdir -p");
        }
        for (_, ran) in every_verb(&sandbox, &account, work.join("x".repeat(300))) {
            ran.ended(3).complains("name too long");
        }
    });
}

#[test]
fn a_parent_that_cannot_be_written_is_said() {
    let account = Account::ordinary();
    let sandbox = Sandbox::new();
    let shut = sandbox.dir_of(&account, "shut");
    fs::set_permissions(&shut, Permissions::from_mode(0o555)).unwrap();
    one_verb(&sandbox, &account, "up", shut.join("new").as_os_str())
        .ended(3)
        .complains("could not make the folder")
        .complains("Permission denied");
    assert_eq!(fs::read_dir(&shut).unwrap().count(), 0);
}

#[test]
fn a_way_that_the_servers_user_cannot_go_is_refused_before_anything_is_written() {
    // As root the server is another user's; an ordinary user who shuts himself out is the same case.
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let outer = sandbox.dir_of(&account, "outer");
        let inner = sandbox.dir_of(&account, "outer/inner");
        let shut = if account.is_root() { 0o700 } else { 0o600 };
        fs::set_permissions(&outer, Permissions::from_mode(shut)).unwrap();
        let ran = one_verb(&sandbox, &account, "up", inner.join("new").as_os_str()).ended(3);
        if account.is_root() {
            let words =
                format!("user postgres, who runs the server, cannot pass through {}:", outer.display());
            let ran = ran.complains(&words).complains("nothing was written").complains("chmod o+x");
            assert!(!ran.stderr().contains("inner:"), "the folder that is shut is the one to name: {ran}");
        }
        fs::set_permissions(&outer, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 0);
    }
}

#[test]
fn root_makes_nothing_where_somebody_else_could_swap_it() {
    let (root, other) = (Account::current(), Account::ordinary());
    if !root.is_root() {
        // Without root nobody else's rights are lent: the same folder is used as it is.
        let sandbox = Sandbox::new();
        let open = sandbox.dir_of(&root, "open");
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        one_verb(&sandbox, &root, "up", open.join("new").as_os_str()).succeeded();
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.dir_of(&other, "theirs");
    sandbox.dir_of(&root, "theirs/deeper");
    let open = sandbox.dir_of(&root, "open");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let grouped = sandbox.dir_of(&root, "grouped");
    fs::set_permissions(&grouped, Permissions::from_mode(0o775)).unwrap();
    for (parent, reason) in [
        ("theirs", "belongs to"),
        ("theirs/deeper", "belongs to"),
        ("open", "mode 0777"),
        ("grouped", "mode 0775"),
    ] {
        let parent = sandbox.join(parent);
        let before = fs::read_dir(&parent).unwrap().count();
        let new = parent.join("new");
        one_verb(&sandbox, &root, "up", new.as_os_str()).ended(3).complains("as root").complains(reason);
        assert_eq!(fs::read_dir(&parent).unwrap().count(), before);
    }
}

/// `/tmp` itself is root's, and anybody may put a `pgseal.toml` there.
#[test]
fn root_uses_no_folder_that_anybody_may_put_files_into() {
    let sandbox = Sandbox::new();
    let (root, other) = (Account::current(), Account::ordinary());
    let dir = sandbox.dir_of(&root, "public");
    fs::set_permissions(&dir, Permissions::from_mode(0o1777)).unwrap();
    let canary = sandbox.dir_of(&other, "canary").join("ran");
    // What a hostile neighbour would put there: a program of his own, to be run.
    let bin = sandbox.dir_of(&other, "bin");
    for program in ["postgres", "initdb"] {
        let script = format!("#!/bin/sh\nid >>{}\n", canary.display());
        sandbox.file_of(&other, &format!("bin/{program}"), 0o755, &script);
    }
    sandbox.dir_of(&other, "public/data");
    let toml = format!(
        "format = 1\n[server]\nbindir = \"{}\"\nversion = \"15\"\nrun_as = \"{}\"\nport = 5999\nlisten = [\"127.0.0.1\"]\n\
         username = \"admin\"\ndbname = \"mydb\"\n[certificate]\nnames = [\"localhost\"]\nkey_type = \"ecdsa-p256\"\n\
         validity = \"365d\"\n",
        bin.display(),
        other.name()
    );
    sandbox.file_of(&other, "public/pgseal.toml", 0o644, &toml);
    if root.is_root() {
        unchanged(&dir, || {
            for (_, ran) in every_verb(&sandbox, &root, &dir) {
                ran.ended(3).complains("refused to use").complains("may be written by others than root");
            }
        });
        // Nor a file of theirs in a folder that was closed again.
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        unchanged(&dir, || {
            for (_, ran) in every_verb(&sandbox, &root, &dir) {
                ran.ended(3).complains("pgseal.toml belongs to");
            }
        });
    }
    assert!(!canary.exists(), "no program of theirs is run");
    assert_eq!(fs::metadata(dir.join("pgseal.toml")).unwrap().uid(), other.uid());
}

#[test]
fn an_empty_folder_is_taken_and_left_empty_when_it_is_removed_from() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let dir = sandbox.dir_of(&account, "empty");
        fs::set_permissions(&dir, Permissions::from_mode(0o711)).unwrap();
        one_verb(&sandbox, &account, "up", dir.as_os_str()).succeeded();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o7777, 0o711, "its mode is its owner's business");
        // A file that a person puts there afterwards is not deleted.
        let mine = sandbox.file_of(&account, "empty/mine.txt", 0o644, "precious\n");
        one_verb(&sandbox, &account, "remove", dir.as_os_str())
            .ended(3)
            .complains("everything that pgseal had made in it was deleted");
        assert_eq!(fs::read_to_string(mine).unwrap(), "precious\n");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }
}

#[test]
fn the_current_directory_and_dotted_ways_are_folders_like_others() {
    let account = Account::ordinary();
    let sandbox = Sandbox::new();
    let here = sandbox.dir_of(&account, "here");
    sandbox.dir_of(&account, "aside");
    let up = |dir: &str| {
        let pgseal = Pgseal::new(&sandbox).by(&account).current_dir(&here).arg("up").bindir(&Install::of(15));
        pgseal.args(["-p", "0", "--format", "json"]).args(["--", dir]).run()
    };
    assert_eq!(up(".").succeeded().json()["dir"], here.to_str().unwrap());
    let dashed = up("../aside/../aside/-rf/").succeeded().json();
    assert_eq!(dashed["dir"], sandbox.join("aside/-rf").to_str().unwrap());
    // A way that ends in `..` names a folder, too: here one that is not empty.
    up("../aside/-rf/..").ended(3).complains("aside is not empty and was not made by pgseal");
}
