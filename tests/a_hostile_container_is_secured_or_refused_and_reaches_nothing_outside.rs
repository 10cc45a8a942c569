//! Whoever rules a container may name files as they like, link them anywhere, write any process number down and have its
//! programs lie. pgseal takes it calmly: nothing of this machine's is read or written, nobody else is signalled, nothing is
//! believed.

use std::fs;
use std::path::PathBuf;

use crate::harness::{
    Account, Contained, PASSWORD, Ran, Sandbox, Setup, all_hold, docker, images, images_in_turn, is_soak,
    picture, record,
};

/// Where the sandbox's folder of this machine is, which a path of the container's may name as well.
fn outside(sandbox: &Sandbox) -> PathBuf {
    sandbox.dir_of(&Account::current(), "outside")
}

/// A container, and a folder of this machine's that it must never reach.
struct Hostile {
    contained: Contained,
    outside: PathBuf,
}

impl Hostile {
    #[track_caller]
    fn of(image: &str, further: impl FnOnce(Setup) -> Setup) -> Self {
        let contained = Contained::set_up(image, |setup, _| further(setup));
        let outside = outside(contained.sandbox());
        let rules = "local all all trust\nhost all all all scram-sha-256\n";
        contained.sandbox().file_of(&Account::current(), "outside/pg_hba.conf", 0o644, rules);
        contained.sandbox().file_of(&Account::current(), "outside/PG_VERSION", 0o644, "16\n");
        Self { contained, outside }
    }

    /// Runs it, and looks whether anything outside was touched, or anything of it said.
    #[track_caller]
    fn secure(&self, code: i32) -> Ran {
        let before = picture(&self.outside, |_| true);
        let ran = self.contained.secure(&["--enforce"]).run().ended(code).never_mentions(PASSWORD);
        assert_eq!(picture(&self.outside, |_| true), before, "nothing outside was touched:\n{ran}");
        ran
    }

    /// What its shell calls by that name is another thing from now on. The programs of these images are one busybox, whose
    /// shell asks nobody else for them: so it is the shell that lies.
    #[track_caller]
    fn lies(&self, program: &str, script: &str) {
        let shell = format!(
            "#!/bin/busybox sh\n[ \"$1\" = -c ] || exec /bin/busybox sh \"$@\"\n{program}() {{\n{script}\n}}\nscript=$2\nshift 3\neval \"$script\"\n"
        );
        let put = "rm -f /bin/sh && printf '%s' \"$1\" > /bin/sh && chmod 755 /bin/sh";
        self.contained.exec(&["sh", "-c", put, "sh", &shell]).succeeded();
    }
}

#[test]
fn files_of_any_name_are_read_as_the_server_reads_them() {
    for image in images_in_turn(0) {
        let hostile = Hostile::of(&image, |setup| setup);
        let contained = &hostile.contained;
        let made = r#"
cd "$PGDATA" && mkdir conf.d && cd conf.d
nl='
'
echo "ssl_min_protocol_version = 'TLSv1'" > "./a${nl}b.conf"
echo "work_mem = '5MB'" > "./-rf.conf"
echo "maintenance_work_mem = '65MB'" > "./it's \"so\" \$(touch here) \`touch there\`.conf"
echo "not read" > "./c.conf${nl}"
echo "not read" > ./.hidden.conf
mkdir ./folder.conf
chown -R postgres "$PGDATA/conf.d"
echo "include_dir = 'conf.d'" >> "$PGDATA/postgresql.conf""#;
        contained.sh(made).succeeded();
        contained.sql("SELECT pg_reload_conf()");
        let before = contained.files();
        let ran = hostile.secure(0);
        assert!(!ran.stdout().contains("a\nb.conf"), "a name is one line:\n{ran}");
        assert_eq!(contained.sql("SHOW ssl_min_protocol_version"), "TLSv1.2", "{image}");
        all_hold(&contained.verb("verify", &["--format", "json"]).run());
        contained.verb("undo", &["--allow-insecure"]).run().succeeded();
        assert_eq!(contained.files(), before, "{image}: undone to the byte");
    }
}

#[test]
fn configuration_that_is_linked_to_secrets_or_to_roots_files_is_not_followed_out() {
    for image in images_in_turn(1) {
        let hostile = Hostile::of(&image, |setup| setup);
        let contained = &hostile.contained;
        // The way back, for the next case.
        contained.sh("cp -p \"$PGDATA/pg_hba.conf\" /tmp/h && cp -p \"$PGDATA/postgresql.conf\" /tmp/c && echo canary:x: >> /etc/shadow && chmod 600 /etc/shadow").succeeded();
        for file in ["pg_hba.conf", "postgresql.conf"] {
            contained.sh(&format!("ln -sf /etc/shadow \"$PGDATA/{file}\"")).succeeded();
            let ran = hostile.secure(3).never_mentions("canary:");
            ran.complains("/etc/shadow").complains("Permission denied");
            let back = "cp -p /tmp/h \"$PGDATA/pg_hba.conf.x\" && mv \"$PGDATA/pg_hba.conf.x\" \"$PGDATA/pg_hba.conf\" && cp -p /tmp/c \"$PGDATA/c.x\" && mv \"$PGDATA/c.x\" \"$PGDATA/postgresql.conf\"";
            contained.sh(back).succeeded();
        }
        // The same path is a file of root's here and there.
        let path = hostile.outside.display();
        let linked = format!(
            "mkdir -p {path} && echo 'local all all trust' > {path}/pg_hba.conf && echo 'host all all all scram-sha-256' >> \
             {path}/pg_hba.conf && ln -sf {path}/pg_hba.conf \"$PGDATA/pg_hba.conf\""
        );
        contained.sh(&linked).succeeded();
        contained.sql("SELECT pg_reload_conf()");
        let before = contained.files();
        let ran = contained.secure(&["--enforce"]).run();
        assert!(matches!(ran.code(), Some(3 | 4)), "{image}: {ran}");
        let ran = ran.complains("belongs to uid 0 in the container");
        assert_eq!(contained.files(), before, "{image}: as it was:\n{ran}");
        let rules = fs::read_to_string(hostile.outside.join("pg_hba.conf")).expect("it is there");
        assert!(!rules.contains("hostnossl"), "{image}: {rules}");
        hostile.secure(ran.code().unwrap_or_default());
    }
}

#[test]
fn a_process_that_is_not_the_server_is_never_signalled() {
    for image in images_in_turn(2) {
        let hostile = Hostile::of(&image, |setup| setup.option("--init", "true"));
        let contained = &hostile.contained;
        let name = contained.name();
        docker(&["exec", "--detach", "--user", "postgres", name, "sleep", "1000"]).succeeded();
        docker(&["exec", "--detach", name, "sleep", "2000"]).succeeded();
        let pid_of = |seconds: &str| {
            let script = format!(
                "for p in /proc/[0-9]*; do [ \"$(tr '\\0' ' ' < $p/cmdline)\" = 'sleep {seconds} ' ] && echo ${{p#/proc/}}; done; :"
            );
            contained.sh(&script).succeeded().stdout().trim().to_owned()
        };
        let (own, roots) = (pid_of("1000"), pid_of("2000"));
        let server =
            contained.sh("head -n 1 \"$PGDATA/postmaster.pid\"").succeeded().stdout().trim().to_owned();
        let started = contained.started();
        contained.secure(&[]).run().succeeded();
        let numbers = [
            ("1", "belongs to uid 0"),
            ("-1", "no server can have that process number"),
            ("0", "no server"),
            ("99999999999", "no server can have that process number"),
            (own.as_str(), "that process is sleep"),
            (roots.as_str(), "belongs to uid 0"),
            ("$(kill 1)", "no server"),
        ];
        for (pid, says) in numbers.into_iter().step_by(if is_soak() { 1 } else { 2 }) {
            let swap = "sed -i \"1s/.*/$1/\" \"$PGDATA/postmaster.pid\"";
            contained.exec(&["sh", "-c", swap, "sh", pid]).succeeded();
            hostile.secure(3).complains(says);
            contained.verb("undo", &["--allow-insecure"]).run();
            contained.exec(&["sh", "-c", swap, "sh", &server]).succeeded();
            assert_eq!((pid_of("1000"), pid_of("2000")), (own.clone(), roots.clone()), "{image}: {pid}");
            assert_eq!(contained.started(), started, "{image}: {pid}: the server runs on");
            contained.secure(&[]).run();
            record("a process in a container that is not the server is left alone", 1);
        }
    }
}

/// The program, what about its lie, and the lie, with the folder that is outside.
type Lie = (&'static str, &'static str, fn(&str) -> String);

#[test]
fn programs_that_lie_are_not_believed() {
    let image = &images()[0];
    let path = |hostile: &Hostile| hostile.outside.display().to_string();
    let lies: [Lie; 9] = [
        ("stat", "nothing", |_| "return 0".to_owned()),
        ("stat", "garbage", |_| "printf 'regular file|x|y|z|\\n\\033[31m'".to_owned()),
        ("stat", "root", |_| "echo 0 0 root".to_owned()),
        ("stat", "a crowd", |_| "yes 'regular file|70|70|600|1' | command head -n 100000".to_owned()),
        ("readlink", "elsewhere", |_| "echo ../../../etc/passwd".to_owned()),
        ("readlink", "outside", |path| format!("echo {path}/pg_hba.conf")),
        ("readlink", "nothing", |_| "return 1".to_owned()),
        ("head", "a crowd", |_| "yes | command head -c 1000000".to_owned()),
        ("head", "nothing", |_| "return 0".to_owned()),
    ];
    for (program, about, script) in lies {
        let hostile = Hostile::of(image, |setup| setup);
        let started = hostile.contained.started();
        hostile.lies(program, &script(&path(&hostile)));
        eprintln!("{program}, {about}");
        let ran = hostile.secure(3);
        assert!(!ran.stderr().contains('\u{1b}'), "{program}, {about}: escaped:\n{ran}");
        assert!(ran.stderr().lines().count() > 0 && ran.stdout().is_empty(), "{program}, {about}:\n{ran}");
        assert_eq!(hostile.contained.started(), started, "{program}, {about}");
        hostile.contained.client("disable").run("SELECT 1").succeeded();
        record("a lie of a container's programs is not believed", 1);
    }
}
