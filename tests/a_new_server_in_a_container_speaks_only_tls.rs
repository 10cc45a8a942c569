//! What `pgseal up --engine compose` promises, for both flavours of image, both versions of compose, root and whoever is in
//! docker's group: proved from the first start, through stops, restarts and new containers, with the same data; and what
//! other programs find there.

use crate::harness::{
    Account, Composed, Ran, all_hold, claims, docker, docker_users, images, picture, record, versions,
};

const ENCRYPTED: &str = "SELECT ssl, version LIKE 'TLSv1.%', current_user, current_database() FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// Image, compose and account, each pair of them met at least once; below soak not all three together.
fn combinations() -> Vec<(String, u32, Account)> {
    let users = docker_users();
    let mut all = Vec::new();
    for (i, image) in images().into_iter().enumerate() {
        for compose in [1_u32, 2] {
            for (u, user) in users.iter().enumerate() {
                let odd = (i + compose as usize + u) % 2;
                if odd == 0 || users.len() == 1 || versions().len() > 5 {
                    all.push((image.clone(), compose, user.clone()));
                }
            }
        }
    }
    all
}

#[test]
fn a_new_server_in_a_container_is_proved_and_stays_so() {
    for (image, compose, account) in combinations() {
        let composed = Composed::new(compose, &account);
        let up = composed.up(&["--image", &image, "--format", "json"]).run().succeeded();
        assert_eq!(up.json()["state"], "created", "{up}");
        assert_eq!(up.json()["proved"], true, "{up}");
        assert_eq!(up.json()["image"], *image, "{up}");
        all_hold(&up);
        composed.verb("doctor", &["--fail-on", "medium"]).run().succeeded().says("healthy");
        psql_gets_in_only_with_tls(&composed);
        composed.psql_inside("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n").succeeded();
        a_second_up_changes_nothing(&composed);
        no_password_is_left_with_docker(&composed);

        let first = composed.container();
        composed.verb("down", &[]).run().succeeded().says("stopped");
        assert_eq!(composed.containers(), Vec::<String>::new());
        assert_eq!(composed.volumes().len(), 2);
        let started = composed.verb("up", &["--format", "json"]).run().succeeded();
        assert_eq!(started.json()["state"], "started", "{started}");
        assert_ne!(composed.container(), first);
        has_the_data(&composed, &started);

        docker(&["restart", &composed.container()]).succeeded();
        let again = composed.verb("up", &["--format", "json"]).run().succeeded();
        assert_eq!(again.json()["state"], "running", "{again}");
        has_the_data(&composed, &again);
        docker(&["stop", &composed.container()]).succeeded();
        composed.verb("status", &[]).run().ended(1).says("stopped");
        composed.verb("verify", &[]).run().ended(3).complains("no server runs in");
        let again = composed.verb("up", &["--format", "json"]).run().succeeded();
        assert_eq!(again.json()["state"], "started", "{again}");
        has_the_data(&composed, &again);

        composed.verb("down", &["--remove", "--yes"]).run().succeeded();
        assert!(!composed.dir().exists());
        assert_eq!((composed.containers(), composed.volumes(), composed.networks()), Default::default());
        record("a new server in a container is proved and stays so", 1);
    }
}

#[track_caller]
fn has_the_data(composed: &Composed, up: &Ran) {
    all_hold(up);
    let verified = composed.verb("verify", &["--format", "json"]).run().succeeded();
    assert_eq!(claims(&verified).len(), claims(up).len());
    all_hold(&verified);
    assert_eq!(composed.psql("verify-full").run("SELECT count(*) FROM kept").succeeded().stdout(), "1000\n");
    composed.psql_inside("SHOW ssl").succeeded().says("on");
    composed.psql("disable").run("SELECT 1").ended(2).complains("pg_hba.conf rejects connection");
}

fn psql_gets_in_only_with_tls(composed: &Composed) {
    for mode in ["require", "verify-ca", "verify-full"] {
        let ran = composed.psql(mode).run(ENCRYPTED).succeeded();
        assert_eq!(ran.stdout(), "t|t|admin|mydb\n", "{mode}");
    }
    composed.psql("disable").run("SELECT 1").ended(2).complains("pg_hba.conf rejects connection");
    // What the guide has people look at, word for word.
    composed.psql_inside("SHOW ssl;").succeeded().says("on");
    let service = crate::harness::Psql::to("service=pgseal").by(composed.account());
    let service = service.env("PGSERVICEFILE", composed.at("client/pg_service.conf"));
    assert_eq!(service.run(ENCRYPTED).succeeded().stdout(), "t|t|admin|mydb\n");
    let other = [
        "exec",
        "--user",
        "12345",
        &composed.container(),
        "psql",
        "-U",
        "admin",
        "-d",
        "mydb",
        "-w",
        "-c",
        "",
    ];
    docker(&other).ended(2).complains("Peer authentication failed");
}

fn a_second_up_changes_nothing(composed: &Composed) {
    let (files, times) = (picture(composed.dir(), |_| true), composed.times());
    let volume = composed.exec(&["sh", "-c", "cd /tls && stat -c '%n %u:%g %a %Y %i' . * && sha256sum *"]);
    let again = composed.verb("up", &["--format", "json"]).run().succeeded();
    assert_eq!(again.json()["state"], "running", "{again}");
    all_hold(&again);
    assert_eq!(picture(composed.dir(), |_| true), files);
    assert_eq!(composed.times(), times);
    let now = composed.exec(&["sh", "-c", "cd /tls && stat -c '%n %u:%g %a %Y %i' . * && sha256sum *"]);
    assert_eq!(volume.succeeded().stdout(), now.succeeded().stdout());
}

/// In `docker inspect`, its log, the files of the folder that are no password file, the server's environment, and what
/// the file held that it was read from.
fn no_password_is_left_with_docker(composed: &Composed) {
    let (password, container) = (composed.password(), composed.container());
    assert!(password.len() > 20, "{password}");
    for words in [["inspect", &container], ["logs", &container]] {
        docker(&words).succeeded().never_mentions(&password).never_mentions("PRIVATE KEY");
    }
    let user = composed.exec(&["stat", "-c", "%u:%g", "/tls/server-with-key.pem"]).succeeded();
    let user = user.stdout().trim();
    let words = ["exec", "--user", user, &container, "sh", "-c", "cat /proc/1/environ /tls/password"];
    let environment = docker(&words).succeeded().never_mentions(&password);
    assert!(environment.stdout().contains("POSTGRES_USER=admin"), "{environment}");
    let modes = composed.exec(&["stat", "-c", "%a %u", "/tls", "/tls/server-with-key.pem", "/tls/password"]);
    let uid = user.split(':').next().unwrap_or_default();
    assert_eq!(modes.succeeded().stdout(), format!("700 {uid}\n600 {uid}\n600 {uid}\n"));
    for (path, file) in picture(composed.dir(), |_| true) {
        let content = file.content().unwrap_or_default();
        let holds = |secret: &str| content.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
        assert!(path.ends_with("pgpass") || !holds(&password), "{}", path.display());
        if path.ends_with("pgpass") || holds("PRIVATE KEY") {
            assert_eq!(file.permissions(), 0o600, "{}", path.display());
        }
    }
}
