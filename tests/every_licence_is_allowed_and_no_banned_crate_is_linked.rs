//! deny.toml names the licences that are allowed and the crates that are banned; this holds the tree against it.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

use toml::Table;

use crate::harness::{Running, project};

#[test]
fn every_crate_has_a_licence_that_deny_toml_allows() {
    let policy = policy();
    let allowed: Vec<&str> = strings(&policy["licenses"]["allow"]);
    let metadata = cargo(&["metadata", "--format-version", "1", "--locked"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 4, "cargo metadata lists the dependencies");
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| {
            let licence = package["license"].as_str().unwrap_or_default();
            !holds(licence, &allowed)
        })
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "not allowed by deny.toml:\n{}", refused.join("\n"));
}

#[test]
fn no_crate_that_deny_toml_bans_is_linked() {
    let policy = policy();
    let bans = policy["bans"]["deny"].as_array().unwrap();
    let banned: Vec<&str> = bans.iter().map(|ban| ban["crate"].as_str().unwrap()).collect();
    for must in ["openssl", "openssl-sys", "native-tls", "ring"] {
        assert!(banned.contains(&must), "deny.toml must ban {must}");
    }
    let tree = cargo(&["tree", "--workspace", "-e", "normal,build", "--prefix", "none", "--locked"]);
    assert!(tree.lines().any(|line| line.starts_with("rustls ")), "cargo tree lists the dependencies");
    let linked: Vec<&str> = tree
        .lines()
        .filter(|line| line.split(' ').next().is_some_and(|name| banned.contains(&name)))
        .collect();
    assert!(linked.is_empty(), "banned by deny.toml: {linked:?}");
}

#[test]
fn a_licence_expression_holds_as_spdx_has_it() {
    let allowed = ["MIT", "Apache-2.0", "ISC"];
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-2.0",
        "MIT AND ISC",
        "ISC AND (Apache-2.0 OR OpenSSL)",
        "(GPL-3.0 AND MIT) OR ISC",
    ] {
        assert!(holds(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "MIT AND (GPL-3.0 OR BSL-1.0)",
        "Apache-2.0 WITH LLVM-exception",
        "MIT OR",
    ] {
        assert!(!holds(bad, &allowed), "{bad}");
    }
}

/// Whether an SPDX expression can be met by the allowed licences. `A WITH B` is allowed by that very text only.
fn holds(expression: &str, allowed: &[&str]) -> bool {
    // Cargo still takes the old `A/B` for `A OR B`.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let spaced = spaced.replace(" WITH ", "\u{a0}WITH\u{a0}");
    let words: Vec<&str> = spaced.split([' ', '\n']).filter(|word| !word.is_empty()).collect();
    either(&words, allowed) == Some((true, &[][..]))
}

/// Parses `A OR B …`; returns whether it holds, and the words after it. `None`: no expression.
fn either<'w, 't>(words: &'w [&'t str], allowed: &[&str]) -> Option<(bool, &'w [&'t str])> {
    let (mut held, mut rest) = both(words, allowed)?;
    while let ["OR", after @ ..] = rest {
        let (also, left) = both(after, allowed)?;
        (held, rest) = (held || also, left);
    }
    Some((held, rest))
}

/// Parses `A AND B …`, which binds tighter.
fn both<'w, 't>(words: &'w [&'t str], allowed: &[&str]) -> Option<(bool, &'w [&'t str])> {
    let (mut held, mut rest) = one(words, allowed)?;
    while let ["AND", after @ ..] = rest {
        let (also, left) = one(after, allowed)?;
        (held, rest) = (held && also, left);
    }
    Some((held, rest))
}

fn one<'w, 't>(words: &'w [&'t str], allowed: &[&str]) -> Option<(bool, &'w [&'t str])> {
    match words {
        ["(", inner @ ..] => match either(inner, allowed)? {
            (held, [")", rest @ ..]) => Some((held, rest)),
            _ => None,
        },
        ["OR" | "AND" | ")", ..] | [] => None,
        [licence, rest @ ..] => Some((allowed.contains(&licence.replace('\u{a0}', " ").as_str()), rest)),
    }
}

fn policy() -> Table {
    fs::read_to_string(project().join("deny.toml")).unwrap().parse().unwrap()
}

fn strings(list: &toml::Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

fn cargo(args: &[&str]) -> String {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(project()).args(args);
    let ran = Running::start(command, b"").wait(Duration::from_secs(120)).succeeded();
    ran.stdout().to_owned()
}
