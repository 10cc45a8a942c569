//! Whoever has taken over the server's user can change what is in `data/`, `tls/`, `run/` and `log/`. A link from there leads
//! pgseal nowhere: what it points to is not read, not changed, not given away and not deleted, by root least of all.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Account, Install, Pictured, Ran, Running, Sealed, picture};

/// A comment, should it ever be taken for a configuration file.
const SECRET: &str = "# canary-4471";

/// A folder that only whoever runs pgseal can read, with a file in it.
struct Canary {
    dir: PathBuf,
    before: std::collections::BTreeMap<PathBuf, Pictured>,
    owner: (u32, u32),
}

impl Canary {
    fn new(sealed: &Sealed, account: &Account) -> Self {
        let sandbox = sealed.sandbox();
        let dir = sandbox.dir_of(account, "canary");
        sandbox.file_of(account, "canary/file", 0o600, &format!("{SECRET}\n"));
        sandbox.dir_of(account, "canary/inner");
        sandbox.file_of(account, "canary/inner/deep", 0o600, &format!("{SECRET}\n"));
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let meta = fs::metadata(&dir).unwrap();
        Self { before: picture(&dir, |_| true), owner: (meta.uid(), meta.mode()), dir }
    }

    #[track_caller]
    fn is_untouched(&self, ran: &Ran) {
        assert_eq!(picture(&self.dir, |_| true), self.before, "{ran}");
        let meta = fs::metadata(&self.dir).unwrap();
        assert_eq!((meta.uid(), meta.mode()), self.owner, "{ran}");
        assert!(!ran.stdout().contains(SECRET) && !ran.stderr().contains(SECRET), "{ran}");
    }
}

/// A shell script of the server's user, in the folder; `$1` is the canary's folder.
fn as_the_server(sealed: &Sealed, canary: &Canary, script: &str) -> Ran {
    let server = Account::owner_of(&sealed.at("data"));
    let mut command = server.command("sh", Path::new("/"));
    command.current_dir(sealed.dir()).arg("-c").arg(script).arg("sh").arg(&canary.dir);
    Running::start(command, b"").wait(Duration::from_secs(30))
}

#[test]
fn links_to_what_is_not_the_servers_lead_nowhere() {
    // Each in a folder of its own, as one would do it: with the server running.
    let attacks = [
        "ln -sf $1/file tls/server-with-key.pem; ln -sf $1/file tls/server.crt",
        "ln -s $1 data/link; ln -s $1 data/pg_tblspc/4711; ln -s $1/inner log/inner; ln -s / run/root; ln -s $1 tls/x",
        "rm -f data/pg_hba.conf data/postgresql.auto.conf; ln -s $1/file data/pg_hba.conf; \
         ln -s $1/file data/postgresql.auto.conf",
        "rm -rf run/.s*; ln -s $1/file run/.s.PGSQL.5432; mkfifo data/fifo run/fifo log/fifo tls/fifo",
        "mkdir -p \"data/$(printf 'new\\nline')/..dots\"; ln -s $1 \"data/$(printf 'new\\nline')/..dots/\u{1b}[2J\"",
    ];
    for account in Account::both() {
        for attack in attacks {
            let sealed = Sealed::with(&Install::of(15), &account, &[]);
            let canary = Canary::new(&sealed, &account);
            as_the_server(&sealed, &canary, attack).succeeded();
            for words in
                [&["verify", "sealed"][..], &["status", "sealed"], &["verify", "sealed", "--format", "json"]]
            {
                canary.is_untouched(&sealed.pgseal().args(words.to_vec()).run());
            }
            canary.is_untouched(&sealed.pgseal().args(["down", "sealed"]).run());
            canary.is_untouched(&sealed.up());
            let removed = sealed.pgseal().args(["down", "--remove", "--yes", "sealed"]).run();
            canary.is_untouched(&removed);
            assert_eq!(removed.code(), Some(0), "{attack}: {removed}");
            assert!(!sealed.dir().exists(), "{attack}: {removed}");
        }
    }
}

#[test]
fn the_log_may_lead_somewhere_but_root_never_follows_it() {
    let account = Account::current();
    let sealed = Sealed::of(15);
    let canary = Canary::new(&sealed, &account);
    sealed.pgseal().args(["down", "sealed"]).run().succeeded();
    as_the_server(&sealed, &canary, "rm log/postgresql.log; ln -s $1/file log/postgresql.log").succeeded();
    if account.is_root() {
        let ran = sealed.pgseal().args(["up", "sealed"]).run().ended(3).complains("Permission denied");
        canary.is_untouched(&ran);
    }
    as_the_server(&sealed, &canary, "rm -f log/postgresql.log; ln -s /dev/full log/postgresql.log")
        .succeeded();
    canary.is_untouched(&sealed.pgseal().args(["up", "sealed"]).run());
    canary.is_untouched(&sealed.pgseal().args(["down", "--remove", "--yes", "sealed"]).run().succeeded());
}

#[test]
fn the_folders_themselves_are_not_the_servers_to_replace() {
    for account in Account::both() {
        let sealed = Sealed::with(&Install::of(15), &account, &[]);
        let canary = Canary::new(&sealed, &account);
        let mut replaced = Vec::new();
        for name in ["log", "run", "tls", "data", "ca", "client"] {
            let script = format!("mv {name} {name}.away && ln -s $1 {name}");
            let ran = as_the_server(&sealed, &canary, &script);
            if account.is_root() {
                assert_ne!(ran.code(), Some(0), "{name} is in root's folder: {ran}");
            } else {
                // An ordinary user's server is that user.
                ran.succeeded();
                replaced.push(name);
            }
        }
        for words in [&["verify"][..], &["status"], &["up"], &["down"], &["down", "--remove", "--yes"]] {
            let ran = sealed.pgseal().args(words.to_vec()).arg("sealed").run();
            canary.is_untouched(&ran);
            assert!(!ran.stderr().contains("panicked"), "{ran}");
        }
        // What was moved aside is a stranger's file, and stays.
        for name in replaced {
            assert!(sealed.at(&format!("{name}.away")).exists());
        }
    }
}

#[test]
fn what_a_server_leaves_in_its_folder_is_removed_however_odd() {
    for account in Account::both() {
        let sealed = Sealed::with(&Install::of(15), &account, &[]);
        let canary = Canary::new(&sealed, &account);
        sealed.pgseal().args(["down", "sealed"]).run().succeeded();
        let script = "cd data; mkdir many; cd many; i=0; while [ $i -lt 2000 ]; do : >$i; i=$((i+1)); done; cd ..; \
                      i=0; while [ $i -lt 150 ]; do mkdir d; cd d; i=$((i+1)); done; : >deep; ln -s $1 link; \
                      chmod 0500 link/.. 2>/dev/null; chmod 400 deep";
        as_the_server(&sealed, &canary, script);
        let removed = sealed.pgseal().args(["down", "--remove", "--yes", "sealed"]).run().succeeded();
        canary.is_untouched(&removed);
        assert!(!sealed.dir().exists());
    }
}

#[test]
fn a_server_that_lies_about_itself_is_believed_no_further_than_its_own_user() {
    for account in Account::both() {
        let sealed = Sealed::with(&Install::of(15), &account, &[]);
        let canary = Canary::new(&sealed, &account);
        // It hides: the number is gone, and it goes on working in the data folder.
        let script = "mv data/postmaster.pid data/hidden; echo 4194305 >data/postmaster.pid";
        as_the_server(&sealed, &canary, script).succeeded();
        let ran = sealed.pgseal().args(["status", "sealed"]).run();
        assert_eq!(ran.code(), Some(1), "{ran}");
        as_the_server(&sealed, &canary, "mv data/hidden data/postmaster.pid").succeeded();
        // It claims another port, so another server is at work there as far as anybody can tell.
        let script = "sed -i 4s/.*/1/ data/postmaster.pid";
        as_the_server(&sealed, &canary, script).succeeded();
        sealed.pgseal().args(["verify", "sealed"]).run().ended(3).complains("it listens on port 1");
        let removed = sealed.pgseal().args(["down", "--remove", "--yes", "sealed"]).run().succeeded();
        canary.is_untouched(&removed);
        assert!(!sealed.dir().exists());
    }
}
