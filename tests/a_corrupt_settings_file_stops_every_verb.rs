//! `pgseal.toml` decides whom a server runs as and which programs are run. Cut off, garbled, from another version or hostile:
//! every verb says so with the line, ends 3, and has started, stopped and changed nothing.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::{Account, Dice, Install, Ran, Sealed, picture, record, samples};

const VERBS: [&[&str]; 5] = [&["up"], &["status"], &["verify"], &["down"], &["down", "--remove", "--yes"]];

struct Toml<'s> {
    sealed: &'s Sealed,
    good: String,
}

impl<'s> Toml<'s> {
    fn of(sealed: &'s Sealed) -> Self {
        Self { sealed, good: fs::read_to_string(sealed.at("pgseal.toml")).unwrap() }
    }

    fn write(&self, content: impl AsRef<[u8]>) {
        fs::write(self.sealed.at("pgseal.toml"), content).unwrap();
    }

    /// The good one with a line replaced.
    #[track_caller]
    fn with(&self, key: &str, value: &str) -> String {
        let mut found = false;
        let lines = self.good.lines().map(|line| {
            let hit = line.starts_with(&format!("{key} = "));
            found |= hit;
            if hit { format!("{key} = {value}\n") } else { format!("{line}\n") }
        });
        let text = lines.collect();
        assert!(found, "{key} is not in\n{}", self.good);
        text
    }

    /// No verb works with what lies there now, and none changes anything.
    #[track_caller]
    fn stops_every_verb(&self, check: impl Fn(&Ran)) {
        let quiet = |path: &std::path::Path| !path.starts_with("data") && !path.starts_with("log");
        let (before, pid) = (picture(self.sealed.dir(), quiet), self.sealed.pid());
        assert!(pid.is_some());
        for verb in VERBS {
            let ran = self.sealed.pgseal().args(verb.to_vec()).arg("sealed").run().ended(3);
            assert!(!ran.stderr().contains(['\u{1b}', '\u{7}']), "{ran}");
            assert!(ran.stderr().len() < 4000, "a file is not to be poured out: {ran}");
            check(&ran);
        }
        assert_eq!(picture(self.sealed.dir(), quiet), before);
        assert_eq!(self.sealed.pid(), pid, "the server was left running");
    }

    fn mended(&self) {
        self.write(&self.good);
        self.sealed.pgseal().args(["status", "sealed"]).run().succeeded();
    }
}

#[test]
fn what_up_never_wrote_is_refused_by_every_verb() {
    for account in Account::both() {
        let sealed = Sealed::with(&Install::of(15), &account, &[]);
        let toml = Toml::of(&sealed);
        let good = &toml.good;
        let cases: Vec<(&str, Vec<u8>)> = vec![
            ("empty", vec![]),
            ("binary", (0..=255).collect()),
            ("another format", toml.with("format", "2").into()),
            ("a format of its own", toml.with("format", "\"1\"").into()),
            ("an unknown key", format!("color = \"blue\"\n{good}").into()),
            ("an unknown table", format!("{good}\n[plugins]\nload = \"/tmp/x.so\"\n").into()),
            ("a key twice", format!("{good}\n[server]\nport = 1\n").into()),
            ("a word for a number", toml.with("port", "\"5432\"").into()),
            ("a port above all", toml.with("port", "70000").into()),
            ("port 0", toml.with("port", "0").into()),
            ("a negative port", toml.with("port", "-1").into()),
            ("no address", toml.with("listen", "[]").into()),
            ("an address that is none", toml.with("listen", "[\"localhost\"]").into()),
            ("no names", toml.with("names", "[]").into()),
            ("an empty user", toml.with("username", "\"\"").into()),
            ("an escape", toml.with("version", "\"15\\u001b]52;c;aGk=\\u0007\"").into()),
            ("a NUL", toml.with("username", "\"admin\\u0000user\\u0000postgres\"").into()),
            ("a newline", toml.with("run_as", "\"postgres\\nroot\"").into()),
            ("a relative bindir", toml.with("bindir", "\"bin\"").into()),
            ("an array", toml.with("bindir", "[\"/usr/bin\"]").into()),
            ("UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            ("an open string", format!("{good}\nx = \"").into()),
        ];
        for (what, content) in &cases {
            toml.write(content);
            toml.stops_every_verb(|ran| {
                assert!(ran.stderr().contains("pgseal.toml is not what pgseal up wrote"), "{what}: {ran}");
                assert!(ran.stderr().contains("nothing was started, stopped or changed"), "{what}: {ran}");
            });
        }
        toml.mended();
    }
}

#[test]
fn one_that_is_huge_or_deep_ends_no_worse() {
    let sealed = Sealed::of(15);
    let toml = Toml::of(&sealed);
    let deep = 60_000;
    let cases = [
        ("huge", format!("{}\n# {}", toml.good, "x".repeat(200 << 10))),
        ("arrays", format!("x = {}{}", "[".repeat(deep / 2), "]".repeat(deep / 2))),
        ("open arrays", format!("x = {}", "[".repeat(deep))),
        ("tables", format!("x = {}", "{a=".repeat(deep / 3))),
        ("dots", format!("x{} = 1", ".a".repeat(deep / 2))),
        ("headers", format!("[x{}]", ".a".repeat(deep / 2))),
        ("a long key", format!("{} = 1", "k".repeat(deep))),
        ("keys", (0..8000).map(|n| format!("k{n}=1\n")).collect()),
    ];
    for (what, content) in cases {
        toml.write(content);
        toml.stops_every_verb(|ran| assert!(ran.stderr().contains("pgseal.toml"), "{what}: {ran}"));
    }
    toml.mended();
}

#[test]
fn cut_off_or_changed_at_any_byte_it_is_read_whole_or_not_at_all() {
    let sealed = Sealed::of(15);
    let toml = Toml::of(&sealed);
    let mut dice = Dice::new("a corrupt settings file");
    let length = u32::try_from(toml.good.len()).unwrap();
    for round in 0..samples(300) {
        let mut bytes = toml.good.clone().into_bytes();
        let at = usize::try_from(dice.below(length)).unwrap();
        if round % 2 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] = u8::try_from(dice.below(256)).unwrap();
        }
        toml.write(&bytes);
        // A changed digit of a port is still a port: then no server of ours listens there.
        let ran = sealed.pgseal().args(["status", "sealed"]).run();
        assert!(matches!(ran.code(), Some(0 | 3)), "{ran}");
        assert!(ran.signal().is_none() && !ran.stderr().contains("panicked"), "{ran}");
        let same = ran.code() == Some(0);
        assert!(same || ran.stdout().is_empty(), "{ran}");
    }
    toml.mended();
    record("a settings file cut off or changed at any byte harms nothing", samples(300));
}

#[test]
fn it_must_be_a_file_of_its_own() {
    for account in Account::both() {
        let sealed = Sealed::with(&Install::of(15), &account, &[]);
        let toml = Toml::of(&sealed);
        let path = sealed.at("pgseal.toml");
        let aside = sealed.sandbox().file_of(&account, "aside.toml", 0o644, &toml.good);
        fs::remove_file(&path).unwrap();
        symlink(&aside, &path).unwrap();
        toml.stops_every_verb(|_| ());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        account.own(&path);
        toml.stops_every_verb(|_| ());
        fs::remove_dir(&path).unwrap();
        // Without it the folder is nobody's, and so not ours to delete.
        toml.stops_every_verb(|ran| {
            assert!(ran.stderr().contains("is not empty and was not made by pgseal"), "{ran}");
        });
        sealed.sandbox().file_of(
            &account,
            path.strip_prefix(sealed.sandbox().path()).unwrap().to_str().unwrap(),
            0o644,
            "",
        );
        toml.mended();
    }
}

/// As root its words are no more than words: who runs the server and what is run stay within what root lets happen.
#[test]
fn as_root_its_values_give_nobody_more_than_they_have() {
    let (account, other) = (Account::current(), Account::ordinary());
    let sealed = Sealed::of(15);
    let toml = Toml::of(&sealed);
    let canary = sealed.sandbox().dir_of(&other, "canary").join("ran");
    let bin = sealed.sandbox().dir_of(&other, "bin");
    for program in ["postgres", "initdb", "pg_ctl"] {
        let script = format!("#!/bin/sh\nid >>{}\nexit 1\n", canary.display());
        sealed.sandbox().file_of(&other, &format!("bin/{program}"), 0o755, &script);
    }
    let stop = || sealed.pgseal().args(["down", "sealed"]).run();
    stop().succeeded();
    toml.write(toml.with("bindir", &format!("{:?}", bin.to_str().unwrap())));
    let ran = sealed.pgseal().args(["up", "sealed"]).run().ended(3);
    if account.is_root() {
        ran.complains("refused to run").complains("as root");
        assert!(!canary.exists(), "{}", fs::read_to_string(&canary).unwrap_or_default());
        for (user, said) in [("root", "refuses to run as root"), ("no-such-user", "no user no-such-user")] {
            toml.write(toml.with("run_as", &format!("{user:?}")));
            for verb in VERBS {
                let ran = sealed.pgseal().args(verb.to_vec()).arg("sealed").run().complains(said);
                assert!(matches!(ran.code(), Some(2 | 3)), "{ran}");
            }
        }
        // Another user than the data's can do nothing with it.
        toml.write(toml.with("run_as", &format!("{:?}", other.name())));
        sealed.pgseal().args(["up", "sealed"]).run().ended(3).complains("Permission denied");
        sealed
            .pgseal()
            .args(["down", "--remove", "--yes", "sealed"])
            .run()
            .ended(3)
            .complains("Permission denied");
        assert!(sealed.at("data/PG_VERSION").exists() && sealed.at("ca/server-ca.key").exists());
        // A file that others may write is not believed, whatever it says.
        toml.write(&toml.good);
        fs::set_permissions(sealed.at("pgseal.toml"), std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .unwrap();
        sealed.pgseal().args(["up", "sealed"]).run().ended(3).complains("may be written by others than root");
        fs::set_permissions(sealed.at("pgseal.toml"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .unwrap();
    } else {
        // What an ordinary user names is that user's own business.
        ran.complains("did not start");
    }
    toml.write(&toml.good);
    sealed.up().succeeded();
}
