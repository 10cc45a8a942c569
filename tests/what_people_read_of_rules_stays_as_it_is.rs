//! The screens of `pgseal hba`, whole: on files that hold what people meet, in UTF-8 and in ASCII.

use std::fs;

use crate::harness::{Pgseal, Ran, Sandbox, record};

const LOCALES: [(&str, &str); 2] = [("utf8", "C.UTF-8"), ("ascii", "C")];

const FILES: &[(&str, &str)] = &[
    (
        "pg_hba.conf",
        "# TYPE  DATABASE  USER  ADDRESS  METHOD
local   all          postgres                 peer
host    all          all       ::1/128        md5
hostssl all          all       10.0.0.0/8     scram-sha-256
host    shop         app       10.0.0.0/8     password
host    all          guest     10.0.7.0/24    trust
hostnossl all        all       all            reject
host    replication  standby   10.0.0.9/32    scram-sha-256
",
    ),
    (
        "wrong.conf",
        "local all all peer
host all all 10.0.0.0/33 md5
hostssl all all all ldap ldapserver=x ldapbasedn=d ldapbinddn=b ldapbindpasswd=hunter2 oops
host all all 10.0.0.1/8 scram
include team.conf
host all \"all 10.0.0.0/8 md5
",
    ),
    (
        "hinges.conf",
        "hostnossl all,replication all 0.0.0.0/0 reject
host shop +staff db.example.org scram-sha-256
",
    ),
    ("shut.conf", "local all all peer\nhostssl all,replication all all scram-sha-256\n"),
    ("team.conf", "hostssl team all 10.9.0.0/16 scram-sha-256\n"),
    ("includes.conf", "include team.conf\nhostssl all all all scram-sha-256\n"),
];

const SCREENS: &[(i32, &[&str])] = &[
    (0, &["check", "pg_hba.conf"]),
    (1, &["check", "wrong.conf"]),
    (1, &["prove", "pg_hba.conf"]),
    (0, &["prove", "shut.conf"]),
    (1, &["prove", "hinges.conf"]),
    (3, &["prove", "wrong.conf"]),
    (3, &["prove", "includes.conf"]),
    (0, &["explain", "pg_hba.conf", "-U", "app", "-d", "shop", "--addr", "10.0.0.31", "--no-tls"]),
    (0, &["explain", "pg_hba.conf", "-U", "app"]),
    (0, &["explain", "hinges.conf", "-U", "app", "-d", "shop", "--addr", "2001:db8::1"]),
    (0, &["diff", "pg_hba.conf", "shut.conf"]),
    (0, &["diff", "shut.conf", "shut.conf"]),
    (0, &["enforce", "pg_hba.conf", "--diff"]),
    (0, &["enforce", "pg_hba.conf", "--diff", "--gss", "--except", "app@10.0.0.31", "--until", "2099-12-31"]),
    (0, &["enforce", "pg_hba.conf", "--in-place"]),
    (0, &["enforce", "pg_hba.conf", "--in-place"]),
    (0, &["check", "pg_hba.conf"]),
    (0, &["enforce", "pg_hba.conf", "--undo", "--in-place"]),
    (0, &["enforce", "pg_hba.conf", "--undo", "--in-place"]),
    (3, &["check", "nowhere.conf"]),
];

#[test]
fn the_screens_of_every_verb_of_hba_stay_as_they_are() {
    for (suffix, locale) in LOCALES {
        let sandbox = Sandbox::new();
        for (name, content) in FILES {
            fs::write(sandbox.join(name), content).unwrap();
        }
        let mut screens = String::new();
        for (ending, args) in SCREENS {
            let pgseal = Pgseal::new(&sandbox).arg("hba").args(args.to_vec());
            let ran = pgseal.current_dir(sandbox.path()).env("LC_ALL", locale).run().ended(*ending);
            screens.push_str(&seen(&sandbox, args, &ran));
        }
        if suffix == "ascii" {
            assert!(screens.is_ascii(), "{screens}");
        }
        let screens = screens.trim_end();
        insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(format!("hba-{suffix}"), screens);
        });
        record("what people read of rules stays as it is", 1);
    }
}

/// As in a terminal: the command, what it said, and how it ended.
fn seen(sandbox: &Sandbox, args: &[&str], ran: &Ran) -> String {
    let path = sandbox.path().to_str().unwrap();
    let said = format!("{}{}", ran.stderr(), ran.stdout()).replace(path, "/DIR");
    format!("$ pgseal hba {}\n{}\n[{}]\n\n", args.join(" "), said.trim_end(), ran.code().unwrap_or(-1))
}
