//! Names and passwords that files and connection strings give a meaning to: each is taken as it is, and psql logs in with the
//! URI, with the service file and with what the password file says.

use std::fs;

use crate::harness::{Account, Install, Psql, Sealed, all_hold, record, versions, versions_in_turn};

/// A server with these options, logged in to in every way; its password as psql takes it from the password file.
#[track_caller]
fn logged_in(version: u32, account: &Account, options: &[&str], user: &str, dbname: &str) -> Sealed {
    let install = Install::of(version);
    let sealed = Sealed::with(&install, account, options);
    let psql = |conninfo: &str| Psql::to(conninfo).of(&install).by(account);
    let by_uri = psql(sealed.fact("uri")).env("PGPASSFILE", sealed.fact("passfile"));
    let sql = "SELECT current_user, current_database(), ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let expected = format!("{user}|{dbname}|t");
    assert_eq!(by_uri.run(sql).succeeded().stdout().trim_end(), expected);
    let by_service = psql("service=pgseal").env("PGSERVICEFILE", sealed.fact("service_file"));
    assert_eq!(by_service.run(sql).succeeded().stdout().trim_end(), expected);
    all_hold(&sealed.verify());
    sealed
}

#[test]
fn users_and_databases_may_have_any_name_that_postgresql_can_carry() {
    let long_user = "ü".repeat(31) + "x";
    let long_db = "d".repeat(63);
    let cases: [(&str, &str); 10] = [
        ("all", "all"),
        ("replication", "replication"),
        ("sameuser", "samerole"),
        ("Grüße 東京", "It's a \"test\" \\ $x `y`"),
        (&long_user, &long_db),
        ("UPPER lower", "pg_x"),
        ("a#b,c:d@e=f%41", "?a=b&c#d/e:f@g%41"),
        (" lead", " lead"),
        ("postgres", "postgres"),
        ("--help", "select; DROP TABLE x --"),
    ];
    for (nth, (user, dbname)) in cases.iter().enumerate() {
        for version in versions_in_turn(nth) {
            let accounts = Account::both();
            let account = &accounts[nth / 2 % accounts.len()];
            let (user_option, db_option) = (format!("--username={user}"), format!("--dbname={dbname}"));
            let sealed = logged_in(version, account, &[&user_option, &db_option], user, dbname);
            // The same again, said again.
            let again =
                sealed.pgseal().args(["up", "sealed", &user_option, &db_option, "--format", "json"]).run();
            all_hold(&again);
        }
    }
    record("users and databases may have any name", u32::try_from(cases.len()).unwrap());
}

#[test]
fn a_password_may_be_any_line() {
    let long = "pässword 1000 ".repeat(72);
    let cases: Vec<(&str, &str)> = vec![
        ("spaces", " lead, in  the middle and trail "),
        ("quotes", "it's \"quoted\" `now` ''; DROP ROLE admin; --"),
        ("what pgpass escapes", "back\\slash:colon\\:both\\\\"),
        ("a hash and a percent", "#no comment %41 $HOME"),
        ("other scripts", "Пароль 密码 🦭 é"),
        // SASLprep (RFC 4013) maps these, on either side.
        ("letters that are composed", "cafe\u{301} \u{fb01} \u{2168} \u{ad}x\u{a0}y"),
        ("what SASLprep forbids", "bell\u{7}and\ttab\u{200f}"),
        ("a mark of byte order", "\u{feff}password"),
        ("a single letter", "x"),
        ("a thousand letters", &long),
    ];
    for (nth, (what, password)) in cases.iter().enumerate() {
        for version in versions_in_turn(nth) {
            // Before 14 initdb read 99 bytes of it.
            if version < 14 && password.len() > 99 {
                continue;
            }
            let accounts = Account::both();
            let account = &accounts[nth / 2 % accounts.len()];
            let sandbox = crate::harness::Sandbox::new();
            let ending = ["", "\n", "\r\n", "\nnot this\n"][nth % 4];
            let file = sandbox.file_of(account, "password", 0o600, &format!("{password}{ending}"));
            let sealed =
                logged_in(version, account, &["--password-file", file.to_str().unwrap()], "admin", "mydb");
            // Another is no good, so that it is this one that was checked.
            let wrong = Psql::to(sealed.fact("uri")).by(account).env("PGPASSWORD", format!("{password}x"));
            wrong.run("SELECT 1").ended(2).complains("password authentication failed");
            let given = Psql::to(sealed.fact("uri")).by(account).env("PGPASSWORD", *password);
            assert_eq!(given.run("SELECT 1").succeeded().stdout().trim_end(), "1", "{what}");
            let json = sealed.made().to_string();
            assert!(password.len() < 3 || !json.contains(password), "{what}");
        }
    }
    record("a password may be any line", u32::try_from(cases.len()).unwrap());
}

#[test]
fn a_password_may_come_over_stdin() {
    for account in Account::both() {
        let sandbox = crate::harness::Sandbox::new();
        let up = crate::harness::Pgseal::new(&sandbox)
            .by(&account)
            .args(["up", "sealed", "-p", "0", "--format", "json"]);
        let up = up
            .args(["--password-file", "-"])
            .bindir(&Install::of(15))
            .stdin(" over stdin \nnot this\n")
            .run();
        all_hold(&up);
        let uri = up.json()["uri"].as_str().unwrap().to_owned();
        let psql = Psql::to(&uri).by(&account).env("PGPASSWORD", " over stdin ");
        psql.run("SELECT 1").succeeded();
        let pgpass = fs::read_to_string(up.json()["passfile"].as_str().unwrap()).unwrap();
        assert!(pgpass.lines().all(|line| line.ends_with(": over stdin ")), "{pgpass}");
    }
}

/// initdb of 12 and 13 reads 99 bytes of a password and takes the rest for nothing.
#[test]
fn a_password_that_this_initdb_would_cut_is_refused() {
    for version in versions().iter().filter(|version| **version < 14) {
        let sandbox = crate::harness::Sandbox::new();
        let account = Account::ordinary();
        for (length, code) in [(99, 0), (100, 2)] {
            let up = crate::harness::Pgseal::new(&sandbox).by(&account).args(["up", "sealed", "-p", "0"]);
            let up = up
                .args(["--password-file", "-"])
                .bindir(&Install::of(*version))
                .stdin("x".repeat(length))
                .run();
            let up = up.ended(code);
            assert!(code == 0 || up.stderr().contains("longer than 99 bytes"), "{up}");
            if code == 0 {
                let down = crate::harness::Pgseal::new(&sandbox)
                    .by(&account)
                    .args(["down", "--remove", "--yes", "sealed"]);
                down.run().succeeded();
            }
        }
    }
}
