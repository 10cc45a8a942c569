//! The service of a compose project, and a folder of `up --engine compose`, get one certificate after the other while
//! clients come that verify fully: none fails, no container is made anew, and after `docker restart` the last certificate
//! is served. `verify` proves it, `undo` gives the one of before back.

use crate::harness::{
    APP, APP_PASSWORD, Account, Composed, Projected, Ran, Storm, USUAL_FILE, USUAL_PROJECT, all_hold,
    compose_versions, docker, images_in_turn, is_soak, record, samples, served,
};

/// The application's role of a storm.
fn role() -> String {
    format!(
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE {APP} LOGIN PASSWORD '{}'",
        APP_PASSWORD.replace('\'', "''")
    )
}

/// Some rotations in a storm; the fingerprint of the last.
#[track_caller]
fn rotated(what: &str, storm: Storm, port: u16, rotate: impl Fn() -> Ran) -> String {
    let mut last = served(port);
    for _ in 0..samples(10) {
        let ran = rotate().succeeded().never_mentions("PRIVATE KEY").never_mentions("securepassword");
        let told = ran.json();
        assert_eq!((&told["state"], &told["wire"]["failed"]), (&"rotated".into(), &0.into()), "{told:#}");
        let now = served(port);
        assert_ne!(now, last, "{what}: {told:#}");
        assert_eq!(told["after"]["sha256"], now.as_str(), "{what}: {told:#}");
        last = now;
        storm.wait_for_more(3);
        record("rotations of a compose service", 1);
    }
    record(
        "connections to a compose service while its certificate was exchanged, none failed",
        storm.nobody_was_refused(),
    );
    last
}

#[test]
fn of_a_project_that_somebody_has() {
    for (compose, image) in compose_versions()
        .iter()
        .flat_map(|compose| images_in_turn(0).into_iter().map(move |image| (*compose, image)))
    {
        let project = Projected::new(compose);
        // From 18 on the data lies in a folder of its version below the mount.
        let data = if image.contains(":18") { "" } else { "/data" };
        project.file(USUAL_FILE, &USUAL_PROJECT.replace("@IMAGE@", &image).replace("@DATA@", data));
        project.up();
        project.wait_until_it_answers();
        project.psql_inside(&role()).succeeded();
        project.secure(USUAL_FILE, &["--enforce"]).run().succeeded();
        let made = project.inspect("{{.Id}} {{.State.StartedAt}}");
        let target = format!("{USUAL_FILE}#postgres");
        project.verb("rotate", &target, &["--dry-run"]).run().succeeded().says("server-with-key.pem");
        let storm = Storm::verifying(project.port(), &project.dir().join("ca/server-ca.crt"), 2);
        let rotate = || project.verb("rotate", &target, &["--format", "json"]).run();
        let last = rotated(&image, storm, project.port(), rotate);
        assert_eq!(project.inspect("{{.Id}} {{.State.StartedAt}}"), made, "{image}: nothing was made anew");
        docker(&["restart", &project.container_name()]).succeeded();
        project.wait_until_it_answers();
        assert_eq!(served(project.port()), last, "{image}: after docker restart");
        all_hold(&project.verb("verify", &target, &["--format", "json"]).run());
        project.verb("history", &target, &[]).run().succeeded().says("committed");
        project.verb("undo", &target, &[]).run().succeeded().says("undone");
        assert_ne!(served(project.port()), last, "{image}: undone");
        project.psql("verify-full").run("SELECT 1").succeeded();
        project.journal_never_mentions("securepassword");
        if !is_soak() {
            continue;
        }
        // Made anew from nothing but the project and its volumes.
        project.compose(&["down"]).succeeded();
        project
            .verb("rotate", &target, &[])
            .run()
            .ended(3)
            .complains("has no container yet")
            .complains("up --detach postgres");
        project.up();
        project.wait_until_it_answers();
        all_hold(&project.verb("verify", USUAL_FILE, &["--format", "json"]).run());
    }
}

#[test]
fn of_a_folder_that_up_made() {
    for image in images_in_turn(1) {
        let composed = Composed::new(compose_versions()[0], &Account::current());
        composed.up(&["--image", &image]).run().succeeded();
        composed.psql_inside(&role()).succeeded();
        let times = composed.times();
        let storm = Storm::verifying(composed.port(), &composed.at("client/ca.crt"), 2);
        let rotate = || composed.verb("rotate", &["--format", "json"]).run();
        let last = rotated(&image, storm, composed.port(), rotate);
        assert_eq!(composed.times(), times, "{image}: nothing was made anew");
        docker(&["restart", &composed.container()]).succeeded();
        // Waits until it lets somebody in.
        all_hold(&composed.verb("up", &["--format", "json"]).run());
        assert_eq!(served(composed.port()), last, "{image}: after docker restart");
        composed.verb("status", &[]).run().succeeded().says(&composed.port().to_string());
        all_hold(&composed.verb("verify", &["--format", "json"]).run());
        composed.psql("verify-full").run("SELECT 1").succeeded();
        composed.verb("undo", &[]).run().succeeded().says("undone");
        assert_ne!(served(composed.port()), last, "{image}: undone");
        all_hold(&composed.verb("verify", &["--format", "json"]).run());
    }
}
