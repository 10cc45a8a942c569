//! The screens, whole: marks and columns in UTF-8, words in ASCII where the locale has no more. What differs from run to
//! run (ports, dates, paths, fingerprints) is masked, and nothing else.

use std::fs;

use crate::harness::{Account, Forge, Install, LOCALES, Pgseal, Ran, Sandbox, Sealed, compare, mask};

#[test]
fn the_screens_of_up_status_verify_and_down_stay_as_they_are() {
    for (suffix, locale) in LOCALES {
        // An ordinary user's server: what is printed does not depend on who runs the tests.
        let server = Sealed::with(&Install::of(15), &Account::ordinary(), &[]);
        let screen = |name: &str, args: &[&str], ending: i32| {
            let ran = server.pgseal().args(args).env("LC_ALL", locale).run().ended(ending);
            assert_eq!(ran.stderr(), "", "{ran}");
            seen(&format!("{name}-{suffix}"), &server, &ran);
        };
        screen("up-again", &["up", "sealed"], 0);
        screen("status", &["status", "sealed"], 0);
        server.prepend_hba("host all all 127.0.0.1/32 scram-sha-256");
        fs::rename(server.at("client/pgpass"), server.at("client/pgpass-elsewhere")).unwrap();
        server.reload();
        screen("verify-fallen", &["verify", "sealed"], 1);
        screen("down", &["down", "sealed"], 0);
        screen("status-stopped", &["status", "sealed"], 1);
    }
}

#[test]
fn the_screen_of_a_new_server_stays_as_it_is() {
    for (suffix, locale) in LOCALES {
        // Only for its folder and its names: it is removed, and made again to be looked at.
        let server = Sealed::with(&Install::of(15), &Account::ordinary(), &[]);
        server.pgseal().args(["down", "sealed", "--remove", "--yes"]).run().succeeded();
        let port = server.port().to_string();
        let up = server.pgseal().args(["up", "sealed", "-p", &port]).bindir(server.install());
        seen(&format!("up-{suffix}"), &server, &up.env("LC_ALL", locale).run().succeeded());
    }
}

#[test]
fn the_screen_of_a_certificate_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let ours = Forge::new("Beispiel-CA für Tests");
    let leaf = ours.leaf(&["db1.example.org", "*.db.example.org", "10.0.0.5", "2001:db8::5"]);
    let bundle = format!("{}{}", leaf.certificate, ours.certificate());
    sandbox.file_of(&Account::current(), "bundle.crt", 0o644, &bundle);
    for (suffix, locale) in LOCALES {
        let show = Pgseal::new(&sandbox).args(["cert", "show", "bundle.crt"]).current_dir(sandbox.path());
        let ran = show.env("LC_ALL", locale).run().succeeded();
        compare(&format!("cert-show-{suffix}"), &mask(ran.stdout()));
    }
}

fn seen(name: &str, server: &Sealed, ran: &Ran) {
    if name.ends_with("-ascii") {
        assert!(ran.stdout().is_ascii(), "{ran}");
    }
    let settings: toml::Table = {
        let text = fs::read_to_string(server.at("pgseal.toml")).unwrap();
        text.parse().unwrap()
    };
    let names: Vec<&str> = settings["certificate"]["names"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|name| name.as_str())
        .collect();
    let text = ran
        .stdout()
        .replace(server.fact("dir"), "/DIR")
        .replace(server.fact("bindir"), "/BINDIR")
        .replace(&names.join(", "), "NAMES")
        .replace(&format!("PostgreSQL {}", server.fact("pg_version")), "PostgreSQL VERSION")
        .replace(&format!("as user {}", server.fact("run_as")), "as user USER")
        .replace(&server.port().to_string(), "PORT");
    compare(name, &mask(&text));
}
