//! Ctrl-C, SIGTERM and SIGKILL at any moment of `up`. After the first two nothing is left, or a finished folder; after the
//! third the next `up` ends proved. Nothing of a cut-off run is at work any more when the next command has ended.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::{
    Account, Dice, Install, Pgseal, Port, Ran, Running, Sandbox, Sealed, Signal, all_hold, record, samples,
};

const LIMIT: Duration = Duration::from_secs(60);
/// Of the moments, how many lie after the last thing that `up` does, in percent: the end is to be met, too.
const BEYOND: u32 = 10;

/// One `up`, so often as is wanted, and the moments at which it is cut off.
struct Attempts {
    sandbox: Sandbox,
    account: Account,
    port: Port,
    dir: PathBuf,
    /// How long an undisturbed one takes here.
    whole: Duration,
    dice: Dice,
}

impl Attempts {
    fn new(account: &Account, label: &str) -> Self {
        let sandbox = Sandbox::new();
        let dir = Pgseal::new(&sandbox).by(account).work_dir().join("sealed");
        let dice = Dice::new(&format!("{label} {}", account.uid()));
        let mut attempts =
            Self { sandbox, account: account.clone(), port: Port::free(), dir, whole: Duration::ZERO, dice };
        let begun = Instant::now();
        attempts.up().wait(LIMIT).succeeded();
        attempts.whole = begun.elapsed();
        attempts.remove();
        attempts
    }

    fn up(&self) -> Running {
        Pgseal::new(&self.sandbox)
            .by(&self.account)
            .args(["up", "sealed", "--format", "json", "-p", &self.port.number().to_string()])
            .bindir(&Install::of(15))
            .start()
    }

    /// Starts one and sends it a signal at a moment drawn by the dice.
    fn cut_off(&mut self, signal: Signal) -> Ran {
        let up = self.up();
        let percent = self.dice.below(100 + BEYOND);
        std::thread::sleep(self.whole * percent / 100);
        up.signal(signal);
        up.wait(LIMIT)
    }

    fn remove(&self) {
        let down = Pgseal::new(&self.sandbox).by(&self.account).args(["down", "sealed", "--remove", "--yes"]);
        down.run().succeeded();
        self.nothing_is_left();
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        let work = self.dir.parent().unwrap();
        let left: Vec<_> = fs::read_dir(work).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "left: {left:?}");
        assert_eq!(at_work_in(&self.dir), Vec::<String>::new());
    }
}

/// The command lines of all that name the folder or work in it, zombies apart.
fn at_work_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let home = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let named = line.contains(dir.to_str().unwrap()) || home.starts_with(dir);
            (named && entry.file_name() != *std::process::id().to_string()).then_some(line)
        })
        .collect()
}

#[test]
fn an_interrupted_up_leaves_nothing_or_a_finished_folder() {
    let per_account = samples(200) / u32::try_from(Account::both().len()).unwrap();
    for account in Account::both() {
        let mut attempts = Attempts::new(&account, "interrupted");
        let (mut finished, mut undone) = (0, 0);
        for round in 0..per_account {
            let (signal, code) = match round % 3 {
                0 => (Signal::INT, 130),
                1 => (Signal::TERM, 143),
                _ => (Signal::HUP, 129),
            };
            let ran = attempts.cut_off(signal);
            match ran.code() {
                Some(0) => {
                    all_hold(&ran);
                    attempts.remove();
                    finished += 1;
                }
                Some(other) => {
                    assert_eq!(other, code, "{ran}");
                    assert!(ran.stderr().contains("interrupted by"), "{ran}");
                    assert!(!ran.stderr().contains("could not"), "{ran}");
                    attempts.nothing_is_left();
                    undone += 1;
                }
                // Before anything was listened for, and so before anything was begun.
                None => {
                    assert_eq!(ran.signal(), Some(signal.as_raw()), "{ran}");
                    attempts.nothing_is_left();
                }
            }
        }
        eprintln!("{}: {undone} undone, {finished} finished", account.name());
        assert!(undone > per_account / 2, "only {undone} of {per_account} were cut off");
    }
    record("an interrupted up leaves nothing or a finished folder", per_account * 2);
}

#[test]
fn a_killed_up_is_finished_by_the_next() {
    let per_account = samples(200) / u32::try_from(Account::both().len()).unwrap();
    for account in Account::both() {
        let mut attempts = Attempts::new(&account, "killed");
        for _ in 0..per_account {
            let killed = attempts.cut_off(Signal::KILL);
            // At once: what the killed one ran may still be dying.
            let next = attempts.up().wait(LIMIT);
            all_hold(&next);
            assert!(killed.code().is_none() || killed.code() == Some(0), "{killed}");
            assert!(!attempts.dir.join(".unfinished").exists());
            assert_eq!(attempts.dir.join("data").read_dir().unwrap().filter(is_initdb_s_rubbish).count(), 0);
            attempts.remove();
        }
    }
    record("a killed up is finished by the next", per_account * 2);
}

/// What an initdb leaves that somebody else's initdb ran into.
fn is_initdb_s_rubbish(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".tmp"))
}

#[test]
fn ctrl_c_in_a_terminal_reaches_all_and_still_leaves_nothing() {
    for account in Account::both() {
        let mut attempts = Attempts::new(&account, "terminal");
        let mut cut_off = 0;
        for _ in 0..samples(50) {
            let up = attempts.up();
            let percent = attempts.dice.below(80);
            std::thread::sleep(attempts.whole * percent / 100);
            // The whole process group, several times, as people do.
            for _ in 0..3 {
                up.signal_group(Signal::INT);
                std::thread::sleep(Duration::from_millis(3));
            }
            let ran = up.wait(LIMIT);
            assert!(!ran.stderr().contains("could not"), "{ran}");
            if ran.code() == Some(0) {
                // Quicker than the one that was measured, on a busy machine.
                attempts.remove();
                continue;
            }
            assert!(ran.code() == Some(130) || ran.signal() == Some(2), "{ran}");
            attempts.nothing_is_left();
            cut_off += 1;
        }
        assert!(cut_off > samples(50) / 3, "only {cut_off} of {} were cut off", samples(50));
    }
    record("Ctrl-C pressed several times leaves nothing", samples(50) * 2);
}

#[test]
fn an_interrupted_up_of_a_folder_with_data_takes_nothing_away() {
    let sealed = Sealed::of(15);
    let mut dice = Dice::new("interrupted again");
    sealed.sql("CREATE TABLE kept AS SELECT 42 AS answer");
    for round in 0..samples(100) {
        if round % 2 == 0 {
            sealed.pgseal().args(["down", "sealed"]).run().succeeded();
        }
        let up = sealed.pgseal().args(["up", "sealed"]).start();
        std::thread::sleep(Duration::from_millis(u64::from(dice.below(300))));
        up.signal(if dice.below(3) == 0 { Signal::KILL } else { Signal::INT });
        let ran = up.wait(LIMIT);
        assert!(matches!(ran.code(), None | Some(0 | 130)), "{ran}");
        assert!(sealed.at("data/PG_VERSION").exists() && sealed.at("ca/server-ca.key").exists());
    }
    all_hold(&sealed.up());
    assert_eq!(sealed.sql("SELECT answer FROM kept"), "42");
    record("an interrupted up of a folder with data takes nothing away", samples(100));
}

#[test]
fn a_folder_that_was_never_finished_is_said_to_be_so_and_can_be_removed() {
    for account in Account::both() {
        let mut attempts = Attempts::new(&account, "unfinished");
        while !attempts.dir.join(".unfinished").exists() {
            if attempts.dir.exists() {
                attempts.remove();
            }
            attempts.cut_off(Signal::KILL);
        }
        let verb =
            |words: &[&str]| Pgseal::new(&attempts.sandbox).by(&account).args(words.to_vec()).arg("sealed");
        for words in [&["status"][..], &["verify"], &["down"]] {
            verb(words).run().ended(3).complains("was never finished").complains("pgseal up");
        }
        verb(&["down", "--remove", "--yes"]).run().succeeded();
        attempts.nothing_is_left();
    }
}

/// As root: the data folder belongs to whom the first `up` was to run as, not to whom the next one is.
#[test]
fn a_folder_that_was_to_be_another_users_is_begun_anew_for_this_one() {
    let (account, other) = (Account::current(), Account::ordinary());
    let sandbox = Sandbox::new();
    let up = |options: &[&str]| {
        let up = Pgseal::new(&sandbox)
            .args(["up", "sealed", "-p", "0", "--format", "json"])
            .args(options.to_vec());
        up.bindir(&Install::of(15)).start()
    };
    let dir = sandbox.dir_of(&account, &format!("work-{}", account.uid())).join("sealed");
    let name = other.name();
    let killed = up(&["--run-as", &name]);
    while !dir.join("data/PG_VERSION").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    killed.signal(Signal::KILL);
    killed.wait(LIMIT);
    assert!(dir.join(".unfinished").exists(), "it was to be cut off within initdb");
    assert_eq!(Account::owner_of(&dir.join("data")), other);
    all_hold(&up(&[]).wait(LIMIT));
    assert_eq!(Account::owner_of(&dir.join("data")), Account::server());
    // And in the moment between making a folder and giving it away.
    for gone in ["down --remove --yes sealed", "up sealed -p 0"] {
        if dir.exists() {
            Pgseal::new(&sandbox).args(["down", "--remove", "--yes", "sealed"]).run().succeeded();
        }
        sandbox.dir_of(&account, dir.strip_prefix(sandbox.path()).unwrap().to_str().unwrap());
        let inside = |name: &str| format!("{}/{name}", dir.strip_prefix(sandbox.path()).unwrap().display());
        sandbox.file_of(&account, &inside(".unfinished"), 0o644, "");
        fs::write(dir.join(".unfinished"), "pgseal up was cut off; the next one starts anew\n").unwrap();
        sandbox.dir_of(&account, &inside("data"));
        fs::set_permissions(dir.join("data"), fs::Permissions::from_mode(0o700)).unwrap();
        let words: Vec<&str> = gone.split(' ').collect();
        Pgseal::new(&sandbox).args(words).run().succeeded();
    }
}

/// Half of a cluster is never started again: what was to go goes, or is begun anew.
#[test]
fn a_removal_that_is_cut_off_is_finished_by_the_next_command() {
    let mut halves = 0;
    for account in Account::both() {
        let mut attempts = Attempts::new(&account, "removal");
        let remove = || {
            let down = Pgseal::new(&attempts.sandbox).by(&account);
            down.args(["down", "sealed", "--remove", "--yes"])
        };
        attempts.up().wait(LIMIT).succeeded();
        let begun = Instant::now();
        remove().run().succeeded();
        let whole = begun.elapsed();
        for round in 0..samples(50) {
            attempts.up().wait(LIMIT).succeeded();
            let down = remove().start();
            let percent = attempts.dice.below(100);
            std::thread::sleep(whole * percent / 100);
            down.signal(Signal::KILL);
            down.wait(LIMIT);
            let half = attempts.dir.join(".unfinished").exists();
            halves += u32::from(half);
            if round % 2 == 0 {
                let up = attempts.up().wait(LIMIT);
                all_hold(&up);
                // What was begun anew has another certificate, what had not been touched has its own.
                assert!(!half || up.json()["state"] == "created", "{up}");
            }
            let removed = remove().run();
            assert!(
                removed.code() == Some(0) || removed.stderr().contains("there is no folder"),
                "{removed}"
            );
            attempts.nothing_is_left();
        }
    }
    assert!(halves > 0, "none was cut off in the middle");
    record("a removal that is cut off is finished by the next command", samples(50) * 2);
}

/// A postmaster works in its folder a moment before it writes postmaster.pid. Whoever comes just then, after an `up` that was
/// killed, meets a server and not nothing. Here that moment lasts as long as a wrapper sleeps that is called postgres.
#[test]
fn a_server_that_has_not_yet_said_that_it_runs_is_waited_for() {
    let sealed = Sealed::of(15);
    sealed.pgseal().args(["down", "sealed"]).run().succeeded();
    for verb in ["up", "down"] {
        let postgres = Install::of(15).program("postgres");
        let mut starting = sealed.account().command("sh", Path::new("/"));
        // Its name is what /proc tells of it, as of the server that it becomes.
        let script =
            "echo postgres >/proc/$$/comm; echo up; sleep 0.3; exec \"$0\" -D . >>../log/postgresql.log 2>&1";
        starting.current_dir(sealed.data()).arg("-c").arg(script).arg(postgres);
        let starting = Running::start(starting, b"");
        starting.wait_until_it_says("up", Duration::from_secs(10));
        let ran = sealed.pgseal().args([verb, "sealed", "--format", "json"]).run();
        match verb {
            "up" => {
                all_hold(&ran);
                assert_eq!(ran.json()["state"], "running");
                sealed.pgseal().args(["down", "sealed"]).run().succeeded();
            }
            _ => assert_eq!(ran.succeeded().json()["stopped_pid"], starting.pid()),
        }
        starting.wait(Duration::from_secs(20)).succeeded();
    }
}
