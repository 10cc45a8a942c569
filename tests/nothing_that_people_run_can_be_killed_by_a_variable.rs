//! The points at which tests kill and fail pgseal are in a program of their own. What people run has none of them, however
//! it is built, and the other one does not compile for a release.

use std::fs;
use std::path::Path;

use crate::harness::{Account, Living, Sandbox, Shown, Trace, project, record};

#[test]
fn the_variables_mean_nothing_to_pgseal() {
    let living = Living::of(15);
    let by = Account::current();
    let trace = Trace::new(living.sandbox());
    let secure = living.secure(&["--enforce"], &by);
    secure
        .env("PGSEAL_FAULT_TRACE", trace.path())
        .env("PGSEAL_KILL_AT", "1")
        .env("PGSEAL_FAULT_AT", "1+:ENOSPC")
        .env("PGSEAL_PAUSE_AT", "1")
        .run()
        .succeeded();
    assert_eq!(living.shown(), Shown::TlsOnly);
    assert_eq!(trace.points(), []);
    // Not even as words that a debugger would find.
    let program = fs::read(env!("CARGO_BIN_EXE_pgseal")).unwrap();
    for name in ["PGSEAL_KILL_AT", "PGSEAL_FAULT_AT", "PGSEAL_PAUSE_AT"] {
        assert!(!program.windows(name.len()).any(|part| part == name.as_bytes()), "{name} is in pgseal");
    }
    record("what people run has no points to be killed at", 1);
}

#[test]
fn a_release_has_one_program_and_refuses_the_other() {
    let manifest = fs::read_to_string(project().join("crates/pgseal/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let features = manifest["features"].as_table().unwrap();
    assert!(!features.contains_key("default"), "a plain build has no feature: {features:?}");
    for program in manifest["bin"].as_array().unwrap() {
        let wanted = program.get("required-features").and_then(|wanted| wanted[0].as_str());
        match program["name"].as_str() {
            Some("pgseal") => assert_eq!((wanted, program["path"].as_str()), (None, Some("src/main.rs"))),
            Some("pgseal-faulty") => assert_eq!(wanted, Some("faults")),
            other => panic!("who runs {other:?}?"),
        }
    }
    assert!(refuses_a_release(&project().join("crates/pgseal/src/faults/armed.rs")));
    assert!(!refuses_a_release(&project().join("crates/pgseal/src/faults/quiet.rs")));
}

/// Whether rustc refuses a source for a release, before it looks at anything else in it.
fn refuses_a_release(source: &Path) -> bool {
    let sandbox = Sandbox::new();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let checked = std::process::Command::new(rustc)
        .args([
            "--crate-type=lib",
            "--edition=2024",
            "--emit=metadata",
            "-Cdebug-assertions=off",
            "--out-dir",
        ])
        .arg(sandbox.path())
        .arg(source)
        .output()
        .unwrap();
    String::from_utf8_lossy(&checked.stderr).contains("has no place in a release")
}
