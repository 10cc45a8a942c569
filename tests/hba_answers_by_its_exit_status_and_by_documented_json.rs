//! Scripts and programs go by the exit status and the JSON of `pgseal hba`: each verb ends as its help says, on every file,
//! and prints what its schema says; where versions differ all are shown, and the worst decides.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Pgseal, Ran, Sandbox, Schema, project, record, shapes};

const OPEN: &str = "local all all peer\nhost all all 10.0.0.0/8 scram-sha-256\n";
const SHUT: &str = "hostssl all all all scram-sha-256\n";
const BROKEN: &str = "host all all 10.0.0.0/33 scram-sha-256\n";
const HINGED: &str =
    "hostnossl all,replication all 0.0.0.0/0 reject\nhost all +staff db.example.org scram-sha-256\n";
/// Loads from 16 on.
const INCLUDES: &str = "include more.conf\nhostssl all all all scram-sha-256\n";

/// A sandbox with these files in it, where pgseal runs.
fn desk(files: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, content) in files {
        fs::write(sandbox.join(name), content).unwrap();
    }
    sandbox
}

fn hba(sandbox: &Sandbox, args: &str) -> Ran {
    let words = ["hba"].into_iter().chain(args.split_whitespace());
    Pgseal::new(sandbox).args(words).current_dir(sandbox.path()).run()
}

/// What a verb prints as JSON, as its schema has it.
#[track_caller]
fn admitted(verb: &str, ran: &Ran) -> Value {
    let value = ran.json();
    Schema::of(&format!("hba-{verb}")).admits(&value);
    assert_eq!(value["schema_version"], 1);
    record("what pgseal hba prints as JSON is what its schema says", 1);
    value
}

#[test]
fn each_verb_ends_as_its_help_says() {
    let sandbox = desk(&[
        ("open", OPEN),
        ("shut", SHUT),
        ("broken", BROKEN),
        ("hinged", HINGED),
        ("rejects", "hostnossl all all all reject\nhostssl all all all md5\n"),
        ("includes", INCLUDES),
        ("more.conf", "local all all peer\n"),
    ]);
    fs::create_dir(sandbox.join("folder")).unwrap();
    for (status, args) in [
        (0, "check open"),
        (0, "check shut --format json"),
        (1, "check broken"),
        (1, "check includes"),
        (0, "check includes --pg-version 16"),
        (1, "check includes --pg-version 15"),
        (2, "check"),
        (2, "check open --pg-version 11"),
        (2, "check open --pg-version 20"),
        (2, "check open --pg-version new"),
        (2, "check open --format xml"),
        (3, "check nowhere"),
        (3, "check folder"),
        (0, "prove shut"),
        (1, "prove open"),
        (1, "prove hinged"),
        (2, "prove shut --pg-version 0"),
        (3, "prove broken"),
        (3, "prove includes"),
        (0, "prove includes --pg-version 17"),
        (3, "prove includes --pg-version 15"),
        (3, "prove nowhere"),
        (0, "explain open -U a"),
        (0, "explain open -U a --addr 192.0.2.1"),
        (2, "explain open"),
        (2, "explain open -U a --tls"),
        (2, "explain open -U a --addr 10.0.0.300"),
        (2, "explain open -U a --addr fe80::1%eth0"),
        (2, "explain open -U a --addr 10.0.0.1 --tls --no-tls"),
        (2, "explain open -U a -d b --replication --addr 10.0.0.1"),
        (3, "explain broken -U a"),
        (3, "explain includes -U a"),
        (3, "explain nowhere -U a"),
        (0, "diff open shut"),
        (0, "diff open open"),
        (2, "diff open"),
        (2, "diff - -"),
        (3, "diff open broken"),
        (3, "diff broken open"),
        (3, "diff open includes"),
        (0, "diff open includes --pg-version 18"),
        (3, "diff nowhere open"),
        (0, "enforce open"),
        (0, "enforce open --diff"),
        (0, "enforce open --undo"),
        (0, "enforce broken --undo"),
        (2, "enforce open --undo --gss"),
        (2, "enforce open --until 2099-01-01"),
        (2, "enforce open --except a@10.0.0.1"),
        (2, "enforce open --except a@10.0.0.1 --until 2001-01-01"),
        (2, "enforce open --except a@10.0.0.1 --until soon"),
        (2, "enforce open --except a@10.0.0.0/33 --until 2099-01-01"),
        (2, "enforce open --except /.*@10.0.0.1 --until 2099-01-01"),
        (2, "enforce open --except a@192.0.2.1 --until 2099-01-01"),
        (0, "enforce open --except a@10.0.0.1 --until 2099-01-01"),
        (2, "enforce rejects --except a@10.0.0.1 --until 2099-01-01"),
        (2, "enforce - -i"),
        (2, "enforce folder -i"),
        (3, "enforce broken"),
        (3, "enforce nowhere"),
    ] {
        let ran = hba(&sandbox, args).ended(status);
        // A result is on stdout; what could not be done is a complaint on stderr, and nothing else is there.
        let complains = status > 1 && ran.stdout().is_empty();
        assert!(complains != ran.stderr().is_empty() || args.ends_with("--undo"), "{ran}");
        record("each verb of pgseal hba ends as its help says", 1);
    }
    for args in ["check broken", "prove broken", "explain nowhere -U a", "enforce broken"] {
        let ran = hba(&sandbox, args);
        let all = format!("{}{}", ran.stdout(), ran.stderr());
        assert!(
            all.contains("0 to 32")
                || all.contains("try: pgseal hba check")
                || all.contains("try: a pg_hba.conf"),
            "{ran}"
        );
    }
}

/// Every file as people write them, through every verb.
#[test]
fn json_and_status_agree_on_every_file() {
    for (name, tree) in shapes() {
        let sandbox = Sandbox::new();
        let file = tree.lay_out(&sandbox.join("rules"));
        let run = |verb: &str, more: &[&str]| {
            let path = file.to_str().unwrap();
            Pgseal::new(&sandbox).args(["hba", verb, path]).args(more).args(["--format", "json"]).run()
        };
        let check = run("check", &[]);
        let checked = admitted("check", &check);
        assert_eq!(check.code(), Some(i32::from(checked["loads"] != true)), "{name}: {check}");
        for version in checked["versions"].as_array().unwrap() {
            let number = version["version"].to_string();
            let loads = version["loads"] == true;
            assert_eq!(
                run("check", &["--pg-version", &number]).code(),
                Some(i32::from(!loads)),
                "{name} {number}"
            );
            let prove = run("prove", &["--pg-version", &number]);
            assert_eq!(prove.code() == Some(3), !loads, "{name}: {prove}");
            if loads {
                let verdict = admitted("prove", &prove)["verdict"].clone();
                assert_eq!(prove.code(), Some(i32::from(verdict != "no-path")), "{name}: {prove}");
            }
        }
        let prove = run("prove", &[]);
        let proved = admitted("prove", &prove);
        let expected = match proved["verdict"].as_str().unwrap() {
            "no-path" => 0,
            "path" | "cannot-tell" => 1,
            _ => 3,
        };
        assert_eq!(prove.code(), Some(expected), "{name}: {prove}");
        assert_eq!(expected == 3, checked["loads"] == false, "{name}: {prove}");
        if proved["verdict"] == "path" {
            assert!(proved["witness"]["line"].as_u64() > Some(0), "{name}: {prove}");
        }
        if proved["verdict"] == "cannot-tell" {
            assert!(!proved["depends_on"].as_array().unwrap().is_empty(), "{name}: {prove}");
        }
        let explain = run("explain", &["-U", "app", "-d", "shop", "--addr", "10.1.2.3", "--no-tls"]);
        admitted("explain", &explain);
        let diff = run("diff", &[file.to_str().unwrap()]);
        assert_eq!(admitted("diff", &diff)["same"], checked["loads"], "{name}: {diff}");
        let enforce = admitted("enforce", &run("enforce", &[]).succeeded());
        assert_eq!((&enforce["enforced"], &enforce["written"]), (&json!(true), &json!(false)), "{name}");
    }
}

#[test]
fn where_versions_differ_all_are_shown_and_the_worst_decides() {
    let sandbox = desk(&[
        ("includes", "host all all 192.0.2.1/32 trust\ninclude more.conf\n"),
        ("more.conf", "local all all peer\n"),
        ("regex", "hostnossl all \"/^a\" all trust\nhostnossl all,replication all all reject\n"),
        ("continuing", "host all all \\\n 192.0.2.1/32 trust\n"),
    ]);
    let ran = hba(&sandbox, "prove includes --format json").ended(3);
    let proved = admitted("prove", &ran);
    assert_eq!(proved["verdict"], "does-not-load");
    let of = |value: &Value, version: u64, field: &str| {
        let rows = value["versions"].as_array().unwrap();
        let row = rows.iter().find(|row| row["versions"].as_array().unwrap().contains(&json!(version)));
        row.unwrap()[field].clone()
    };
    assert_eq!(of(&proved, 15, "verdict"), "does-not-load");
    assert_eq!(of(&proved, 16, "verdict"), "path");
    assert_eq!(of(&proved, 18, "witness")["line"], 1);
    hba(&sandbox, "prove includes")
        .ended(3)
        .says("PostgreSQL 12 to 15")
        .says("PostgreSQL 16 to 18")
        .says("192.0.2.1");
    let explained = hba(&sandbox, "explain includes -U a --addr 192.0.2.1 --format json").ended(3);
    let explained = admitted("explain", &explained);
    assert_eq!((&explained["decision"], &explained["line"]), (&json!("trust"), &json!(1)));
    assert_eq!(of(&explained, 12, "decision"), "does-not-load");
    let diff = hba(&sandbox, "diff includes more.conf --format json").ended(3);
    let diff = admitted("diff", &diff);
    assert_eq!((&diff["do_not_load"], &diff["same"]), (&json!([12, 13, 14, 15]), &json!(false)));

    // A line that continues: 12 and 13 read two.
    let checked = admitted("check", &hba(&sandbox, "check continuing --format json").ended(1));
    let loads = |version: u64| {
        checked["versions"].as_array().unwrap().iter().find(|row| row["version"] == version).unwrap()["loads"]
            .clone()
    };
    assert_eq!((loads(13), loads(14)), (json!(false), json!(true)));
    hba(&sandbox, "check continuing --pg-version 13").ended(1);
    hba(&sandbox, "check continuing --pg-version 14").ended(0);

    // A word with a slash: a name up to 15, an expression from 16 on.
    let proved = admitted("prove", &hba(&sandbox, "prove regex --format json").ended(1));
    assert_eq!(of(&proved, 15, "witness")["user"], "/^a");
    let user = of(&proved, 16, "witness")["user"].as_str().unwrap().to_owned();
    assert!(user.starts_with('a'), "{proved}");
    let decided = |version: &str, user: &str| {
        let args = format!(
            "explain regex -U {user} -d d --addr 10.0.0.1 --no-tls --pg-version {version} --format json"
        );
        admitted("explain", &hba(&sandbox, &args).succeeded())["decision"].clone()
    };
    assert_eq!((decided("15", "alice"), decided("16", "alice")), (json!("reject"), json!("trust")));
}

#[test]
fn what_programs_were_promised_is_required_by_the_schemas() {
    let required = |verb: &str, under: &str, fields: &[&str]| {
        let text = fs::read(project().join(format!("docs/schema/hba-{verb}.json"))).unwrap();
        let schema: Value = serde_json::from_slice(&text).unwrap();
        let named = schema.pointer(&format!("{under}/required")).and_then(Value::as_array).unwrap();
        for field in fields {
            assert!(named.contains(&json!(field)), "hba-{verb}: {field} should be required at {under}");
        }
    };
    required("prove", "", &["verdict", "witness", "depends_on"]);
    let witness = ["address", "user", "database", "replication", "file", "line", "method"];
    required("prove", "/properties/witness", &witness);
    required("explain", "", &["decision", "file", "line", "passed"]);
    required("explain", "/properties/passed/items", &["reason", "line"]);
    required("check", "", &["loads", "diagnostics"]);
    required("enforce", "", &["enforced", "written", "diff"]);
    let sandbox = desk(&[("open", OPEN), ("hinged", HINGED)]);
    let decided = |args: &str| {
        let ran = hba(&sandbox, &format!("explain {args} --format json")).succeeded();
        let value = admitted("explain", &ran);
        (value["decision"].clone(), value["line"].clone())
    };
    assert_eq!(decided("open -U a"), (json!("peer"), json!(1)));
    assert_eq!(decided("open -U a --addr 10.1.1.1"), (json!("scram-sha-256"), json!(2)));
    assert_eq!(decided("open -U a --addr 11.1.1.1"), (json!("no-entry"), Value::Null));
    assert_eq!(decided("hinged -U a --addr 11.1.1.1 --no-tls"), (json!("reject"), json!(1)));
    assert_eq!(decided("hinged -U a --addr 11.1.1.1"), (json!("depends"), Value::Null));
    let host = "hinged -U a --addr 11.1.1.1 --host-name db.example.org";
    assert_eq!(decided(&format!("{host} --role staff")), (json!("scram-sha-256"), json!(2)));
    assert_eq!(decided(&format!("{host} --role other")), (json!("no-entry"), Value::Null));
}

/// A file may come through a pipe, and is then called `-`.
#[test]
fn a_file_may_come_from_stdin() {
    let sandbox = desk(&[("open", OPEN), ("includes", INCLUDES)]);
    let run = |args: &[&str], stdin: &str| {
        Pgseal::new(&sandbox).arg("hba").args(args.to_vec()).current_dir(sandbox.path()).stdin(stdin).run()
    };
    let proved = admitted("prove", &run(&["prove", "-", "--format", "json"], OPEN).ended(1));
    assert_eq!((&proved["file"], &proved["witness"]["file"]), (&json!("-"), &json!("-")));
    run(&["prove", "-"], SHUT).succeeded();
    run(&["check", "-"], BROKEN).ended(1).says("line 1");
    run(&["diff", "open", "-"], OPEN).succeeded().says("the same");
    run(&["enforce", "-"], OPEN).succeeded().says("hostnossl  replication");
    // What it mentions lies elsewhere, and is not said to be missing there.
    let includes = run(&["prove", "-", "--pg-version", "16"], INCLUDES).ended(3);
    includes.complains("not at hand");
}
