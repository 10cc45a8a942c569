//! `pgseal rotate --drill`: a temporary server of the same version with a copy of the TLS settings is rotated and removed;
//! of the real one nothing is written, signalled or left behind. A setting that would fail fails there.

use std::fs;

use crate::harness::{
    Account, Contained, Living, PASSWORD, Ran, Schema, docker, images, record, served, versions_in_turn,
};

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
    let told = ran.never_mentions(PASSWORD).json();
    Schema::of("rotate-drill").admits(&told);
    assert_eq!(told["rotation"]["state"], "rotated", "{told:#}");
    assert_eq!((contained.files(), contained.started()), (files, started));
    let all = docker(&["ps", "--all", "--format", "{{.Names}}"]).succeeded();
    let ours = all.stdout().lines().filter(|name| name.starts_with("pgseal-drill-"));
    assert_eq!(ours.count(), 0, "{all}");
    record("a container's rotation is rehearsed in another one of its image", 1);
}
