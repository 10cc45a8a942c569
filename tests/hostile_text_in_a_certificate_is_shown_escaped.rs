//! Certificates and servers may say anything. A terminal shows it escaped, on the line where it belongs, and JSON stays
//! JSON.

use rcgen::{DnType, SanType};

use crate::harness::{Account, Forge, Forged, Impostor, Pgseal, Sandbox, leaf_params, refuses, this_year};

/// Writes to the clipboard, clears the screen, turns text around, forges a line of ours.
const HOSTILE: &str = "db\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}2J\u{202e}gpj\u{2066}\r\n  ✓ chain verifies";

fn hostile() -> (Forge, Forged) {
    let ours = Forge::new(HOSTILE);
    let (from, until) = this_year();
    let mut params = leaf_params(&["localhost"], from, until);
    params.distinguished_name.push(DnType::CommonName, HOSTILE);
    params.distinguished_name.push(DnType::OrganizationName, "\u{1b}[31mred\u{1b}[0m");
    params
        .subject_alt_names
        .push(SanType::DnsName("a\u{1b}]0;title\u{7}.example.org\nb".try_into().unwrap()));
    params.subject_alt_names.push(SanType::Rfc822Name("\u{1b}[2J@example.org".try_into().unwrap()));
    let leaf = ours.sign(&params);
    (ours, leaf)
}

#[test]
fn a_hostile_certificate_is_shown_escaped() {
    let sandbox = Sandbox::new();
    let (ours, leaf) = hostile();
    let bundle = format!("{}{}", leaf.certificate, ours.certificate());
    let file = sandbox.file_of(&Account::current(), "hostile.crt", 0o644, &bundle);
    let impostor = Impostor::saying(refuses("28000", "no"), &leaf);
    let sources = [file.display().to_string(), format!("127.0.0.1:{}", impostor.port())];
    for source in &sources {
        let show = |format| Pgseal::new(&sandbox).args(["cert", "show", source, "--format", format]).run();
        let human = show("human").succeeded();
        human.harmless();
        assert!(!human.stdout().lines().any(|line| line.starts_with("  ✓ chain")), "{human}");
        assert!(human.stdout().contains("ZXZpbA=="), "it is shown, not dropped:\n{human}");

        let json = show("json").succeeded();
        json.harmless();
        let leaf = &json.json()["certificates"][0];
        let subject = leaf["subject"].as_str().unwrap();
        assert!(subject.contains("ZXZpbA==") && subject.contains("gpj"), "{subject:?}");
        assert!(leaf["dns_names"].as_array().unwrap().len() == 2, "{leaf}");
    }
}

#[test]
fn a_hostile_server_is_reported_escaped() {
    let sandbox = Sandbox::new();
    let (ours, leaf) = hostile();
    let roots = sandbox.file_of(&Account::current(), "roots.crt", 0o644, ours.certificate());
    let impostor = Impostor::saying(refuses("28000", HOSTILE), &leaf);
    let other = Impostor::saying(refuses("53300", HOSTILE), &Forge::new("x").leaf(&["a.example.org"]));
    for port in [impostor.port(), other.port()] {
        for format in ["human", "json"] {
            let target = format!("postgresql://app@localhost:{port}/shop?hostaddr=127.0.0.1");
            let ran = Pgseal::new(&sandbox)
                .args(["verify", &target, "--format", format, "--sslrootcert"])
                .arg(&roots)
                .env("PGPASSWORD", "secret")
                .run()
                .ended(1);
            ran.harmless();
            assert!(ran.stdout().contains("ZXZpbA=="), "it is shown, not dropped:\n{ran}");
            if format == "json" {
                assert!(ran.json()["claims"].as_array().is_some_and(|claims| claims.len() > 10));
            }
        }
    }
}

#[test]
fn a_hostile_server_is_scanned_and_reported_escaped() {
    let sandbox = Sandbox::new();
    let (ours, leaf) = hostile();
    let roots = sandbox.file_of(&Account::current(), "roots.crt", 0o644, ours.certificate());
    let impostor = Impostor::saying(refuses("28000", HOSTILE), &leaf);
    let target = format!("127.0.0.1:{}", impostor.port());
    for words in [&["--verbose"][..], &["--format", "json"], &["--format", "jsonl"]] {
        let ran = Pgseal::new(&sandbox)
            .args(["scan", &target, "--timeout", "20s", "--fail-on", "never", "--sslrootcert"])
            .arg(&roots)
            .args(words.iter().copied())
            .run()
            .succeeded();
        ran.harmless();
        assert!(ran.stdout().contains("ZXZpbA=="), "it is shown, not dropped:\n{ran}");
        assert!(!ran.stdout().lines().any(|line| line.starts_with("  ✓ chain verifies")), "{ran}");
    }
}

/// A file that is no certificate, and a path with control characters in it.
#[test]
fn a_hostile_path_is_reported_escaped() {
    let sandbox = Sandbox::new();
    let file = sandbox.file_of(&Account::current(), "a\u{1b}[2J\u{202e}b", 0o644, "no certificate");
    for verb in [&["cert", "show"][..], &["verify"], &["status"], &["up"]] {
        let ran = Pgseal::new(&sandbox).args(verb).arg(&file).run();
        assert_ne!(ran.code(), Some(0), "{ran}");
        ran.harmless();
        assert!(ran.stderr().contains("a\\u{1b}[2J\\u{202e}b"), "{ran}");
    }
}
