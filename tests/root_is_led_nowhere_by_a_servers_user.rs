//! Whoever has taken over the server's user can put anything at every path that root's `secure` looks at, and exchange it
//! while it looks. Root is led nowhere by that: what only root may read is not opened, not shown, not copied, not given
//! away; nobody is signalled but this very server; a socket of somebody else's is told nothing.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::harness::{
    Account, Bystander, Canary, Dice, Living, PASSWORD, Ran, Running, Trace, picture, record, samples,
    some_of, versions_in_turn,
};

/// Two paths that change places all the time, each time by one rename.
struct Exchange {
    over: Arc<AtomicBool>,
    times: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
    paths: [PathBuf; 2],
    inode: u64,
}

impl Exchange {
    /// `path`, and a link of the same user's that leads to `to`.
    fn of(living: &Living, path: &Path, to: &Path) -> Self {
        let link = path.with_file_name("swap");
        symlink(to, &link).unwrap();
        lchown(&link, Some(living.account().uid()), None).unwrap();
        let inode = inode_of(path);
        let (over, times) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (ended, count, paths) = (Arc::clone(&over), Arc::clone(&times), [path.to_owned(), link]);
        let [one, other] = paths.clone();
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                let turn = count.fetch_add(1, Ordering::Relaxed);
                // Now and then long enough for whole steps to fall on either side.
                thread::sleep(Duration::from_micros(if turn % 16 < 2 { 20_000 } else { 200 }));
            }
        });
        Self { over, times, thread: Some(thread), paths, inode }
    }

    /// Ends it; what was there is there.
    fn end(mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        assert!(self.times.load(Ordering::Relaxed) > 0, "it was exchanged meanwhile");
        let [path, link] = &self.paths;
        // A rename of ours may have put a new file in the place of the link.
        if fs::symlink_metadata(path).unwrap().is_symlink() || inode_of(link) == self.inode {
            renameat_with(CWD, path, CWD, link, RenameFlags::EXCHANGE).unwrap();
        }
        fs::remove_file(link).unwrap();
    }
}

fn inode_of(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::symlink_metadata(path).unwrap())
}

fn root() -> Account {
    Account::current()
}

/// What root may ask of a living server.
const ASKED: [(&str, &[&str]); 8] = [
    ("secure", &["--enforce", "--even-if-locked-out"]),
    ("verify", &[]),
    ("undo", &["--allow-insecure"]),
    ("secure", &["--dry-run", "--enforce"]),
    ("sessions", &[]),
    ("secure", &["--reissue", "--auth", "scram-sha-256"]),
    ("history", &[]),
    ("secure", &["--check"]),
];

/// All of it in a soak, and some of it, in turn, below.
fn runs(living: &Living, turn: usize) -> impl Iterator<Item = Ran> {
    let count = usize::try_from(samples(30)).unwrap().min(ASKED.len());
    ASKED.iter().cycle().skip(turn * count).take(count).map(|(verb, words)| match *verb {
        "secure" if !words.contains(&"--check") => living.secure(words, &root()).run(),
        verb => living.verb(verb, words, &root()).run(),
    })
}

/// A file of the data directory, and what of the canary a link in its place leads to.
const EXCHANGED: &[(&str, &str)] = &[
    ("pg_hba.conf", "pg_hba.conf"),
    ("users", "names"),
    ("more.conf", "pg_hba.conf"),
    ("postgresql.conf", "postgresql.conf"),
    ("included.conf", "postgresql.conf"),
    ("postgresql.auto.conf", "postgresql.conf"),
    ("PG_VERSION", "names"),
    ("postmaster.opts", "names"),
    ("postmaster.pid", "postmaster.pid"),
    ("global/pg_control", "names"),
    ("global", "data"),
    ("../data-tls", "."),
    ("../data-tls/server-with-key.pem", "server-with-key.pem"),
    ("../data-tls/ca.crt", "server-with-key.pem"),
    ("../data", "data"),
    ("..", "."),
];

#[test]
fn what_is_exchanged_while_root_looks_is_not_followed() {
    let mut tries = 0;
    let mut dice = Dice::new("exchanged");
    for (nth, (name, to)) in some_of(EXCHANGED.to_vec(), samples(40), &mut dice).into_iter().enumerate() {
        for version in versions_in_turn(nth) {
            tries += exchanged(nth, version, name, to);
        }
    }
    record("what a server's user exchanges while root looks is not followed", tries);
}

fn exchanged(turn: usize, version: u32, name: &str, to: &str) -> u32 {
    let living = Living::set_up(version, |setup| {
        // `..` of the data directory is a folder of the server's user, too.
        setup.data_at("inner/data").before(move |data| {
            let owner = Account::owner_of(data);
            let add = |name: &str, content: &str| {
                let path = data.join(name);
                let text = fs::read_to_string(&path).unwrap_or_default();
                fs::write(&path, format!("{text}{content}")).unwrap();
                owner.own(&path);
            };
            add("users", "app postgres\n");
            add("included.conf", "work_mem = '5MB'\n");
            add("postgresql.conf", "\ninclude 'included.conf'\n");
            add("pg_hba.conf", "host all @users 127.0.0.2/32 scram-sha-256\n");
            if version >= 16 {
                add("more.conf", "host all all 127.0.0.3/32 scram-sha-256\n");
                add("pg_hba.conf", "include more.conf\n");
            } else {
                add("more.conf", "app\n");
                add("pg_hba.conf", "host @more.conf all 127.0.0.3/32 scram-sha-256\n");
            }
        })
    });
    living.secured(&root());
    let canary = Canary::new(living.sandbox());
    let path = living.data().join(name);
    let path = match name {
        ".." => living.data().parent().unwrap().to_owned(),
        "../data" => living.data().to_owned(),
        _ => path.parent().unwrap().canonicalize().unwrap().join(path.file_name().unwrap()),
    };
    let exchange = Exchange::of(&living, &path, &canary.at(to));
    let mut tries = 0;
    for _ in 0..samples(2) {
        for ran in runs(&living, turn) {
            assert!(matches!(ran.code(), Some(0..=4)), "{name}: {ran}");
            canary.is_untouched(&ran);
            tries += 1;
        }
    }
    exchange.end();
    Canary::is_not_in(&living.journal_of(&root()));
    Canary::is_not_in(living.data().parent().unwrap());
    // With the real one back in its place everything comes to an end that is proved.
    assert_eq!(living.sql("SELECT 1"), "1");
    let ran = living.secure(&["--enforce", "--even-if-locked-out", "--allow-unseen"], &root()).run();
    assert_eq!(ran.code(), Some(0), "{name}: {ran}");
    living.psql("disable").run("SELECT 1").ended(2);
    tries
}

/// Not by chance, but just before each single look.
#[test]
fn what_is_exchanged_before_any_look_of_roots_is_not_followed() {
    let mut dice = Dice::new("exchanged before a look");
    for (nth, name) in ["..", "../data", "pg_hba.conf"].into_iter().enumerate() {
        for version in versions_in_turn(nth) {
            let living = Living::set_up(version, |setup| setup.data_at("inner/data"));
            let canary = Canary::new(living.sandbox());
            let (path, to) = match name {
                ".." => (living.data().parent().unwrap().to_owned(), canary.at(".")),
                "../data" => (living.data().to_owned(), canary.at("data")),
                name => (living.data().join(name), canary.at(name)),
            };
            let link = path.with_file_name("swap");
            symlink(to, &link).unwrap();
            lchown(&link, Some(living.account().uid()), None).unwrap();
            let exchange = || renameat_with(CWD, &path, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            let before = living.kept_files();
            let secure = || living.secure(&["--enforce", "--dry-run"], &root());
            let trace = Trace::new(living.sandbox());
            secure().traced(&trace).run().succeeded();
            let points = trace.points();
            let count = samples(u32::try_from(points.len()).unwrap());
            // With the first ones it is found out whose directory it is.
            let (first, rest) = points.split_at(7);
            for point in first.iter().cloned().chain(some_of(rest.to_vec(), count, &mut dice)) {
                let trace = Trace::new(living.sandbox());
                let run = secure().held_at(&trace, point.number).start();
                trace.wait_for(point.number);
                exchange();
                trace.go();
                let ran = run.wait(Duration::from_secs(60));
                exchange();
                eprintln!("{name} before {} of {}", point.name, point.path);
                assert!(matches!(ran.code(), Some(0 | 1 | 3)), "{ran}");
                canary.is_untouched(&ran);
            }
            assert_eq!(living.kept_files(), before);
            secure().run().succeeded();
            record("what is exchanged before a look of root's is not followed", count + 7);
        }
    }
}

/// A link of the server's user at the place of its configuration: to a file of root's that is no server's, but that
/// anybody may read and PostgreSQL takes for an empty one.
#[test]
fn a_link_to_a_file_of_roots_has_root_write_nothing_there() {
    for version in versions_in_turn(1) {
        let mut living = Living::of(version);
        living.stop();
        let folder = living.sandbox().dir_of(&root(), "etc-of-root");
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let environment = folder.join("environment");
        fs::write(&environment, "# of root's\n").unwrap();
        let conf = living.data().join("postgresql.conf");
        // Its user says the rest where ALTER SYSTEM does.
        let auto = living.data().join("postgresql.auto.conf");
        fs::copy(&conf, &auto).unwrap();
        fs::remove_file(&conf).unwrap();
        symlink(&environment, &conf).unwrap();
        lchown(&conf, Some(living.account().uid()), None).unwrap();
        living.start();
        let before = living.kept_files();
        let ran = living.secure(&["--enforce"], &root()).run().ended(3).complains("belongs to root");
        let ran = ran.complains(&environment.display().to_string()).complains("nothing was changed");
        assert_eq!(fs::read_to_string(&environment).unwrap(), "# of root's\n", "{ran}");
        assert_eq!(living.kept_files(), before, "{ran}");
        // What the plan shows is the file that would be written.
        let plan = living.secure(&["--dry-run"], &root()).run().succeeded();
        plan.says(&format!("+++ {} (", environment.display()));
        for (word, why) in
            [("/etc", "more than a server's configuration"), ("/nowhere/at/all", "No such file")]
        {
            living.secure(&["--write-as-root", word], &root()).run().ended(2).complains(why);
        }
        record("a link to a file of root's has root write nothing there", 1);
    }
}

/// Links that stay, from the beginning: to what is root's, and to another user's server.
#[test]
fn a_folder_that_says_it_was_made_by_up_leads_to_no_other_server() {
    for version in versions_in_turn(0) {
        let (living, other) = (Living::of(version), Living::of(version));
        let canary = Canary::new(living.sandbox());
        living.write("pgseal.toml", "format = 1\n");
        let before = other.kept_files();
        for to in [canary.at("data"), other.data().to_owned()] {
            let link = living.data().join("data");
            symlink(&to, &link).unwrap();
            lchown(&link, Some(living.account().uid()), None).unwrap();
            for verb in ["secure", "verify", "sessions", "history", "undo"] {
                let ran = match verb {
                    "secure" => living.secure(&["--enforce"], &root()).run(),
                    _ => living.verb(verb, &[], &root()).run(),
                };
                canary.is_untouched(&ran);
                // `verify` asks first whose such a folder is.
                let said =
                    if verb == "verify" { "belongs to postgres, not to you" } else { "pgseal up makes none" };
                let ran = ran.ended(3).complains(said);
                assert!(!ran.stdout().contains(&other.data().display().to_string()), "{ran}");
            }
            fs::remove_file(link).unwrap();
        }
        assert_eq!(other.kept_files(), before);
        other.psql("disable").run("SELECT 1").succeeded();
    }
}

#[test]
fn a_pid_in_a_file_is_a_claim() {
    for version in versions_in_turn(1) {
        let (living, other) = (Living::of(version), Living::of(version));
        let server = living.account();
        let bystanders = [
            Bystander::new(&server, Path::new("/")),
            Bystander::new(&server, living.data()),
            Bystander::new(&root(), Path::new("/")),
            Bystander::new(&Account::ordinary(), Path::new("/")),
        ];
        let theirs = bystanders.iter().map(|one| one.pid().to_string());
        let real = living.read("postmaster.pid");
        let (_, rest) = real.split_once('\n').unwrap();
        let others: i64 = other.pid().unwrap().into();
        let log = other.log_text();
        let claims = ["1", "-1", "0", "-4711", "2147483648", "99999999999999999999", "garbage"];
        let claims = claims.into_iter().map(str::to_owned).chain([others.to_string()]).chain(theirs);
        let (before, own_log) = (living.kept_files(), living.log_text());
        for claim in claims {
            living.write("postmaster.pid", &format!("{claim}\n{rest}"));
            for words in [&["--enforce"][..], &["--dry-run"]] {
                let ran = living.secure(words, &root()).run().ended(3).complains("postmaster.pid");
                ran.complains("no process was signalled");
            }
            living.verb("verify", &[], &root()).run().ended(3).complains("postmaster.pid");
            assert_eq!(living.kept_files(), before, "{claim}");
        }
        living.write("postmaster.pid", &real);
        for bystander in &bystanders {
            bystander.was_left_alone();
        }
        assert_eq!(other.log_text(), log, "another server hears nothing of it");
        assert_eq!(living.log_text(), own_log);
        living.secure(&["--enforce"], &root()).run().succeeded();
        record("a pid in a file is a claim", 11);
    }
}

/// Between the plan and the reload, and before the rollback: whom the file names then is nobody's server either.
#[test]
fn a_pid_that_changes_midway_takes_the_change_back_and_signals_nobody() {
    for version in versions_in_turn(0) {
        let living = Living::of(version);
        let bystander = Bystander::new(&living.account(), living.data());
        let before = living.kept_files();
        let real = living.read("postmaster.pid");
        let (_, rest) = real.split_once('\n').unwrap();
        let trace = Trace::new(living.sandbox());
        let secure = living.secure(&["--enforce"], &root()).held_at_step(&trace, "before the reload").start();
        trace.wait_for_step("before the reload");
        living.write("postmaster.pid", &format!("{}\n{rest}", bystander.pid()));
        trace.go();
        let ran = secure.wait(Duration::from_secs(120)).ended(3);
        ran.complains(&format!("names process {}", bystander.pid())).complains("no process was signalled");
        bystander.was_left_alone();
        living.write("postmaster.pid", &real);
        living.verb("undo", &[], &root()).run().succeeded();
        assert_eq!(living.kept_files(), before);
        bystander.was_left_alone();
        living.psql("disable").run("SELECT 1").succeeded();
    }
}

/// Listens at a path in that user's name and notes down whatever it is told.
fn listener(account: &Account, socket: &Path, heard: &Path) -> Running {
    let script = "use IO::Socket::UNIX; unlink $ARGV[0]; umask 0;
        my $s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 9) or die $!; $| = 1; print \"up\\n\";
        while (my $c = $s->accept) { my $b; open(my $f, '>>', $ARGV[1]) or die $!;
          while (sysread($c, $b, 4096)) { syswrite($f, $b); syswrite($c, 'R' . pack('NN', 8, 3)); } }";
    let mut command = account.command("perl", Path::new("/"));
    command.current_dir("/").args(["-e", script]).arg(socket).arg(heard);
    let running = Running::start(command, b"");
    running.wait_until_it_says("up", Duration::from_secs(20));
    running
}

#[test]
fn a_socket_of_somebody_elses_is_told_nothing() {
    for (nth, account) in [Account::ordinary(), Account::server(), root()].into_iter().enumerate() {
        for version in versions_in_turn(nth) {
            // Where anybody may put a socket, and take another's away.
            let living = Living::set_up(version, |setup| {
                setup.before(|data| {
                    let open = data.with_file_name("open");
                    fs::create_dir(&open).unwrap();
                    fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
                    let conf = fs::read_to_string(data.join("postgresql.conf")).unwrap();
                    let line = format!("{conf}\nunix_socket_directories = '{}'\n", open.display());
                    fs::write(data.join("postgresql.conf"), line).unwrap();
                })
            });
            let heard = living.sandbox().dir_of(&account, "heard").join("all");
            let socket = living.socket_dir().join(format!(".s.PGSQL.{}", living.port()));
            let _listens = listener(&account, &socket, &heard);
            let before = living.kept_files();
            for by in Account::current_and_server() {
                for ran in [
                    living.secure(&["--enforce"], &by).run(),
                    living.verb("verify", &[], &by).run(),
                    living.verb("sessions", &[], &by).run(),
                ] {
                    let ran = ran.ended(3).complains("is not this server's socket").never_mentions(PASSWORD);
                    ran.complains(&format!("of uid {} listens there", account.uid()))
                        .complains("nothing was sent");
                }
            }
            assert_eq!(fs::read(&heard).unwrap_or_default(), b"", "what it heard");
            assert_eq!(living.kept_files(), before);
            living.psql("disable").run("SELECT 1").succeeded();
            record("a socket of somebody else's is told nothing", 6);
        }
    }
}

/// What the server's own user may read, and nothing more, is read for it.
#[test]
fn files_that_the_server_names_are_read_in_its_name() {
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        let canary = Canary::new(living.sandbox());
        let conf = living.read("postgresql.conf");
        let named = |name: &str| canary.at(name).display().to_string();
        let settings = [
            format!("hba_file = '{}'", named("pg_hba.conf")),
            format!("ssl_cert_file = '{0}'\nssl_key_file = '{0}'", named("server-with-key.pem")),
            format!("ssl_ca_file = '{}'", named("server-with-key.pem")),
            format!("include_if_exists '{}'", named("postgresql.conf")),
            format!("include_dir '{}'", named("data")),
        ];
        for (nth, setting) in settings.into_iter().enumerate() {
            living.write("postgresql.conf", &format!("{conf}\n{setting}\n"));
            living.reload();
            for ran in runs(&living, nth) {
                assert!(matches!(ran.code(), Some(0..=4)), "{setting}: {ran}");
                canary.is_untouched(&ran);
            }
            Canary::is_not_in(&living.journal_of(&root()));
            living.write("postgresql.conf", &conf);
            living.reload();
        }
        let all = picture(living.data(), |_| true);
        assert!(
            all.keys().all(|path| !path.ends_with("server-with-key.pem")),
            "no key was put anywhere else"
        );
    }
}
