//! examples/compose/ is what `pgseal up --engine compose` writes, keys and passwords apart. With UPDATE_EXAMPLES=1 in the
//! environment it is written anew.

use std::fs;

use crate::harness::{Account, Composed, docker, project, record};

/// Of the folder and of the volume.
const IN_THE_FOLDER: [&str; 7] = [
    ".dockerignore",
    ".env",
    ".gitignore",
    "client/connection.txt",
    "client/pg_service.conf",
    "compose.yaml",
    "pgseal.toml",
];
const IN_THE_VOLUME: [&str; 3] = ["pg_hba.conf", "pg_ident.conf", "postgresql.conf"];

#[test]
fn the_compose_example_is_what_up_writes() {
    let composed = Composed::new(2, &Account::current());
    // The example's name of the container may be in use by another run.
    let name = format!("{}-db", composed.name());
    composed.up(&["--container-name", &name]).run().succeeded();
    let dry = composed.verb("up", &["--dry-run"]).run().succeeded();
    assert!(dry.stdout().contains("made already: nothing would be written"), "{dry}");

    let examples = project().join("examples/compose");
    let mut seen = vec!["README.md".to_owned()];
    let mut same = |path: String, text: &str| {
        let (file, text) = (examples.join(&path), masked(text, &composed, &name));
        if std::env::var_os("UPDATE_EXAMPLES").is_some() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &text).unwrap();
        }
        let example = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            text,
            example,
            "{} is not what up writes; UPDATE_EXAMPLES=1 writes it anew",
            file.display()
        );
        seen.push(path);
    };
    for path in IN_THE_FOLDER {
        same(path.to_owned(), &fs::read_to_string(composed.at(path)).unwrap());
    }
    for path in IN_THE_VOLUME {
        let text = docker(&["exec", &name, "cat", &format!("/tls/{path}")]).succeeded();
        same(format!("tls/{path}"), text.stdout());
    }
    let all = crate::harness::picture(&examples, |_| true);
    let mut there: Vec<String> = all
        .iter()
        .filter(|(_, file)| file.content().is_some())
        .map(|(path, _)| path.display().to_string())
        .collect();
    there.sort();
    seen.sort();
    assert_eq!(there, seen, "nothing else lies in examples/compose");
    record("the compose example is what up writes", 1);
}

/// What every machine and every run has of its own.
fn masked(text: &str, composed: &Composed, container: &str) -> String {
    let project = composed.project();
    let id = project.rsplit('-').next().unwrap();
    let settings: toml::Table = fs::read_to_string(composed.at("pgseal.toml")).unwrap().parse().unwrap();
    let text = text
        .replace(composed.dir().to_str().unwrap(), "/srv/shop")
        .replace(container, "shop-db")
        .replace(&project, "shop-0a1b2c3d")
        .replace(id, "0a1b2c3d")
        .replace(&composed.port().to_string(), "5432")
        .replace(settings["server"]["version"].as_str().unwrap(), "16.15")
        .replace(settings["compose"]["docker"].as_str().unwrap(), "unix:///var/run/docker.sock");
    // The machine's own name stands behind the loopbacks, where it has one that a certificate can carry.
    let names = settings["certificate"]["names"].as_array().unwrap();
    let machine = names.get(3).and_then(|name| name.as_str()).filter(|name| *name != "postgres");
    machine.map_or_else(|| text.clone(), |machine| in_its_places(&text, machine))
}

/// A short name may be part of other words.
fn in_its_places(text: &str, machine: &str) -> String {
    text.replace(&format!("\"{machine}\""), "\"db1\"").replace(&format!("@{machine}:"), "@db1:")
}
