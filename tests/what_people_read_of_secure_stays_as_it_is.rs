//! The screens of `pgseal secure` and `undo`, whole: the plan, who would be locked out, the proof, a second run, a refusal,
//! the way back. In UTF-8 and in ASCII; what differs from run to run is masked, and nothing else.

use crate::harness::{Account, LOCALES, Living, Ran, Resident, compare, mask};

#[test]
fn the_screens_of_secure_and_undo_stay_as_they_are() {
    for (suffix, locale) in LOCALES {
        let by = Account::current();
        let living = Living::of(15);
        let screen = |name: &str, ran: &Ran| {
            if suffix == "ascii" {
                assert!(ran.stdout().is_ascii() && ran.stderr().is_ascii(), "{ran}");
            }
            compare(&format!("secure-{name}-{suffix}"), &text(&living, ran));
        };
        // What it says does not hang on how the machine is called.
        let secure = |words: &[&str]| {
            let words = [&["--san", "db1.example.org"], words].concat();
            living.secure(&words, &by).env("LC_ALL", locale).run()
        };
        screen("plan", &secure(&["--dry-run", "--enforce"]).succeeded());
        let billing = Resident::new(&living, living.psql("disable"), "billing");
        screen("stopped", &secure(&["--enforce"]).ended(1));
        screen("on", &secure(&[]).succeeded());
        screen("only", &secure(&["--enforce", "--even-if-locked-out"]).succeeded());
        billing.stayed();
        screen("again", &secure(&["--enforce"]).succeeded());
        let back = |words: &[&str]| living.verb("undo", words, &by).env("LC_ALL", locale).run();
        screen("undo-refused", &back(&[]).ended(1));
        screen("undo", &back(&["--allow-insecure"]).succeeded());
    }
}

fn text(living: &Living, ran: &Ran) -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux has it");
    let release = living.sql("SHOW server_version");
    let started = living.started();
    let text = format!("{}\n{}", ran.stdout().trim_end(), ran.stderr().trim_end())
        .replace(&living.sandbox().path().display().to_string(), "/SANDBOX")
        .replace(&living.port().to_string(), "PORT")
        .replace(&format!("PostgreSQL {release}"), "PostgreSQL RELEASE")
        .replace(&started, "STARTED")
        .replace(&format!("{}, db1", machine.trim()), "MACHINE, db1")
        .replace(&format!("server CA {} ", machine.trim()), "server CA MACHINE ");
    let text: Vec<&str> = text.lines().map(without_numbers).collect();
    mask(text.join("\n").trim_end())
}

/// How long a postgresql.conf of initdb is differs from release to release.
fn without_numbers(line: &str) -> &str {
    if line.trim_start().starts_with("@@ -8") { "       @@ NUMBERS @@" } else { line }
}
