//! `hba enforce` adds a block and `--undo` takes it out again: every other byte of the file stays, and so do its owner, its
//! group and its mode. What would not load is not written.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

use crate::harness::{
    Account, Dice, MAIN, Pgseal, Ran, RuleScribe, Sandbox, Tree, record, samples, shapes, versions,
};

fn hba(sandbox: &Sandbox, file: &Path, args: &[&str]) -> Ran {
    Pgseal::new(sandbox).args(["hba", "enforce"]).arg(file).args(args).run()
}

/// In place and back, and through a pipe; whether it was written at all.
#[track_caller]
fn there_and_back(sandbox: &Sandbox, what: &str, tree: &Tree, version: Option<u32>) -> bool {
    let file = tree.lay_out(&sandbox.join("rules"));
    let version = version.map(|version| version.to_string());
    let of: Vec<&str> = version.iter().flat_map(|version| ["--pg-version", version]).collect();
    let put = hba(sandbox, &file, &[&["-i"], &of[..]].concat());
    if put.code() != Some(0) {
        assert!(matches!(put.code(), Some(1 | 3)), "{what}: {put}");
        assert!(fs::read(&file).unwrap() == tree.main(), "{what}: a refusal writes nothing: {put}");
        return false;
    }
    let new = fs::read(&file).unwrap();
    assert!(new.ends_with(tree.main()) && new.len() > tree.main().len(), "{what}: {put}");
    // A second time changes nothing, and a pipe gets every byte.
    hba(sandbox, &file, &[&["-i"], &of[..]].concat()).succeeded().says("already");
    assert!(fs::read(&file).unwrap() == new, "{what}");
    let pipe = |args: &[&str], out: &str| {
        let out = sandbox.join(out);
        let to = format!("\"$@\" | cat >{}", out.display());
        Pgseal::new(sandbox)
            .args(["hba", "enforce"])
            .arg(&file)
            .args(args)
            .args(&of)
            .through(to)
            .run()
            .succeeded();
        fs::read(out).unwrap()
    };
    assert!(pipe(&["--undo"], "undone") == tree.main(), "{what}: {tree:?}");
    hba(sandbox, &file, &[&["--undo", "--in-place"], &of[..]].concat()).succeeded();
    assert!(fs::read(&file).unwrap() == tree.main(), "{what}: {tree:?}");
    assert!(pipe(&[], "piped") == new, "{what}: {tree:?}");
    record("hba enforce and its undo give a file back to the byte", 1);
    true
}

#[test]
fn of_every_file_as_people_write_them() {
    let sandbox = Sandbox::new();
    for (name, tree) in shapes() {
        assert!(there_and_back(&sandbox, &name, &tree, None), "{name} loads somewhere");
    }
}

#[test]
fn of_files_with_odd_bytes() {
    let sandbox = Sandbox::new();
    let long = format!("hostssl all all all md5 # {}\n", "x".repeat(70_000));
    for (what, content) in [
        ("CRLF", b"local all all peer\r\nhostssl all all all md5\r\n".as_slice()),
        ("mixed newlines", b"local all all peer\r\nhostssl all all all md5\n"),
        ("no newline at the end", b"hostssl all all all md5"),
        ("CR without LF at the end", b"hostssl all all all md5\r"),
        ("blank lines first", b"\n\n \t\n# x\nhostssl all all all md5\n\n\n"),
        ("not UTF-8", b"# gr\xfc\xdfe\nhostssl all \"m\xfcller\" all md5\n"),
        ("control characters", b"# \x1b[2J\x07\x00 x\nhostssl all all all md5\n"),
        ("a comment that looks like a block", b"# pgseal is great\nhostssl all all all md5\n"),
        ("a block of another", b"# pgseal 7f3a: other\nhostssl all all all md5\n# pgseal 7f3a end\n"),
        ("one long line", long.as_bytes()),
        ("continued", b"hostssl all \\\n  all all md5\n"),
    ] {
        let written = there_and_back(&sandbox, what, &Tree::of(MAIN, content), None);
        assert!(written, "{what}");
    }
    for (what, content) in [
        ("a BOM", b"\xef\xbb\xbfhostssl all all all md5\n".as_slice()),
        ("UTF-16", b"\xff\xfeh\0o\0s\0t\0\n\0"),
        ("a form feed", b"hostssl\x0call all all md5\n"),
        ("nothing", b""),
        ("comments alone", b"# hostssl all all all md5\n"),
        ("half a block", b"# pgseal tls-only: x\nhostssl all all all md5\n"),
        ("the end of a block", b"hostssl all all all md5\n# pgseal tls-only end\n"),
    ] {
        assert!(!there_and_back(&sandbox, what, &Tree::of(MAIN, content), None), "{what}");
    }
}

#[test]
fn of_generated_files() {
    let sandbox = Sandbox::new();
    let mut written = 0;
    for version in versions() {
        let mut dice = Dice::new(&format!("enforce and undo on {version}"));
        for nth in 0..samples(400) {
            let tree = RuleScribe::new(&mut dice, *version).tree();
            written += u32::from(there_and_back(&sandbox, &format!("file {nth}"), &tree, Some(*version)));
        }
    }
    assert!(written > 10, "{written} files that load are too few");
}

#[test]
fn a_file_keeps_its_owner_its_group_and_its_mode() {
    const RULES: &str = "local all all peer\nhost all all all scram-sha-256\n";
    let (root, nobody) = (Account::current(), Account::ordinary());
    for (owner, by) in [(&root, &root), (&nobody, &root), (&nobody, &nobody)] {
        let sandbox = Sandbox::new();
        let folder = sandbox.dir_of(owner, "etc");
        for mode in [0o600, 0o640, 0o644, 0o400] {
            let file = sandbox.file_of(owner, "etc/pg_hba.conf", mode, RULES);
            if by.is_root() && owner.is_root() {
                // As in many a set-up: root's file, which the server reads by its group.
                chown(&file, None, Some(Account::server().uid())).unwrap();
            }
            symlink("pg_hba.conf", folder.join("link")).ok();
            let before = fs::metadata(&file).unwrap();
            for name in ["etc/pg_hba.conf", "etc/link"] {
                for args in [&["-i"][..], &["-i", "--undo"]] {
                    // Held open, so that its number is not given to the next file.
                    let held = fs::File::open(&file).unwrap();
                    let ran = Pgseal::new(&sandbox).by(by).args(["hba", "enforce"]).arg(sandbox.join(name));
                    ran.args(args).run().succeeded().says("a reload makes it count");
                    let after = fs::metadata(&file).unwrap();
                    assert_eq!(
                        (after.uid(), after.gid(), after.mode()),
                        (before.uid(), before.gid(), before.mode()),
                        "{owner:?} by {by:?}"
                    );
                    assert_ne!(after.ino(), held.metadata().unwrap().ino(), "one rename, not a rewriting");
                }
            }
            assert_eq!(fs::read_to_string(&file).unwrap(), RULES);
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing is left beside it");
        }
    }
}

#[test]
fn an_ordinary_user_writes_no_file_of_another() {
    let (root, nobody) = (Account::current(), Account::ordinary());
    assert!(
        root.is_root(),
        "only root can make a file of another user: run this scenario as root, as in a container"
    );
    let sandbox = Sandbox::new();
    sandbox.dir_of(&nobody, "etc");
    let file = sandbox.file_of(&root, "etc/pg_hba.conf", 0o644, "local all all peer\n");
    let before = fs::read(&file).unwrap();
    let ran = Pgseal::new(&sandbox).by(&nobody).args(["hba", "enforce", "-i"]).arg(&file).run().ended(3);
    ran.complains("belongs to root");
    // Nor does root in a folder where its file is at another's mercy.
    hba(&sandbox, &file, &["-i"]).ended(3).complains("belongs to root");
    assert_eq!(fs::read(&file).unwrap(), before);
    // A folder that nobody may write.
    let shut = sandbox.dir_of(&nobody, "shut");
    let file = sandbox.file_of(&nobody, "shut/pg_hba.conf", 0o644, "local all all peer\n");
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o555)).unwrap();
    for by in [&nobody, &root] {
        let ran = Pgseal::new(&sandbox).by(by).args(["hba", "enforce", "-i"]).arg(&file).run().ended(3);
        ran.complains("Permission denied");
    }
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn diff_shows_what_changes_and_hides_passwords() {
    let sandbox = Sandbox::new();
    let rules = "host all all all ldap ldapserver=x ldapbasedn=d ldapbinddn=b ldapbindpasswd=hunter-2 # ldapbindpasswd=old-hunter\nlocal all all peer\n";
    let file = sandbox.file_of(&Account::current(), "pg_hba.conf", 0o600, rules);
    let shown = hba(&sandbox, &file, &["--diff"]).succeeded().never_mentions("hunter");
    for line in
        ["+# pgseal tls-only:", "+hostnossl  all ", "+hostnossl  replication ", " host all all all ldap"]
    {
        assert!(shown.stdout().lines().any(|shown| shown.starts_with(line)), "{line}: {shown}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), rules, "nothing is written");
    hba(&sandbox, &file, &["--diff", "-i"]).succeeded().never_mentions("hunter").says("+hostnossl");
    hba(&sandbox, &file, &["--diff", "--undo"]).succeeded().never_mentions("hunter").says("-hostnossl");
    hba(&sandbox, &file, &["--format", "json"]).succeeded().never_mentions("hunter");
    // A pipe gets the file itself, a terminal one without passwords.
    hba(&sandbox, &file, &[]).succeeded().says("ldapbindpasswd=hunter-2 # ldapbindpasswd=old-hunter");
    let terminal = "exec script -qec \"$1 hba enforce $4\" /dev/null";
    let ran = Pgseal::new(&sandbox).args(["hba", "enforce"]).arg(&file).through(terminal).run().succeeded();
    ran.never_mentions("hunter").says("ldapbindpasswd=****").says("hostnossl  replication");
}
