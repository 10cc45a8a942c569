//! `pgseal hba` of a folder made by `up`, or of a connection string: the server's own files, and whether what stands on disk
//! is what the server has loaded, as far as that can be told.

use std::fs;

use serde_json::Value;

use crate::harness::{Account, Install, Ran, Schema, Sealed, record, versions};

#[track_caller]
fn hba(sealed: &Sealed, args: &[&str], ending: i32) -> Ran {
    let ran = sealed.pgseal().arg("hba").args(args.to_vec()).run().ended(ending);
    record("hba reads the rules of a live server", 1);
    ran
}

#[track_caller]
fn json(sealed: &Sealed, verb: &str, args: &[&str], ending: i32) -> Value {
    let value = hba(sealed, &[&[verb], args, &["--format", "json"]].concat(), ending).json();
    Schema::of(&format!("hba-{verb}")).admits(&value);
    value
}

#[track_caller]
fn loaded(value: &Value, words: &str) {
    assert!(value["loaded"].as_str().is_some_and(|said| said.contains(words)), "{words}: {value}");
}

/// Puts the file's time into the past, as that of a file that was there before the server's last reload.
fn age(sealed: &Sealed) {
    let path = sealed.data().join("pg_hba.conf");
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    fs::File::options().append(true).open(path).unwrap().set_modified(past).unwrap();
}

#[test]
fn of_a_folder_that_runs_is_changed_is_broken_and_is_stopped() {
    for account in Account::both() {
        for version in versions() {
            let sealed = Sealed::with(&Install::of(*version), &account, &[]);
            let number = serde_json::json!([version]);
            // As it was made, and loaded.
            age(&sealed);
            let proved = json(&sealed, "prove", &["sealed"], 0);
            assert_eq!(
                (&proved["verdict"], &proved["versions"][0]["versions"]),
                (&"no-path".into(), &number)
            );
            assert_eq!(proved["versions"].as_array().map(Vec::len), Some(1), "the server's version alone");
            loaded(&proved, "older than the server's last reload");
            assert_eq!(json(&sealed, "check", &["dir:sealed"], 0)["loads"], true);
            hba(&sealed, &["diff", "sealed", "sealed"], 0).says("the same");
            hba(&sealed, &["explain", "sealed", "-U", "admin", "--addr", "::1", "--no-tls"], 0)
                .says("refused by this line");

            // Changed on disk and not loaded.
            let before = sealed.read("pg_hba.conf");
            let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
            sealed.prepend_hba("host all all 192.0.2.7/32 trust");
            let touch = || {
                let path = sealed.data().join("pg_hba.conf");
                fs::File::options().append(true).open(path).unwrap().set_modified(ahead).unwrap();
            };
            touch();
            let proved = json(&sealed, "prove", &["sealed"], 1);
            assert_eq!(
                (&proved["verdict"], &proved["witness"]["address"]),
                (&"path".into(), &"192.0.2.7".into())
            );
            loaded(&proved, "not what decides now");
            let explain = ["sealed", "-U", "admin", "--addr", "192.0.2.7", "--no-tls"];
            let explained = json(&sealed, "explain", &explain, 0);
            assert_eq!((&explained["decision"], &explained["line"]), (&"trust".into(), &1.into()));
            loaded(&explained, "not what decides now");
            hba(&sealed, &["prove", "sealed"], 1).says("not what decides now");

            // Broken on disk: the server goes on with what it has.
            sealed.prepend_hba("host all all 192.0.2.0/33 trust");
            touch();
            hba(&sealed, &["prove", "sealed"], 3).complains("line 1").complains("not what decides now");
            let checked = json(&sealed, "check", &["sealed"], 1);
            assert_eq!((&checked["loads"], &checked["diagnostics"][0]["line"]), (&false.into(), &1.into()));
            sealed.write("pg_hba.conf", &before);

            // Stopped.
            sealed.pgseal().args(["down", "sealed"]).run().succeeded();
            let proved = json(&sealed, "prove", &["sealed"], 0);
            loaded(&proved, "what the next start would load");
            // Its data directory alone is the same server.
            assert_eq!(json(&sealed, "prove", &["sealed/data"], 0)["verdict"], proved["verdict"]);
            // Gone.
            fs::rename(sealed.data().join("pg_hba.conf"), sealed.data().join("elsewhere")).unwrap();
            hba(&sealed, &["prove", "sealed"], 3).complains("pg_hba.conf").complains("No such file");
            hba(&sealed, &["prove", "sealed/data"], 3).complains("try: ");
            hba(&sealed, &["enforce", "sealed", "-i"], 2).complains("--in-place needs a file");
        }
    }
}

#[test]
fn of_a_connection_string_as_superuser_and_as_a_plain_role() {
    for version in versions() {
        let sealed = Sealed::of(*version);
        sealed.sql("CREATE ROLE staff; CREATE ROLE alice LOGIN PASSWORD 'a' IN ROLE staff; CREATE ROLE bob LOGIN PASSWORD 'b'; CREATE ROLE reader LOGIN PASSWORD 'r' IN ROLE pg_read_server_files, pg_read_all_settings; GRANT EXECUTE ON FUNCTION pg_read_binary_file(text), pg_stat_file(text), pg_ls_dir(text) TO reader");
        age(&sealed);
        let as_user = |user: &str, password: &str, args: &[&str]| {
            let uri = sealed.uri(user, "postgres");
            let words = ["hba", args[0], &uri].into_iter().chain(args[1..].iter().copied());
            sealed.pgseal().args(words.collect::<Vec<_>>()).env("PGPASSWORD", password).run()
        };
        let admin = sealed.password();
        as_user("admin", &admin, &["prove"]).succeeded().says("no plaintext path").says("older than");
        let ran = as_user("admin", &admin, &["check", "--format", "json"]).succeeded();
        Schema::of("hba-check").admits(&ran.json());
        // Its roles are the server's: what hinges on them for a file is certain here.
        let rules = "host all +staff 192.0.2.0/24 trust\n";
        sealed.prepend_hba(rules);
        sealed.reload();
        let explain = |user: &str| {
            let args =
                ["explain", "-U", user, "-d", "d", "--addr", "192.0.2.1", "--no-tls", "--format", "json"];
            as_user("admin", &admin, &args).succeeded().json()["decision"].clone()
        };
        assert_eq!((explain("alice"), explain("bob")), ("trust".into(), "reject".into()));
        as_user("admin", &admin, &["prove"]).ended(1).says("alice");
        as_user("reader", "r", &["prove"]).ended(1).says("alice");
        // A plain role may not read it, and is told what would.
        let plain = as_user("bob", "b", &["prove"]).ended(3);
        plain.complains("42501").complains("try: a superuser").never_mentions(&admin);
        as_user("admin", "wrong", &["prove"]).ended(3).complains("could not log in").never_mentions("wrong ");
        // A password on the command line can be seen by others.
        let uri = sealed.uri("bob:b", "postgres");
        sealed.pgseal().args(["hba", "prove", &uri]).run().ended(3).complains("can be seen by every user");
        // A server that is not there.
        sealed.pgseal().args(["down", "sealed"]).run().succeeded();
        as_user("admin", &admin, &["prove"]).ended(3).complains("try: ");
    }
}

/// A word may be a file and a connection string.
#[test]
fn a_word_that_could_be_both_is_neither() {
    let sealed = Sealed::of(15);
    let dir = sealed.dir().parent().unwrap();
    let name = "host=nowhere.conf";
    fs::write(dir.join(name), "hostssl all all all md5\n").unwrap();
    hba(&sealed, &["prove", name], 2)
        .complains("could be a file or a connection string")
        .complains("file:host=");
    hba(&sealed, &["prove", &format!("file:{name}")], 0).says("no plaintext path");
}
