//! `secure` then `undo` leaves every file as it was: bytes, owner, mode, and no file or folder more. What others changed
//! meanwhile is not written over, and plaintext is let in again only where somebody says so.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::harness::{APP, Account, Living, USUAL_HBA, record, versions};

/// Files that no editor would leave: no newline at the end, Windows line ends, bytes of no encoding, modes of their own.
fn peculiar(data: &Path) {
    let hba = format!("# \u{e9}crit \u{e0} la main\r\n{}# the end", USUAL_HBA.replace('\n', "\r\n"));
    fs::write(data.join("pg_hba.conf"), hba).unwrap();
    let conf = data.join("postgresql.conf");
    let mut bytes = fs::read(&conf).unwrap();
    bytes.extend_from_slice(
        b"# \xff\xfe\n#ssl = on\nSSL_Ciphers = 'HIGH:MEDIUM:!aNULL'\nwork_mem = '5MB' # the end",
    );
    fs::write(&conf, bytes).unwrap();
    fs::write(
        data.join("postgresql.auto.conf"),
        "# by hand\nssl_min_protocol_version = 'TLSv1'\nwork_mem = '6MB'\n",
    )
    .unwrap();
    for (name, mode) in [("postgresql.conf", 0o640), ("pg_hba.conf", 0o444), ("postgresql.auto.conf", 0o600)]
    {
        fs::set_permissions(data.join(name), Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn two_changes_are_undone_one_by_one_and_nothing_is_left_of_them() {
    for version in versions() {
        for by in Account::current_and_server() {
            let living = Living::set_up(*version, |setup| setup.before(peculiar));
            let undo = |words: &[&str]| living.verb("undo", words, &by);
            undo(&[]).run().ended(1).complains("there is no change of");
            let before = living.kept_files();
            living.secured(&by);
            let secured = living.kept_files();
            assert_ne!(secured, before);
            living.secure(&["--enforce"], &by).run().succeeded();
            let enforced = living.kept_files();

            let refused = undo(&[])
                .run()
                .ended(1)
                .complains("lets plaintext in again")
                .complains("nothing was changed");
            refused.complains("--allow-insecure");
            assert_eq!(living.kept_files(), enforced, "a refusal changes nothing");
            living.psql("disable").run("SELECT 1").ended(2);

            undo(&["--allow-insecure"]).run().succeeded().says("the wire shows what it showed before");
            assert_eq!(living.kept_files(), secured);
            living.psql("verify-full").run("SELECT 1").succeeded();
            living.psql("disable").run("SELECT 1").succeeded();

            undo(&["--allow-insecure"]).run().succeeded().says("the wire shows what it showed before");
            assert_eq!(living.kept_files(), before);
            living.psql("disable").run("SELECT 1").succeeded();
            let none =
                format!("host=127.0.0.1 port={} user={APP} dbname=postgres sslmode=require", living.port());
            crate::harness::Psql::to(none).run("SELECT 1").ended(2).complains("server does not support SSL");

            undo(&["--allow-insecure"]).run().ended(1).complains("there is no change of");
            let history = living.verb("history", &[], &by).run().succeeded();
            let listed: Vec<&str> =
                history.stdout().lines().filter(|line| line.contains("  undone  ")).collect();
            assert_eq!(listed.len(), 2, "{history}");
            assert!(
                history.stdout().contains("+ssl = 'on'") && history.stdout().contains("hostnossl"),
                "{history}"
            );
            record("what secure changed is undone to the byte", 1);
        }
    }
}

#[test]
fn the_certificate_of_before_comes_back_with_its_key() {
    for version in versions() {
        let by = Account::current();
        let living = Living::of(*version);
        living.secure(&["--enforce"], &by).run().succeeded();
        let first = living.kept_files();
        living.secure(&["--reissue"], &by).run().succeeded();
        assert_ne!(living.kept_files(), first, "another certificate is served");
        // Neither before nor after it is plaintext let in: nothing insecure about it.
        living.verb("undo", &[], &by).run().succeeded().says("the wire shows what it showed before");
        assert_eq!(living.kept_files(), first);
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}

#[test]
fn what_others_changed_since_is_named_and_left_as_it_is() {
    for version in versions() {
        let by = Account::current();
        let living = Living::of(*version);
        living.secure(&["--enforce"], &by).run().succeeded();
        living.append_conf("work_mem = '7MB'");
        let changed = living.kept_files();
        let conf = living.data().join("postgresql.conf");
        let refused = living.verb("undo", &["--allow-insecure"], &by).run().ended(3);
        refused.complains("were not written over").complains(&conf.display().to_string());
        assert_eq!(living.kept_files(), changed, "neither that file nor any other");
        living.psql("disable").run("SELECT 1").ended(2);
        living.verb("history", &[], &by).run().succeeded().says("  committed  ");

        // Put back as pgseal left it, the change can be undone.
        let text = living.read("postgresql.conf").replace("\nwork_mem = '7MB'\n", "");
        living.write("postgresql.conf", &text);
        living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
        living.psql("disable").run("SELECT 1").succeeded();
    }
}

#[test]
fn a_server_that_is_stopped_starts_as_it_was_before() {
    for version in versions() {
        for by in Account::current_and_server() {
            let mut living = Living::of(*version);
            let before = living.kept_files();
            living.secure(&["--enforce"], &by).run().succeeded();
            living.stop();
            let undone = living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
            undone.says("no server runs to look at");
            assert_eq!(living.kept_files(), before);
            living.start();
            living.psql("disable").run("SELECT 1").succeeded();
        }
    }
}
