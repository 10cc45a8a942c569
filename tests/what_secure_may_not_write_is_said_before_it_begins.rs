//! Files of root's, folders that the server's user may not write, disks that are read-only: `secure` says so before the first
//! change, names who would have to do what, and leaves every byte, owner and mode as it was.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::harness::{
    Account, Living, Ran, among_mounts_of_its_own, make_read_only, make_writable, record, versions,
    versions_in_turn,
};

/// Its configuration lies in a folder of root's, as some put it under /etc: the files are `owner`'s.
fn configured_in_a_folder_of_roots(version: u32, owner: fn() -> Account) -> (Living, PathBuf) {
    assert!(
        Account::current().is_root(),
        "only root can make files of root's: run this scenario as root, as in a container"
    );
    let living = Living::set_up(version, |setup| {
        setup.before(move |data| {
            let etc = etc_of(data);
            fs::create_dir(&etc).unwrap();
            let move_out = |name: &str| {
                let path = etc.join(name);
                fs::rename(data.join(name), &path).unwrap();
                owner().own(&path);
                fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
                path
            };
            let hba = move_out("pg_hba.conf");
            let main = move_out("postgresql.conf");
            let conf = fs::read_to_string(&main).unwrap();
            fs::write(&main, format!("{conf}\nhba_file = '{}'\n", hba.display())).unwrap();
            // What the data directory holds is no more than where to go on.
            fs::write(data.join("postgresql.conf"), format!("include '{}'\n", main.display())).unwrap();
            Account::owner_of(data).own(&data.join("postgresql.conf"));
        })
    });
    let etc = etc_of(living.data());
    (living, etc)
}

fn etc_of(data: &Path) -> PathBuf {
    let sandbox = data.parent().and_then(Path::parent).expect("a data directory lies in a sandbox");
    sandbox.join("etc")
}

/// It ended with 3 before it began.
#[track_caller]
fn refused(living: &Living, sentence: &str, secure: impl FnOnce() -> Ran) -> Ran {
    let (before, etc, log) = (living.kept_files(), living.all_files(), living.log_text());
    let ran = secure().ended(3).complains(sentence).complains("nothing was changed").complains("try: ");
    assert_eq!(living.kept_files(), before, "{ran}");
    let now = living.all_files();
    assert!(etc.iter().all(|(path, was)| !path.starts_with("etc") || now.get(path) == Some(was)), "{ran}");
    assert!(!living.log_text()[log.len()..].contains("SIGHUP"), "no reload:\n{ran}");
    living.psql("disable").run("SELECT 1").succeeded();
    record("what secure may not write is said before it begins", 1);
    ran
}

#[test]
fn files_of_roots_are_roots_to_change() {
    for version in versions() {
        let (living, etc) = configured_in_a_folder_of_roots(*version, Account::current);
        let server = Account::server();
        let enforce = |by: &Account| living.secure(&["--enforce"], by).run();
        let ran =
            refused(&living, "pg_hba.conf belongs to root, and the server runs as", || enforce(&server));
        ran.complains(&format!("chown {}", server.name()));
        // The server's own settings lead there, and its user may have written them: root has to be told.
        let ran = refused(&living, "pg_hba.conf belongs to root", || enforce(&Account::current()));
        let folder = etc.display().to_string();
        ran.complains("a link lead there").complains(&format!("--write-as-root {folder}"));
        // Where they are root's in root's folder, root writes them then, and root's they stay.
        let before = living.all_files();
        let told = ["--enforce", "--write-as-root", &folder];
        living.secure(&told, &Account::current()).run().succeeded();
        living.psql("disable").run("SELECT 1").ended(2);
        assert_eq!(Account::owner_of(&etc.join("pg_hba.conf")), Account::current());
        living.verb("undo", &["--allow-insecure"], &Account::current()).run().succeeded();
        let of_etc = |all: std::collections::BTreeMap<PathBuf, crate::harness::Pictured>| {
            let kept = all.into_iter().filter(|(path, _)| path.starts_with("etc"));
            kept.map(|(path, was)| (path, was.kept())).collect::<Vec<_>>()
        };
        assert_eq!(of_etc(living.all_files()), of_etc(before));
    }
}

#[test]
fn a_folder_that_the_servers_user_may_not_write_takes_no_new_file() {
    for version in versions() {
        let (living, etc) = configured_in_a_folder_of_roots(*version, Account::server);
        for by in Account::current_and_server() {
            let sentence = format!("could not write files in {} as user", etc.display());
            let ran = refused(&living, &sentence, || living.secure(&["--enforce"], &by).run());
            ran.complains("Permission denied").complains("by a rename in its folder");
            // Looking is free.
            living.secure(&["--enforce", "--dry-run"], &by).run().succeeded().says("hostnossl");
        }
        // The rest of it needs no such thing.
        living.secured(&Account::current());
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}

#[test]
fn a_read_only_disk_is_said_to_be_one() {
    for (nth, version) in versions().iter().enumerate() {
        among_mounts_of_its_own(|| {
            let living = Living::set_up(*version, |setup| {
                setup.before(|data| {
                    let etc = data.with_file_name("etc");
                    fs::create_dir(&etc).unwrap();
                    Account::owner_of(data).own(&etc);
                    let hba = etc.join("pg_hba.conf");
                    fs::rename(data.join("pg_hba.conf"), &hba).unwrap();
                    let conf = fs::read_to_string(data.join("postgresql.conf")).unwrap();
                    let line = format!("{conf}\nhba_file = '{}'\n", hba.display());
                    fs::write(data.join("postgresql.conf"), line).unwrap();
                })
            });
            let both = Account::current_and_server();
            let by = &both[nth % both.len()];
            let etc = living.data().with_file_name("etc");
            make_read_only(&etc);
            let ran =
                refused(&living, "could not write files in", || living.secure(&["--enforce"], by).run());
            ran.complains("Read-only file system").complains("mount it read-write");
            make_writable(&etc);
            living.secure(&["--enforce"], by).run().succeeded();
            // What turned read-only later stands in the way of an undo, and loses nothing.
            let secured = living.kept_files();
            make_read_only(&etc);
            let undo = |words: &[&str]| living.verb("undo", words, by).run();
            undo(&["--allow-insecure"]).ended(3).complains("Read-only file system");
            living.psql("disable").run("SELECT 1").ended(2);
            living.psql("verify-full").run("SELECT 1").succeeded();
            make_writable(&etc);
            undo(&["--allow-insecure"]).succeeded();
            assert_ne!(living.kept_files(), secured);
            living.psql("disable").run("SELECT 1").succeeded();
        });
    }
}

/// Nowhere to write the change down means that there is none.
#[test]
fn a_journal_that_cannot_be_written_stops_it_first() {
    for version in versions_in_turn(0) {
        among_mounts_of_its_own(|| {
            let by = Account::current();
            let living = Living::of(version);
            let state = living.sandbox().dir_of(&by, "state");
            make_read_only(&state);
            let secure =
                || living.secure(&["--enforce"], &by).env("PGSEAL_STATE_DIR", state.join("here")).run();
            let before = living.kept_files();
            secure().ended(3).complains("Read-only file system").complains("state/here");
            assert_eq!(living.kept_files(), before);
            assert!(!living.ca_of(&by).exists(), "no CA was made either");
            living.psql("disable").run("SELECT 1").succeeded();
        });
    }
}
