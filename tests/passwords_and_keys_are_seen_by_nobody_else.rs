//! A password and a private key lie in one file each, born with mode 0600. They are in no process's arguments or environment,
//! in nothing that is printed, and nowhere else in the folder.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{Account, Install, Pgseal, Port, Ran, Sandbox, Sealed, holds, watched};

/// Found nowhere by chance.
const PASSWORD: &str = "Kestrel-7319-quartz";
const PASSPHRASE: &str = "Walnut-2284-harbor";
const BYSTANDER: &str = "Lantern-5560-meadow";

/// The files under `root` that hold it.
fn files_with(root: &Path, secret: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(dir) = ahead.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                ahead.push(path);
            } else if kind.is_file() && fs::read(&path).is_ok_and(|text| holds(&text, secret)) {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn passwords_and_keys_are_seen_by_nobody_else() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let password = sandbox.file_of(&account, "password", 0o600, &format!("{PASSWORD}\n"));
        let port = Port::free();
        let verb = |words: &[&str]| Pgseal::new(&sandbox).by(&account).args(words.to_vec());
        let dir = verb(&[]).work_dir().join("sealed");
        let (runs, seen) = watched(|| {
            let up = verb(&["up", "sealed", "-p", &port.number().to_string(), "--ca-passphrase-file", "-"])
                .stdin(format!("{PASSPHRASE}\n"))
                .arg("--password-file")
                .arg(&password)
                .bindir(&Install::of(15))
                .env("A_SECRET_OF_THE_CALLERS", BYSTANDER)
                .env("PGPASSWORD", BYSTANDER)
                .run()
                .succeeded();
            let json = verb(&["up", "sealed", "--format", "json"]).run().succeeded();
            let others =
                [&["status", "sealed"][..], &["verify", "sealed"], &["verify", "sealed", "--format", "json"]];
            let mut runs: Vec<Ran> = others.iter().map(|words| verb(words).run().succeeded()).collect();
            runs.extend([up, json]);
            runs
        });
        // It was looked at closely enough.
        for program in ["initdb\0--pgdata", "--as-delegate", "postgres\0-D"] {
            assert!(seen.iter().any(|text| holds(text, program)), "{program:?} was not seen");
        }
        for secret in [PASSWORD, PASSPHRASE, "PRIVATE KEY-----"] {
            for text in &seen {
                assert!(!holds(text, secret), "{:?}", String::from_utf8_lossy(text));
            }
            for ran in &runs {
                assert!(!ran.stdout().contains(secret) && !ran.stderr().contains(secret), "{ran}");
            }
        }
        // A caller's own variables reach nothing that is started, but stand in the caller's own environment.
        let delegates = seen.iter().filter(|text| holds(text, "PATH=/usr/local/bin:/usr/bin:/bin\0"));
        assert!(delegates.clone().count() > 0, "no environment of a delegate was seen");
        for text in delegates {
            assert!(!holds(text, BYSTANDER), "{:?}", String::from_utf8_lossy(text));
        }
        verb(&["down", "sealed"]).run().succeeded();
        // After a checkpoint, with all that PostgreSQL has written.
        assert_eq!(files_with(&dir, PASSWORD), [Path::new("client/pgpass")]);
        assert_eq!(files_with(&dir, PASSPHRASE), Vec::<PathBuf>::new());
        assert_eq!(files_with(&dir, BYSTANDER), Vec::<PathBuf>::new());
        assert_eq!(
            files_with(&dir, "PRIVATE KEY-----"),
            ["ca/server-ca.key", "tls/server-with-key.pem"].map(Path::new)
        );
        verb(&["down", "--remove", "--yes", "sealed"]).run().succeeded();
    }
}

#[test]
fn what_is_left_running_has_a_clean_environment_and_no_file_of_the_callers() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let port = Port::free();
        let lock = sandbox.file_of(&account, "lock", 0o600, "");
        let up = Pgseal::new(&sandbox)
            .by(&account)
            .env("A_SECRET_OF_THE_CALLERS", BYSTANDER)
            .env("LC_TIME", "C")
            .env("LD_BIND_NOW", "1")
            .through(format!("exec 7</etc/passwd 9>>{0}; flock 9; exec \"$@\"", lock.display()))
            .args(["up", "sealed", "-p", &port.number().to_string(), "--format", "json"])
            .bindir(&Install::of(15))
            .run()
            .succeeded();
        let process = PathBuf::from(format!("/proc/{}", up.json()["pid"]));
        let environment = fs::read(process.join("environ")).unwrap();
        let names: BTreeSet<String> = environment
            .split(|byte| *byte == 0)
            .map(|variable| String::from_utf8_lossy(variable).split('=').next().unwrap().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        // PGDATA is what PostgreSQL says to itself.
        let allowed = ["HOME", "LANG", "LC_TIME", "PATH", "PGDATA", "PG_GRANDPARENT_PID", "USER"];
        assert!(names.iter().all(|name| allowed.contains(&name.as_str())), "{names:?}");
        assert!(names.contains("LC_TIME"), "its locale is handed down: {names:?}");
        let open: Vec<PathBuf> = fs::read_dir(process.join("fd"))
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .collect();
        assert!(!open.contains(&lock) && !open.contains(&PathBuf::from("/etc/passwd")), "{open:?}");
        // A session of its own: no terminal, and no signal that is meant for the caller's group.
        let stat = fs::read_to_string(process.join("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let own_session = fs::read_to_string("/proc/self/stat").unwrap();
        let own_fields: Vec<&str> = own_session.rsplit(')').next().unwrap().split_whitespace().collect();
        assert_ne!(fields[3], own_fields[3], "its session is its own");
        assert_eq!(fields[4], "0", "it has no terminal");
    }
}

#[test]
fn every_file_has_its_owner_and_mode_whatever_the_umask() {
    let install = Install::of(15);
    for (account, umask) in
        Account::both().into_iter().flat_map(|account| ["000", "077"].map(|umask| (account.clone(), umask)))
    {
        let sandbox = Sandbox::new();
        let verb = |words: &[&str]| {
            Pgseal::new(&sandbox)
                .by(&account)
                .through(format!("umask {umask}; exec \"$@\""))
                .args(words.to_vec())
        };
        let dir = verb(&[]).work_dir().join("sealed");
        // While it is made, no key and no password is ever seen with another mode.
        let done = AtomicBool::new(false);
        let up = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for secret in ["ca/server-ca.key", "client/pgpass", "tls/server-with-key.pem"] {
                        if let Ok(meta) = fs::symlink_metadata(dir.join(secret)) {
                            assert_eq!(meta.mode() & 0o7777, 0o600, "{secret} with umask {umask}");
                        }
                    }
                    thread::sleep(Duration::from_micros(100));
                }
            });
            let up = verb(&["up", "sealed", "-p", "0"]).bindir(&install).run();
            done.store(true, Ordering::Relaxed);
            up
        });
        up.succeeded();
        let server = if account.is_root() { Account::server() } else { account.clone() };
        for (path, mode, owner) in [
            ("", 0o711, &account),
            (".gitignore", 0o644, &account),
            (".dockerignore", 0o644, &account),
            ("pgseal.toml", 0o644, &account),
            ("ca", 0o700, &account),
            ("ca/server-ca.key", 0o600, &account),
            ("ca/server-ca.crt", 0o644, &account),
            ("ca/server.crt", 0o644, &account),
            ("client", 0o755, &account),
            ("client/ca.crt", 0o644, &account),
            ("client/pgpass", 0o600, &account),
            ("client/pg_service.conf", 0o644, &account),
            ("client/connection.txt", 0o644, &account),
            ("data", 0o700, &server),
            ("data/postgresql.conf", 0o600, &server),
            ("data/pg_hba.conf", 0o600, &server),
            ("data/pg_ident.conf", 0o600, &server),
            ("tls", 0o700, &server),
            ("tls/server-with-key.pem", 0o600, &server),
            ("tls/server.crt", 0o644, &server),
            ("run", 0o700, &server),
            ("log", 0o700, &server),
            ("log/postgresql.log", 0o600, &server),
        ] {
            let meta = fs::symlink_metadata(dir.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
            let seen = (meta.mode() & 0o7777, meta.uid());
            assert_eq!(seen, (mode, owner.uid()), "{path:?} with umask {umask}: mode {:o}", seen.0);
        }
        for ignore in [".gitignore", ".dockerignore"] {
            assert_eq!(fs::read_to_string(dir.join(ignore)).unwrap(), "*\n");
        }
        let listed: BTreeSet<String> = fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let expected =
            [".dockerignore", ".gitignore", "ca", "client", "data", "log", "pgseal.toml", "run", "tls"];
        assert_eq!(listed.into_iter().collect::<Vec<_>>(), expected);
        nothing_is_writable_by_others(&dir);
        verb(&["down", "sealed", "--remove", "--yes"]).run().succeeded();
    }
}

/// But for the socket, which has the mode that PostgreSQL gives it, in a folder that others cannot enter.
fn nothing_is_writable_by_others(root: &Path) {
    let mut ahead = vec![root.to_owned()];
    while let Some(dir) = ahead.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let Ok(meta) = fs::symlink_metadata(entry.path()) else { continue };
            if meta.is_dir() {
                ahead.push(entry.path());
            }
            let plain = meta.is_dir() || meta.is_file();
            assert!(
                !plain || meta.mode() & 0o7022 == 0,
                "{} has mode {:o}",
                entry.path().display(),
                meta.mode()
            );
        }
    }
}

/// The CA's key is root's where root made it: not even the superuser of the server can read it.
#[test]
fn the_servers_superuser_cannot_read_what_is_not_the_servers() {
    let sealed = Sealed::of(15);
    for file in ["ca/server-ca.key", "client/pgpass"] {
        let path = sealed.at(file);
        let read = sealed.try_sql_of_superuser(&format!("SELECT pg_read_file('{}')", path.display()));
        if sealed.account() == Account::current() {
            // An ordinary user's server is that user, and `up` says so.
            read.succeeded();
        } else {
            read.ended(3).complains("Permission denied").never_mentions("PRIVATE KEY");
        }
    }
    let own = sealed
        .try_sql_of_superuser(&format!("SELECT pg_read_file('{}')", sealed.at("tls/server.crt").display()));
    own.succeeded().says("BEGIN CERTIFICATE");
    let alone = Sealed::with(&Install::of(15), &Account::ordinary(), &[]);
    let again = alone.pgseal().args(["up", "aside", "-p", "0"]).bindir(&Install::of(15)).run().succeeded();
    assert!(again.stdout().contains("any SQL superuser could read it"), "{again}");
}

#[test]
fn a_process_that_holds_keys_leaves_no_core_and_lets_nobody_of_its_user_look_in() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let up = Pgseal::new(&sandbox)
            .by(&account)
            .args(["up", "sealed", "-p", "0"])
            .bindir(&Install::of(15))
            .start();
        let mut looked = 0;
        for _ in 0..2000 {
            // Owned by root in /proc: not dumpable, so not to be traced by others of the same user (proc(5)).
            let delegate = children_of(up.pid()).into_iter().find(|pid| is_pgseal(*pid));
            for pid in [Some(up.pid()), delegate].into_iter().flatten() {
                if let Ok(meta) = fs::metadata(format!("/proc/{pid}/environ"))
                    && is_pgseal(pid)
                    && Path::new(&format!("/proc/{pid}/exe")).exists()
                {
                    looked += u32::from(meta.uid() == 0 && pid != up.pid());
                }
            }
            if looked > 3 {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        assert!(looked > 3, "no delegate was seen that is closed to its own user");
        up.wait(Duration::from_secs(60)).succeeded();
    }
}

fn is_pgseal(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| holds(&line, "pgseal") || holds(&line, "--as-delegate"))
}

fn children_of(pid: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
