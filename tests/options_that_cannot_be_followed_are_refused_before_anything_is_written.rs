//! Words on the command line of `up` that no server could be made of: each ends at once with a sentence that names the
//! option, and nothing has been written.

use std::fs;
use std::path::Path;

use crate::harness::{Account, Install, Pgseal, Ran, Sandbox};

/// Runs `up` with these options and a folder that must not come to be.
fn refused(account: &Account, options: &[&str]) -> Ran {
    let sandbox = Sandbox::new();
    let pgseal = Pgseal::new(&sandbox).by(account);
    let work = pgseal.work_dir();
    let port: &[&str] =
        if options.iter().any(|word| word.starts_with("--port")) { &[] } else { &["-p", "0"] };
    let ran =
        pgseal.arg("up").args(port.to_vec()).bindir(&Install::of(15)).args(options.iter().copied()).run();
    assert_eq!(fs::read_dir(work).unwrap().count(), 0, "something was written by:\n{ran}");
    for line in ran.stderr().lines() {
        assert!(!line.contains(|c: char| c.is_control()), "an unescaped character in {line:?}");
    }
    ran
}

/// Every one of `words`, given to `option`, ends with `code` and says `what`.
fn each(option: &str, words: &[&str], code: i32, what: &str) {
    for word in words {
        let glued = format!("{option}={word}");
        let ran = refused(&Account::ordinary(), &[&glued]).ended(code).complains(what);
        assert!(ran.stderr().contains(option.trim_start_matches('-')), "it should name {option}:\n{ran}");
    }
}

#[test]
fn a_name_for_the_certificate_that_no_client_would_match() {
    let long_name = format!("{}.example", "a.".repeat(150));
    let long_label = format!("{}.example", "a".repeat(64));
    let names = [
        "",
        " ",
        "db server",
        "db..example",
        ".example",
        "db.example.",
        "-db",
        "db-",
        "*",
        "*.org",
        "db.*.example",
        "d*b.example",
        "*db.example",
        "**.example",
        "*.*.example.org",
        "[::1]",
        "::1%lo",
        "fe80::1%eth0",
        "127.0.0.1%1",
        "localhost:5432",
        "10.0.0.0/8",
        "https://db",
        "10.0.0.256",
        "127.1",
        "0x7f000001",
        "1.2.3.4.5",
        "münchen.de",
        "db\nserver",
        "\u{1b}[31mdb",
        "db\u{202e}gro",
        "db;DROP",
        "$(id)",
        "a\\0b",
        "@db",
        &long_name,
        &long_label,
    ];
    each("--san", &names, 2, "is no host name or IP address");
}

#[test]
fn a_validity_that_is_no_lifetime() {
    let words =
        ["", "0", "0d", "0s", "-1d", "+1d", "1", "d", "1y", "1w", "1d1h", "1.5d", " 1d", "1 d", "1e3d", "١d"];
    each("--validity", &words, 2, "validity");
    let overflows =
        ["99999999999d", "18446744073709551615s", "18446744073709551616s", "4294967296d", "213504d"];
    each("--validity", &overflows, 2, "validity");
}

#[test]
fn a_certificate_that_would_outlive_its_ca() {
    each("--validity", &["3651d", "36500d"], 2, "a certificate never outlives its CA");
}

#[test]
fn an_address_that_is_none() {
    let words = [
        "",
        "localhost:5432",
        "10.0.0",
        "db.example",
        "10.0.0.5/24",
        "fe80::1%lo",
        "127.0.0.1,::1",
        "/tmp",
        "**",
    ];
    each("--listen", &words, 2, "is no IP address");
    each("--listen", &["224.0.0.1", "255.255.255.255", "ff02::1", "::ffff:127.0.0.1"], 2, "listens on");
    // Of the ranges for documentation (RFC 5737, RFC 3849): no machine has them.
    for word in ["192.0.2.1", "2001:db8::1"] {
        refused(&Account::ordinary(), &["--listen", word])
            .ended(3)
            .complains("cannot listen on")
            .complains(word);
    }
}

#[test]
fn a_port_that_is_none_or_not_ours_to_take() {
    each("--port", &["", "-1", "65536", "http", "5432x", "0x10"], 2, "--port");
    if Account::current().is_root() && privileged_below() > 1 {
        for account in Account::both() {
            refused(&account, &["--listen", "127.0.0.1", "--port", "1"])
                .ended(3)
                .complains("Permission denied");
        }
    }
}

/// The first port that everybody may take.
fn privileged_below() -> u32 {
    let setting = Path::new("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    fs::read_to_string(setting).map_or(1024, |text| text.trim().parse().unwrap())
}

#[test]
fn names_of_users_and_databases_that_postgresql_cannot_carry() {
    let long = "é".repeat(32);
    let all = ["", "+admins", "/regex", "@file", "new\nline", "\u{1b}[0m", "trailing ", &long];
    each("--username", &all, 2, "username");
    each("--dbname", &all, 2, "dbname");
    each("--username", &["pg_x", "public", "none", "a\"b", "a'b", "a\\b", "a$b"], 2, "username");
    each("--dbname", &["template0"], 2, "lets nobody in");
}

#[test]
fn kinds_of_keys_and_subjects_that_there_are_not() {
    each("--key-type", &["", "rsa", "rsa-1024", "ed25519", "ecdsa-p521", "ECDSA-P256 "], 2, "--key-type");
    let long = format!("CN={}", "x".repeat(70_000));
    each(
        "--subject",
        &["", "db1", "CN=", "XX=db1", "CN=a,,O=b", "C=Germany", "CN=a\u{0}b".trim_matches('\0')][..5],
        2,
        "--subject",
    );
    each("--subject", &[&long], 2, "--subject");
}

#[test]
fn a_user_to_run_as_that_cannot_be() {
    if Account::current().is_root() {
        let root = Account::current();
        refused(&root, &["--run-as", "no-such-user"]).ended(3).complains("there is no user no-such-user");
        refused(&root, &["--run-as", ""]).ended(3).complains("there is no user");
        refused(&root, &["--run-as", "root"]).ended(2).complains("refuses to run as root");
    }
    let ordinary = Account::ordinary();
    for other in ["root", "no-such-user", "daemon"] {
        refused(&ordinary, &["--run-as", other]).ended(2).complains("needs root");
    }
}

#[test]
fn a_secret_that_cannot_be_read() {
    let account = Account::ordinary();
    let sandbox = Sandbox::new();
    let file = |name: &str, mode, content: &str| {
        sandbox.file_of(&account, name, mode, content).to_str().unwrap().to_owned()
    };
    let dir = sandbox.dir_of(&account, "dir");
    let binary = sandbox.join("binary");
    fs::write(&binary, b"caf\xe9\n").unwrap();
    let cases = [
        (file("empty", 0o600, ""), 2, "holds no password"),
        (file("blank", 0o600, "\nsecond line\n"), 2, "holds no password"),
        (file("nul", 0o600, "a\0b\n"), 2, "holds no password"),
        (file("huge", 0o600, &"x".repeat(70_000)), 3, "larger than"),
        (binary.to_str().unwrap().to_owned(), 3, "is not UTF-8"),
        (dir.to_str().unwrap().to_owned(), 3, "could not read"),
        (sandbox.join("absent").to_str().unwrap().to_owned(), 3, "could not read"),
        // Without an end.
        ("/dev/zero".to_owned(), 3, "larger than"),
    ];
    for (path, code, words) in &cases {
        for option in ["--password-file", "--ca-passphrase-file"] {
            refused(&account, &[option, path]).ended(*code).complains(words).complains(path);
        }
    }
    refused(&account, &["--password-file", "-"]).ended(2).complains("holds no password");
    let both = ["--password-file", "-", "--ca-passphrase-file", "-"];
    refused(&account, &both).ended(2).complains("cannot both be read from stdin");
    let long =
        Pgseal::new(&sandbox).by(&account).args(["up", "--password-file", "-"]).stdin("x".repeat(70_000));
    long.run().ended(2).complains("longer than 65536 bytes").never_mentions("xxx");
}

#[test]
fn what_a_folder_was_not_made_with() {
    let sealed = crate::harness::Sealed::of(15);
    let again = |options: &[&str]| {
        let ran = sealed.pgseal().args(["up", "sealed"]).args(options.iter().copied()).run();
        ran.ended(2).complains("was made otherwise").complains("leave those options out")
    };
    let password = sealed.sandbox().file_of(&Account::current(), "password", 0o600, "another");
    let password = password.to_str().unwrap();
    again(&["--san", "db1.example"]).complains("--san db1.example is not in its certificate");
    again(&["--port", "1"]).complains("--port 1 was asked for");
    again(&["--username", "other"]).complains("it was made with admin");
    again(&["--password-file", password]).never_mentions("another\n");
    again(&["--ca-passphrase-file", password]).complains("its CA key lies there already");
    again(&["--listen", "*"]).complains("--listen");
    again(&["--key-type", "rsa-2048", "--validity", "1d"]).complains("--key-type").complains("--validity");
    sealed.up().succeeded();
}
