//! Whatever `pgseal hba` is given, it ends with a status that its help names and a sentence that says what is wrong with the
//! file: no panic, no endless loop, no lost byte.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Account, Pgseal, Ran, Sandbox, Schema, project, record};

/// As much memory as a run may take on 100 MB, in KiB.
const MEMORY: u32 = 6 << 20;
/// A debug build on a busy machine is slow.
const LIMIT: Duration = Duration::from_secs(400);

struct Desk(Sandbox);

impl Desk {
    fn new() -> Self {
        Self(Sandbox::new())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn hba(&self, verb: &str, file: &Path, more: &str) -> Ran {
        let args = ["hba", verb].into_iter().map(Into::into).chain([file.as_os_str().to_owned()]);
        let pgseal = Pgseal::new(&self.0).args(args).args(more.split_whitespace()).limit(LIMIT);
        pgseal.through(format!("ulimit -v {MEMORY}; exec \"$@\"")).run()
    }
}

/// Calm, and of a status that is documented.
#[track_caller]
fn calm(ran: Ran) -> Ran {
    assert!(matches!(ran.code(), Some(0 | 1 | 3)), "{ran}");
    let ran = ran.never_mentions("panicked").never_mentions("unwrap").never_mentions("\u{1b}");
    assert!(
        ran.stdout().len() < 1 << 20 && ran.stderr().len() < 4096,
        "too long to read: {} bytes",
        ran.stdout().len()
    );
    record("what is no rule file is said to be none", 1);
    ran
}

/// Through every verb: each ends calmly, and `check` says this.
#[track_caller]
fn said(desk: &Desk, file: &Path, version: &str, loads: bool, words: &str) {
    let version = format!("--pg-version {version}");
    let check = calm(desk.hba("check", file, &version));
    assert_eq!(check.code(), Some(i32::from(!loads)), "{check}");
    let check = check.says(words);
    let json = desk.hba("check", file, &format!("{version} --format json"));
    Schema::of("hba-check").admits(&json.json());
    for (verb, more) in [("prove", ""), ("explain", "-U a -d b --addr 10.0.0.1"), ("enforce", "--diff")] {
        let ran = calm(desk.hba(verb, file, &format!("{more} {version}")));
        assert_eq!(ran.code() == Some(3), !loads, "{check}\n{ran}");
    }
    let diff = calm(desk.hba("diff", file, &format!("{} {version}", file.display())));
    assert_eq!(diff.code() == Some(3), !loads, "{diff}");
}

#[test]
fn bytes_that_people_do_not_see() {
    let desk = Desk::new();
    let noise: Vec<u8> =
        (0..60_000_u32).map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    for (content, loads, words) in [
        (b"\xef\xbb\xbflocal all all peer\n".as_slice(), false, "without a byte order mark"),
        (b"\xff\xfel\0o\0c\0a\0l\0\n\0", false, "invalid connection type"),
        (b"local all all peer\0 all\n", true, "NUL byte"),
        (b"local all all pe\0er\n", false, "NUL byte"),
        (b"local all all peer\r\nhost all all all md5\r\n", true, "loads"),
        (b"local all\rall peer\n", true, "loads"),
        (b"local\tall\t\tall\tpeer\n", true, "loads"),
        (b"local all \"all peer\n", false, "quote is not closed"),
        (b"host all all 10.0.0.0/33 md5\n", false, "0 to 32"),
        (b"host all all 10.0.0.0/x md5\n", false, "invalid CIDR mask"),
        // As inet_aton(3) has it: 255.0.0.0.
        (b"host all all 10.0.0.0 255.0.0 md5\n", true, "10.255.255.255"),
        (b"host all all 10.0.0.0 ffff:: md5\n", false, "do not match"),
        (b"host all all 10.0.0.0 255.0.255.0 md5\n", true, "mask"),
        (b"host all all ::ffff:10.0.0.0/104 md5\n", true, "IPv4"),
        // A zone is an interface of the server's.
        (b"host all all fe80::1%eth0/64 md5\n", true, "depends on the server's interfaces"),
        (b"host all all fe80::1%lo/128 md5\n", true, "depends on the server's interfaces"),
        (b"host all all 300.0.0.1/8 md5\n", false, "host name"),
        (b"", false, "contains no entries"),
        (b"\n\n# nothing\n", false, "contains no entries"),
        (b"\x1b[2Jlocal all all peer\n", false, "invalid connection type"),
        ("local all \u{202e}all\u{2066} peer\n".as_bytes(), true, "loads"),
        (&noise, false, "does not load"),
    ] {
        let file = desk.file("pg_hba.conf", content);
        said(&desk, &file, "16", loads, words);
        assert_eq!(fs::read(&file).unwrap(), content, "nothing is written");
    }
}

#[test]
fn files_that_include_what_is_not_there_or_never_ends() {
    let desk = Desk::new();
    let file = |content: &str| desk.file("pg_hba.conf", content);
    fs::create_dir(desk.0.join("empty")).unwrap();
    fs::create_dir(desk.0.join("loop")).unwrap();
    desk.file("loop/a.conf", "include_dir .\n");
    desk.file("self", "a @self b\n");
    desk.file("bomb", "include bomb\n".repeat(30));
    for (version, content, loads, words) in [
        ("16", "include pg_hba.conf\nlocal all all peer\n", false, "nesting depth"),
        ("16", "include_dir loop\n", false, "nesting depth"),
        ("15", "host @self all all md5\n", false, "could not open"),
        ("16", "host @self all all md5\n", false, "nesting depth"),
        ("16", "include nowhere\nlocal all all peer\n", false, "No such file"),
        ("16", "include_if_exists nowhere\nlocal all all peer\n", true, "skipping missing"),
        ("16", "include_dir empty\n", false, "contains no entries"),
        ("16", "include_dir nowhere\n", false, "could not open directory"),
        ("16", "include empty\nlocal all all peer\n", true, "loads"),
        ("15", "include pg_hba.conf\n", false, "from PostgreSQL 16"),
        ("16", "include\n", false, "does not load"),
        ("15", "host @nowhere all all md5\n", false, "No such file"),
    ] {
        let path = file(content);
        // Whether a directory in a file's place is an error is the server's own affair: only that it ends.
        if content.starts_with("include empty") {
            calm(desk.hba("check", &path, "--pg-version 16"));
        } else {
            said(&desk, &path, version, loads, words);
        }
    }
    // A thousand million million lines, if nobody gave up.
    let path = file("include bomb\nlocal all all peer\n");
    calm(desk.hba("check", &path, "--pg-version 16")).ended(1).says("does not load");
    for more in ["--pg-version 11", "--pg-version 20", "--pg-version=-1", "--pg-version 99999999999"] {
        let ran = desk.hba("check", &file("local all all peer\n"), more).ended(2);
        assert!(ran.stderr().contains("version"), "{ran}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    let desk = Desk::new();
    fs::create_dir(desk.0.join("folder")).unwrap();
    let ordinary = Account::ordinary();
    let shut = desk.0.file_of(&Account::current(), "shut", 0o000, "local all all peer\n");
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
    for verb in ["check", "prove", "enforce"] {
        let missing = calm(desk.hba(verb, &desk.0.join("nowhere"), "")).ended(3);
        missing.complains("nowhere: No such file").complains("try: ");
        calm(desk.hba(verb, &desk.0.join("folder"), "")).ended(3).complains("folder").complains("try: ");
        let denied = Pgseal::new(&desk.0).by(&ordinary).args(["hba", verb]).arg(&shut).run();
        calm(denied).ended(3).complains("shut: Permission denied");
        let name = "x".repeat(300);
        calm(desk.hba(verb, Path::new(&name), "")).ended(3).complains("File name too long");
        calm(desk.hba(verb, Path::new("/proc/self/mem"), "")).ended(3);
        calm(desk.hba(verb, Path::new("/dev/null"), "")).code();
    }
    // One that never ends is given up.
    let script = format!("ulimit -v {MEMORY}; \"$@\" </dev/zero");
    let ran = Pgseal::new(&desk.0).args(["hba", "check", "-"]).through(script).limit(LIMIT).run();
    calm(ran).ended(3).complains("larger than");
}

/// PostgreSQL reads lines of any length from 14 on.
#[test]
fn a_line_of_a_hundred_megabytes() {
    let desk = Desk::new();
    let long = "x".repeat(100 << 20);
    let comment = desk.file("comment", format!("#{long}\nhostssl all all all md5\n"));
    calm(desk.hba("prove", &comment, "--pg-version 16")).ended(0);
    let whole = fs::read(&comment).unwrap();
    calm(desk.hba("enforce", &comment, "-i --pg-version 16")).ended(0);
    calm(desk.hba("enforce", &comment, "-i --undo")).ended(0);
    assert!(fs::read(&comment).unwrap() == whole, "a byte was lost");
    let name = desk.file("name", format!("hostssl all all all md5\nhost \"{long}\" all all trust\n"));
    calm(desk.hba("check", &name, "--pg-version 16")).ended(0).says("63 bytes");
    calm(desk.hba("prove", &name, "--pg-version 13")).ended(3).complains("line too long");
    calm(desk.hba("prove", &name, "--pg-version 15")).ended(3).complains("token too long");
    fs::remove_file(name).unwrap();
    let word = desk.file("word", format!("local all all peer\n{long}"));
    calm(desk.hba("check", &word, "--pg-version 16")).ended(1).says("invalid connection type");
}

#[test]
fn two_million_lines() {
    let desk = Desk::new();
    let shut = desk.file("shut", "hostssl all alice 10.1.2.3/32 scram-sha-256\n".repeat(2_000_000));
    calm(desk.hba("prove", &shut, "--pg-version 16")).ended(0).says("no plaintext path");
    fs::remove_file(shut).unwrap();
    let wrong = desk.file("wrong", "host all alice 10.1.2.3/33 md5\n".repeat(2_000_000));
    calm(desk.hba("check", &wrong, "--pg-version 16")).ended(1).says("more: --format json");
}

/// Files as people write them, of which the end is missing.
#[test]
fn files_cut_short_at_any_byte() {
    let desk = Desk::new();
    for name in
        ["ldap-directory", "continued-lines", "names-in-quotes", "regular-expressions", "two-rejects-first"]
    {
        let whole = fs::read(project().join(format!("tests/fixtures/hba/{name}.conf"))).unwrap();
        for end in (0..whole.len()).step_by(whole.len() / 24 + 1) {
            let file = desk.file("cut", &whole[..end]);
            for (verb, more) in [("check", ""), ("prove", ""), ("enforce", "--diff")] {
                calm(desk.hba(verb, &file, more));
            }
            assert_eq!(fs::read(&file).unwrap(), &whole[..end]);
        }
    }
}
