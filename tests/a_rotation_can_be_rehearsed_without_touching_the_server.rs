//! `pgseal rotate --drill`: a temporary server of the same version with a copy of the TLS settings is rotated and removed;
//! of the real one nothing is written, signalled or left behind. A setting that would fail fails there.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{
    Account, Composed, Contained, Install, Living, PASSWORD, Projected, Ran, Schema, USUAL_FILE,
    USUAL_PROJECT, docker, holds, images, record, seen_by, served, versions_in_turn, watched,
};

/// What every container of a rehearsal is called, with a number behind it.
const NAME: &str = "pgseal-drill-";
/// A docker client in front of the real one. When psql is to be told something, somebody else tries to come in from
/// outside, with the password that docker knows; then what it is told is written down.
const EAVESDROPPER: &str = r#"#!/bin/sh
PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
case " $* " in
*" psql "*) ;;
*) exec docker "$@" ;;
esac
name=$3
port=$(docker port "$name" 5432 | head -n 1)
PGPASSWORD=$(docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$name" | sed -n 's/^POSTGRES_PASSWORD=//p')
export PGPASSWORD
@PSQL@ -X -h 127.0.0.1 -p "${port##*:}" -U postgres -d postgres -c 'SELECT 1' >"$0.outside" 2>&1
unset PGPASSWORD
tee "$0.told" | docker "$@"
"#;

/// What a rehearsal of that server's would leave in its own folder for such things.
fn left_behind(living: &Living, by: &Account) -> Vec<String> {
    let folder = living.sandbox().dir_of(by, "tmp");
    let names = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[track_caller]
fn drill(living: &Living, by: &Account) -> Ran {
    let folder = living.sandbox().dir_of(by, "tmp");
    living.verb("rotate", &["--drill", "--format", "json"], by).env("TMPDIR", folder).run()
}

#[test]
fn a_server_on_this_machine_is_rehearsed_and_left_as_it_is() {
    for (nth, by) in Account::current_and_server().into_iter().enumerate() {
        for version in versions_in_turn(nth) {
            let living = Living::of(version);
            living.secured(&by);
            left_behind(&living, &by);
            let (files, shown, log) = (living.kept_files(), served(living.port()), living.log_text());
            let ran = drill(&living, &by).succeeded().never_mentions(PASSWORD).never_mentions("PRIVATE KEY");
            let told = ran.json();
            Schema::of("rotate-drill").admits(&told);
            Schema::of("rotate").admits(&told["rotation"]);
            assert_eq!(told["rotation"]["state"], "rotated", "{ran}");
            assert_eq!(told["rotation"]["pg_version"], told["pg_version"], "{ran}");
            assert!(told["settings"].to_string().contains("ssl_ciphers"), "{ran}");
            let history = living.verb("history", &["--format", "json"], &by).run().succeeded().json();
            assert_eq!(
                history["changes"].as_array().map(Vec::len),
                Some(1),
                "the real one has no further change"
            );
            assert_eq!(living.kept_files(), files, "{ran}");
            assert_eq!(served(living.port()), shown);
            assert!(!living.log_text()[log.len()..].contains("SIGHUP"), "no reload:\n{ran}");
            assert_eq!(left_behind(&living, &by), Vec::<String>::new());

            record("a rotation is rehearsed without touching the server", 1);
            if nth > 0 {
                continue;
            }
            let line = if version >= 18 { "ssl_groups = 'nonsense'" } else { "ssl_ecdh_curve = 'nonsense'" };
            living.append_conf(line);
            living.reload();
            let failed = drill(&living, &by).ended(1).complains("the rehearsal failed: rotate");
            failed.complains("SSL configuration was not reloaded").complains("was touched");
            assert_eq!(left_behind(&living, &by), Vec::<String>::new());
            record("a rehearsal fails where the rotation would", 1);
        }
    }
}

#[test]
fn a_container_is_rehearsed_in_another_one_of_its_image() {
    let image = images().remove(0);
    let contained = Contained::of(&image);
    contained.secure(&[]).run().succeeded();
    let (files, started) = (contained.files(), contained.started());
    let ran = contained.verb("rotate", &["--drill", "--format", "json"]).run().succeeded();
    rehearsed_in_a_container(&ran.never_mentions(PASSWORD), &contained.sql("SHOW server_version"));
    assert_eq!((contained.files(), contained.started()), (files, started));
    record("a container's rotation is rehearsed in another one of its image", 1);
}

/// What was rehearsed was a server of that version, in a container that is gone.
#[track_caller]
fn rehearsed_in_a_container(ran: &Ran, version: &str) {
    let told = ran.json();
    Schema::of("rotate-drill").admits(&told);
    assert_eq!(told["rotation"]["state"], "rotated", "{told:#}");
    assert_eq!(told["pg_version"], version, "{told:#}");
    assert_eq!(told["rotation"]["pg_version"], version, "{told:#}");
    let target = told["rotation"]["target"].as_str().unwrap_or_default();
    let name = target.strip_prefix("container:").unwrap_or_default();
    assert!(name.starts_with(NAME), "{told:#}");
    let all = docker(&["ps", "--all", "--format", "{{.Names}}"]).succeeded();
    assert!(!all.stdout().lines().any(|other| other == name), "{all}");
}

#[test]
fn a_compose_service_is_rehearsed_in_a_container_of_its_image() {
    let image = images().remove(0);
    let project = Projected::new(2);
    // From 18 on the data lies in a folder of its version below the mount.
    let data = if image.contains(":18") { "" } else { "/data" };
    project.file(USUAL_FILE, &USUAL_PROJECT.replace("@IMAGE@", &image).replace("@DATA@", data));
    project.up();
    project.wait_until_it_answers();
    project.secure(USUAL_FILE, &["--enforce"]).run().succeeded();
    let state = || (project.inspect("{{.Id}} {{.State.StartedAt}}"), served(project.port()));
    let before = state();
    let version = project.psql_inside("SHOW server_version").succeeded().stdout().trim().to_owned();
    let target = format!("{USUAL_FILE}#postgres");
    let ran = project.verb("rotate", &target, &["--drill", "--format", "json"]).run().succeeded();
    rehearsed_in_a_container(&ran.never_mentions("securepassword"), &version);
    assert_eq!(state(), before);
    let history = project.verb("history", &target, &["--format", "json"]).run().succeeded().json();
    assert_eq!(history["changes"].as_array().map(Vec::len), Some(1), "{history:#}");
    record("a compose service's rotation is rehearsed in a container of its image", 1);
}

#[test]
fn a_folder_of_ups_in_a_container_is_rehearsed_in_another_one_of_its_image() {
    let image = images().pop().unwrap();
    let composed = Composed::new(2, &Account::current());
    composed.up(&["--image", &image]).run().succeeded();
    let state = || (composed.times(), served(composed.port()));
    let before = state();
    let version = composed.psql_inside("SHOW server_version").succeeded().stdout().trim().to_owned();
    let ran = composed.verb("rotate", &["--drill", "--format", "json"]).run().succeeded();
    rehearsed_in_a_container(&ran, &version);
    assert_eq!(state(), before);
    record("a compose service's rotation is rehearsed in a container of its image", 1);
}

/// Docker's client that writes down what psql is told, where it is.
fn eavesdropper(contained: &Contained) -> PathBuf {
    let program = contained.sandbox().dir_of(&Account::current(), "eavesdropper").join("docker");
    let psql = Install::of(15).psql();
    let text = EAVESDROPPER.replace("@PSQL@", &psql.display().to_string());
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// What docker shows of the containers of rehearsals, and what they print.
fn known_to_docker() -> Vec<Vec<u8>> {
    let filter = format!("name={NAME}");
    let ids = docker(&["ps", "--all", "--quiet", "--filter", &filter]);
    let each = ids.stdout().lines().flat_map(|id| [docker(&["inspect", id]), docker(&["logs", id])]);
    each.map(|ran| [ran.stdout(), ran.stderr()].concat().into_bytes()).collect()
}

/// The text of every plain file below it.
fn files_below(root: &Path) -> Vec<Vec<u8>> {
    let grep = Command::new("grep").args(["--recursive", "--text", ""]).arg(root).output().unwrap();
    vec![grep.stdout]
}

#[test]
fn the_password_of_a_rehearsals_container_is_seen_by_nobody() {
    let image = images().pop().unwrap();
    let contained = Contained::of(&image);
    contained.secure(&[]).run().succeeded();
    let spy = eavesdropper(&contained);
    let folder = contained.sandbox().dir_of(&Account::current(), "tmp");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", spy.parent().unwrap().display());
    let drill = contained.verb("rotate", &["--drill", "--format", "json"]);
    let drill = drill.env("PATH", path).env("TMPDIR", &folder);
    let often = Duration::from_millis(100);
    let files = || files_below(&folder);
    let (((ran, by_docker), on_disk), by_processes) =
        watched(|| seen_by(files, often, || seen_by(known_to_docker, often, || drill.run())));
    let ran = ran.succeeded();
    let told = fs::read_to_string(spy.with_file_name("docker.told")).unwrap();
    let password = told.split("PASSWORD '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    assert_eq!(password.len(), 28, "{told}");
    let all = [("/proc", &by_processes), ("docker", &by_docker), ("the disk", &on_disk)];
    for (place, seen) in all {
        let found = seen.iter().find(|text| holds(text, password));
        let found = found.map(|text| String::from_utf8_lossy(text).replace('\0', " "));
        assert_eq!(found, None, "shown by {place}");
    }
    // It was looked at closely enough.
    let shows = |seen: &BTreeSet<Vec<u8>>, what: &str| seen.iter().any(|text| holds(text, what));
    assert!(shows(&by_processes, "PGPASSFILE=/proc/self/fd/0"), "{ran}");
    assert!(shows(&by_processes, "POSTGRES_PASSWORD="), "{ran}");
    assert!(shows(&by_docker, "POSTGRES_HOST_AUTH_METHOD=reject"), "{ran}");
    assert!(shows(&by_docker, "database system is ready"), "{ran}");
    assert!(shows(&on_disk, "server-ca"), "{ran}");
    let outside = fs::read_to_string(spy.with_file_name("docker.outside")).unwrap();
    assert!(outside.contains("pg_hba.conf rejects connection"), "{outside}");
    record("a rehearsal's password is seen by nobody", 1);
}
