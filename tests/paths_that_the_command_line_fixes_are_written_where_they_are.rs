//! Where the server's command line fixes the paths of key and certificate, `secure` exchanges what lies there: one file by one
//! rename, two files only where somebody has said that a crash between their renames is acceptable. Owner and mode stay,
//! root's files are root's afterwards, and `undo` puts every byte back.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::harness::{
    Account, Forge, Forged, Living, Shown, Trace, record, served, versions, versions_in_turn,
};

const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// The server's, 0600.
fn put(data: &Path, name: &str, content: &str) {
    let path = data.join(name);
    fs::write(&path, content).expect("it can be written");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
    Account::owner_of(data).own(&path);
}

/// A server with a house's certificate in two files that its command line names.
fn two_files(version: u32, forge: &Forge) -> Living {
    let Forged { certificate, key } = forge.leaf(&NAMES);
    Living::set_up(version, |setup| {
        let args = ["-c", "ssl_cert_file=server.crt", "-c", "ssl_key_file=server.key"];
        setup.conf("ssl = on").args(&args).before(move |data| {
            put(data, "server.crt", &certificate);
            put(data, "server.key", &key);
        })
    })
}

#[test]
fn two_files_are_exchanged_where_the_risk_is_accepted_and_not_otherwise() {
    for version in versions() {
        for by in Account::current_and_server() {
            let mut living = two_files(*version, &Forge::new("a company's CA"));
            let (before, old) = (living.kept_files(), served(living.port()));
            let words = ["--reissue", "--allow-unseen"];
            let refused = living.secure(&words, &by).run().ended(1);
            refused
                .complains("two files")
                .complains("--accept-crash-window")
                .complains("nothing was changed");
            assert_eq!(living.kept_files(), before);
            assert!(!living.ca_of(&by).exists(), "no CA was made");
            // What is good and stays has no window.
            living.secure(&["--policy", "intermediate"], &by).run().succeeded();
            assert_eq!(served(living.port()), old);
            living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
            assert_eq!(living.kept_files(), before);

            let words = [&words[..], &["--accept-crash-window", "--enforce"]].concat();
            living.secure(&words, &by).run().succeeded();
            assert_ne!(served(living.port()), old);
            assert_eq!(living.shown(), Shown::TlsOnly);
            assert_eq!(living.sql("SHOW ssl_key_file"), "server.key");
            living.restart();
            assert_eq!(living.shown(), Shown::TlsOnly);
            living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
            assert_eq!(living.kept_files(), before);
            assert_eq!(served(living.port()), old);
            record("two files that the command line names are exchanged where the risk is accepted", 1);
        }
    }
}

#[test]
fn one_file_has_no_window_and_may_not_be_there_yet() {
    for version in versions_in_turn(1) {
        let by = Account::current();
        let args = ["-c", "ssl_cert_file=pair.pem", "-c", "ssl_key_file=pair.pem"];
        let mut living = Living::set_up(version, |setup| setup.args(&args));
        let before = living.kept_files();
        living.secure(&["--enforce"], &by).run().succeeded();
        let mode = fs::metadata(living.data().join("pair.pem")).expect("it is there").mode();
        assert_eq!(mode & 0o7777, 0o600);
        living.restart();
        assert_eq!(living.shown(), Shown::TlsOnly);
        living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
        assert_eq!(living.kept_files(), before);
        record("one file that the command line names is exchanged by one rename", 1);
    }
}

/// Killed in the very window: the next start fails, and the next run of pgseal mends that.
#[test]
fn who_accepts_the_window_and_falls_into_it_is_taken_back_by_the_next_run() {
    for version in versions_in_turn(0) {
        let by = Account::current();
        let forge = Forge::new("a company's CA");
        let words = ["--reissue", "--allow-unseen", "--accept-crash-window"];
        let twin = two_files(version, &forge);
        let trace = Trace::new(twin.sandbox());
        twin.secure(&words, &by).traced(&trace).run().succeeded();
        let in_between = |point: &&crate::harness::Point| {
            point.name == "rename" && point.path.ends_with("/server.crt") && point.is_change()
        };
        let number = trace.points().iter().find(in_between).expect("the certificate is renamed").number;

        let mut living = two_files(version, &forge);
        let (before, old) = (living.kept_files(), served(living.port()));
        let trace = Trace::new(living.sandbox());
        let killed = living.secure(&words, &by).killed_at(&trace, number).run();
        assert_eq!(killed.signal(), Some(9), "{killed}");
        living.stop();
        assert!(!living.starts(), "the pair matches: {}", trace.last());
        let next = living.secure(&[], &by).run().ended(3).complains("no server runs on");
        next.complains("was taken back first");
        assert_eq!(living.kept_files(), before);
        living.start();
        assert_eq!(served(living.port()), old);
        record("who falls into the window between two files is taken back by the next run", 1);
    }
}

/// As `ssl-cert-snakeoil` is on Debian: root's, in a folder of root's, readable for the server by its group.
#[test]
fn roots_files_are_roots_afterwards() {
    let by = Account::current();
    if !by.is_root() {
        // Who is not root cannot even make such files: there is nothing to promise.
        return;
    }
    for version in versions_in_turn(1) {
        let Forged { certificate, key } = Forge::new("a company's CA").leaf(&NAMES);
        let mut living = Living::of(version);
        living.stop();
        let folder = living.sandbox().dir_of(&by, "etc-ssl");
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("it is ours");
        let gid = fs::metadata(living.data()).expect("it is there").gid();
        let file = |name: &str, mode: u32, content: &str| {
            let path = folder.join(name);
            fs::write(&path, content).expect("it can be written");
            chown(&path, Some(0), Some(gid)).expect("we are root");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            path
        };
        let (cert, key) = (file("a.crt", 0o644, &certificate), file("a.key", 0o640, &key));
        let args = [("ssl_cert_file", &cert), ("ssl_key_file", &key)]
            .map(|(name, path)| format!("--{name}={}", path.display()));
        living.set_args(&[&args[0], &args[1]]);
        living.append_conf("ssl = on");
        living.start();
        let seen = |path: &PathBuf| {
            let meta = fs::metadata(path).expect("it is there");
            (fs::read(path).expect("we are root"), meta.uid(), meta.gid(), meta.mode() & 0o7777)
        };
        let before = [seen(&cert), seen(&key)];
        let words = ["--reissue", "--allow-unseen", "--accept-crash-window", "--enforce"];
        living.secure(&words, &by).run().ended(3).complains("--write-as-root");
        assert_eq!([seen(&cert), seen(&key)], before);
        let told = ["--write-as-root", folder.to_str().expect("a path of the tests is UTF-8")];
        living.secure(&[&words[..], &told[..]].concat(), &by).run().succeeded();
        for (path, before) in [&cert, &key].into_iter().zip(&before) {
            let now = seen(path);
            assert_ne!(now.0, before.0, "{} is another one", path.display());
            assert_eq!((now.1, now.2, now.3), (before.1, before.2, before.3), "{}", path.display());
        }
        living.restart();
        assert_eq!(living.shown(), Shown::TlsOnly);
        living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
        assert_eq!([seen(&cert), seen(&key)], before);
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 2, "nothing is left beside them");
        record("files of root's that the command line names are root's afterwards", 1);
    }
}
