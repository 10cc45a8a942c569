//! Servers as they grew: configuration outside the data directory, links in its place, files that are included before and
//! after, settings of ALTER SYSTEM. What counts is written where it lies, links stay links, and all of it comes back.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::harness::{Account, Living, all_hold, record, versions, versions_in_turn};

/// To TLS only, through a restart, and back to the byte.
#[track_caller]
fn goes_there_and_back(mut living: Living, by: &Account) {
    let before = living.kept_files();
    all_hold(&living.secure(&["--enforce", "--format", "json"], by).run());
    let secured = living.kept_files();
    let is_secure = |living: &Living| {
        living.psql("verify-full").run("SELECT 1").succeeded();
        living.psql("disable").run("SELECT 1").ended(2).complains("rejects connection");
    };
    is_secure(&living);
    living.verb("secure", &["--enforce", "--check"], by).run().succeeded().says("nothing to do");
    living.restart();
    is_secure(&living);
    assert_eq!(living.kept_files(), secured, "a restart changes nothing of it");
    living
        .verb("undo", &["--allow-insecure"], by)
        .run()
        .succeeded()
        .says("the wire shows what it showed before");
    assert_eq!(living.kept_files(), before);
    living.restart();
    living.psql("disable").run("SELECT 1").succeeded();
    record("a server is secured and undone wherever its files lie", 1);
}

/// A folder of the server's user beside its data directory.
fn folder(data: &Path, name: &str) -> PathBuf {
    let folder = data.with_file_name(name);
    fs::create_dir(&folder).unwrap();
    Account::owner_of(data).own(&folder);
    folder
}

/// Moves a file of the data directory there.
fn moved(data: &Path, name: &str, to: &Path) -> PathBuf {
    let path = to.join(name);
    fs::rename(data.join(name), &path).unwrap();
    path
}

/// A new file of the server's user.
fn file(data: &Path, path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    Account::owner_of(data).own(path);
}

/// More lines at the end of postgresql.conf.
fn append(path: &Path, lines: &str) {
    let conf = fs::read_to_string(path).unwrap();
    fs::write(path, format!("{conf}\n{lines}\n")).unwrap();
}

fn by_whom(nth: usize) -> Account {
    let both = Account::current_and_server();
    both[nth % both.len()].clone()
}

#[test]
fn rules_that_lie_elsewhere_are_written_there() {
    for (nth, version) in versions().iter().enumerate() {
        let living = Living::set_up(*version, |setup| {
            setup.before(|data| {
                let path = moved(data, "pg_hba.conf", &folder(data, "rules"));
                append(&data.join("postgresql.conf"), &format!("hba_file = '{}'", path.display()));
                // Initdb's place is nobody's now, and stays empty of ours.
                file(data, &data.join("pg_hba.conf"), "local all all reject\n");
            })
        });
        goes_there_and_back(living, &by_whom(nth));
    }
}

#[test]
fn a_configuration_outside_the_data_directory_is_found_by_the_command_line() {
    for (nth, version) in versions().iter().enumerate() {
        let sandboxed = std::env::temp_dir().join(format!("pgseal-etc-{}-{version}", std::process::id()));
        let config_file = format!("config_file={}/postgresql.conf", sandboxed.display());
        let link = sandboxed.clone();
        let living = Living::set_up(*version, |setup| {
            setup.args(&["-c", &config_file]).before(move |data| {
                let etc = folder(data, "etc");
                let conf = moved(data, "postgresql.conf", &etc);
                let (hba, ident) = (moved(data, "pg_hba.conf", &etc), moved(data, "pg_ident.conf", &etc));
                append(&conf, &format!("hba_file = '{}'\nident_file = '{}'", hba.display(), ident.display()));
                // The command line is made up before the folder's name is known.
                symlink(&etc, link).unwrap();
            })
        });
        goes_there_and_back(living, &by_whom(nth + 1));
        fs::remove_file(sandboxed).unwrap();
    }
}

#[test]
fn links_stay_links_and_what_they_lead_to_is_written() {
    for (nth, version) in versions().iter().enumerate() {
        let living = Living::set_up(*version, |setup| {
            setup.before(|data| {
                let (etc, inner) = (folder(data, "etc"), folder(data, "dotfiles"));
                symlink(moved(data, "postgresql.conf", &etc), data.join("postgresql.conf")).unwrap();
                // A link to a link, and a relative one.
                moved(data, "pg_hba.conf", &inner);
                symlink("../dotfiles/pg_hba.conf", etc.join("pg_hba.conf")).unwrap();
                symlink("../etc/pg_hba.conf", data.join("pg_hba.conf")).unwrap();
            })
        });
        let links = [living.data().join("postgresql.conf"), living.data().join("pg_hba.conf")];
        let by = by_whom(nth);
        living.secured(&by);
        assert!(links.iter().all(|link| fs::symlink_metadata(link).unwrap().is_symlink()));
        living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
        assert!(links.iter().all(|link| fs::symlink_metadata(link).unwrap().is_symlink()));
        goes_there_and_back(living, &by);
    }
}

#[test]
fn a_data_directory_may_itself_be_a_link() {
    for (nth, version) in versions_in_turn(0).into_iter().enumerate() {
        let living = Living::of(version);
        let by = by_whom(nth);
        let link = living.sandbox().join("link");
        symlink(living.data(), &link).unwrap();
        let before = living.kept_files();
        let ca = living.ca_of(&by);
        let secure =
            living.pgseal(&by).arg("secure").arg(&link).args(["--yes", "--enforce", "--new-ca"]).arg(ca);
        secure.run().succeeded();
        living.psql("verify-full").run("SELECT 1").succeeded();
        living.psql("disable").run("SELECT 1").ended(2);
        // Either name leads to the same history.
        living.verb("history", &[], &by).run().succeeded().says("  committed  ");
        living.pgseal(&by).arg("undo").arg(&link).arg("--allow-insecure").run().succeeded();
        assert_eq!(living.kept_files(), before);
    }
}

#[test]
fn what_is_included_before_is_beaten_and_what_is_included_after_is_seen() {
    for (nth, version) in versions().iter().enumerate() {
        // Lines of a folder, of a file, and of one that need not be there; some of them as wished.
        let living = Living::set_up(*version, |setup| {
            setup.before(|data| {
                let d = folder(data, "conf.d");
                file(data, &d.join("10-tls.conf"), "ssl = off\nssl_max_protocol_version = 'TLSv1.2'\n");
                file(data, &d.join("20-old.conf"), "ssl_min_protocol_version = 'TLSv1'\n");
                file(data, &d.join("notes.txt"), "no configuration at all\n");
                file(data, &data.join("extra.conf"), "password_encryption = 'md5'\n");
                append(
                    &data.join("postgresql.conf"),
                    &format!(
                        "include_dir '{}'\ninclude 'extra.conf'\ninclude_if_exists 'absent.conf'",
                        d.display()
                    ),
                );
            })
        });
        let by = by_whom(nth);
        let included =
            fs::read_to_string(living.data().with_file_name("conf.d").join("10-tls.conf")).unwrap();
        living.secured(&by);
        // Somebody includes one more, below our block: what it says is what holds, until the next run.
        file(living.data(), &living.data().join("later.conf"), "ssl_min_protocol_version = 'TLSv1.1'\n");
        living.append_conf("include 'later.conf'");
        living.reload();
        let checked = living.verb("secure", &["--check"], &by).run().ended(1);
        checked.says("protocol-too-old");
        living.verb("secure", &["--yes"], &by).run().succeeded();
        assert_eq!(living.sql("SHOW ssl_min_protocol_version"), "TLSv1.2");
        // Plaintext was let in before it, and still is: nothing more is let in.
        living.verb("undo", &[], &by).run().succeeded();
        assert_eq!(living.sql("SHOW ssl_min_protocol_version"), "TLSv1.1");
        let conf = living.read("postgresql.conf").replace("\ninclude 'later.conf'\n", "");
        living.write("postgresql.conf", &conf);
        living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
        let now = fs::read_to_string(living.data().with_file_name("conf.d").join("10-tls.conf")).unwrap();
        assert_eq!(now, included, "what is included is left as it is");
        goes_there_and_back(living, &by);
    }
}

#[test]
fn a_setting_of_alter_system_is_taken_out_and_put_back() {
    for (nth, version) in versions().iter().enumerate() {
        let living = Living::of(*version);
        for setting in [
            "ssl = 'off'",
            "ssl_ciphers = 'HIGH:MEDIUM:+3DES:!aNULL'",
            "ssl_min_protocol_version = 'TLSv1.1'",
            "ssl_max_protocol_version = 'TLSv1.2'",
            "work_mem = '5MB'",
            "application_name = 'it''s = mine # 1'",
        ] {
            living.sql(&format!("ALTER SYSTEM SET {setting}"));
        }
        living.reload();
        let by = by_whom(nth);
        let plan = living.secure(&["--dry-run"], &by).run().succeeded();
        plan.says("postgresql.auto.conf").says("-ssl_min_protocol_version = 'TLSv1.1'");
        goes_there_and_back(living, &by);
    }
}

/// PostgreSQL 12 does not compare the two, and serves nobody; later ones refuse to start with TLS on.
#[test]
fn a_minimum_above_the_maximum_is_mended() {
    for (nth, version) in versions_in_turn(1).into_iter().enumerate() {
        let living = Living::set_up(version, |setup| {
            setup.conf("ssl_min_protocol_version = 'TLSv1.3'").conf("ssl_max_protocol_version = 'TLSv1.2'")
        });
        let by = by_whom(nth);
        living.secured(&by);
        assert_eq!(living.sql("SHOW ssl_min_protocol_version"), "TLSv1.3", "stricter than asked for stays");
        living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
        goes_there_and_back(living, &by);
    }
}
