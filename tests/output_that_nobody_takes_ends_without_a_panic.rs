//! Output to a closed pipe, to a full disk or to nowhere: the exit status says what happened, and nothing breaks off with a
//! panic or a core.

use std::fs;
use std::time::Duration;

use crate::harness::{Account, Install, Pgseal, Sandbox, Sealed};

/// Runs pgseal with its output led away by `script`, in which `"$@"` is it; the script's last line is `status=N`.
fn status(pgseal: Pgseal<'_>, script: &str) -> i32 {
    let ran = pgseal.through(script).limit(Duration::from_secs(60)).run();
    assert!(!ran.to_string().contains("panicked"), "{ran}");
    let told = ran.stdout().rsplit("status=").next().unwrap_or_default().trim();
    told.parse().unwrap_or_else(|_| panic!("the script should have told a status: {ran}"))
}

const CLOSED_PIPE: &str = "{ \"$@\" 2>&3; echo $? >&4; } 3>&2 4>status | :; echo status=$(cat status)";
/// The reader is gone for certain before anything is written.
const LONG_CLOSED_PIPE: &str =
    "{ sleep 0.2; \"$@\" 2>&3; echo $? >&4; } 3>&2 4>status | exec true; echo status=$(cat status)";
const FULL: &str = "\"$@\" >/dev/full; echo status=$?";
const BOTH_FULL: &str = "\"$@\" >/dev/full 2>/dev/full; echo status=$?";
const NO_OUTPUT: &str = "\"$@\" >&- ; echo status=$?";
const NOTHING_OPEN: &str = "\"$@\" >&- 2>&- <&-; echo status=$?";
const CLOSED_ERRORS: &str =
    "{ \"$@\" 2>&1 >&3; echo $? >&4; } 3>/dev/null 4>status | :; echo status=$(cat status)";

#[test]
fn output_that_nobody_takes_ends_without_a_panic() {
    for account in Account::both() {
        let sealed = Sealed::with(&Install::of(15), &account, &[]);
        let ca = sealed.at("client/ca.crt");
        let ca = ca.to_str().unwrap();
        let verbs: [&[&str]; 9] = [
            &["--help"],
            &["up", "--help"],
            &["--version"],
            &["status", "sealed"],
            &["status", "sealed", "--format", "json"],
            &["verify", "sealed"],
            &["verify", "sealed", "--format", "json"],
            &["cert", "show", ca],
            &["up", "sealed"],
        ];
        for words in verbs {
            let run = |script| status(sealed.pgseal().args(words.to_vec()), script);
            for script in [CLOSED_PIPE, LONG_CLOSED_PIPE, NO_OUTPUT, NOTHING_OPEN] {
                assert_eq!(run(script), 0, "{words:?} {script}");
            }
            // clap prints help and version, and keeps to itself when it cannot.
            let full =
                if words.iter().any(|word| word.starts_with("--") && *word != "--format") { 0 } else { 3 };
            assert_eq!(run(FULL), full, "{words:?}");
            assert_eq!(run(BOTH_FULL), full, "{words:?}");
        }
        // Errors that nobody reads still end with their status.
        for (words, code) in [
            (&["status", "absent"][..], 3),
            (&["up", "--san", "no name"], 2),
            (&["no-such-verb"], 2),
            (&["verify", "sealed", "--sslrootcert", "none"], 2),
        ] {
            for script in [BOTH_FULL, NOTHING_OPEN, CLOSED_ERRORS] {
                assert_eq!(status(sealed.pgseal().args(words.to_vec()), script), code, "{words:?} {script}");
            }
        }
        assert!(sealed.pid().is_some());
    }
}

#[test]
fn an_up_whose_result_cannot_be_written_has_still_made_a_server() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let verb = |words: &[&str]| Pgseal::new(&sandbox).by(&account).args(words.to_vec());
        let up = || verb(&["up", "sealed", "-p", "0"]).bindir(&Install::of(15));
        let dir = verb(&[]).work_dir();
        assert_eq!(status(up(), "\"$@\" >/dev/full 2>errors; echo status=$?"), 3);
        let errors = fs::read_to_string(dir.join("errors")).unwrap();
        assert!(errors.contains("could not write the result: No space left on device"), "{errors}");
        verb(&["status", "sealed"]).run().succeeded();
        verb(&["verify", "sealed"]).run().succeeded();
        verb(&["down", "sealed", "--remove", "--yes"]).run().succeeded();
    }
}

#[test]
fn a_question_that_nobody_can_answer_is_not_asked() {
    let sealed = Sealed::of(15);
    for input in ["", "yes\n", "y\n"] {
        let ran = sealed.pgseal().args(["down", "--remove", "sealed"]).stdin(input).run();
        ran.ended(2).complains("nobody can be asked here").complains("--yes");
        assert!(sealed.pid().is_some());
    }
}
