//! Whoever rules a container of a compose project has its programs lie, and whoever made its image has that lie before there
//! is a container. pgseal ends calmly: the compose file and the container stay as they are, no file of this machine's is read
//! or written for them, and what they say reaches no terminal unescaped.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Account, Composed, Projected, Ran, docker, picture, record, samples};

const FILE: &str = "compose.yaml";
/// A command that would have to be edited, and labels that compose writes itself.
const PROJECT: &str = "services:
  db:
    image: postgres:16-alpine
    container_name: @NAME@
    environment: { POSTGRES_USER: admin, POSTGRES_PASSWORD: securepassword, POSTGRES_DB: mydb }
    labels: { note: \"\\u001b[31mred\" }
    command: -c ssl_key_file=/none.key
    volumes: [ 'data:/var/lib/postgresql/data' ]
    ports: [ \"127.0.0.1:@PORT@:5432\" ]
volumes: { data: }
";

/// What its shell says by that name is a lie from now on: its programs are one busybox.
#[track_caller]
fn lies(container: &str, program: &str, script: &str) {
    let shell = format!(
        "#!/bin/busybox sh\n[ \"$1\" = -c ] || exec /bin/busybox sh \"$@\"\n{program}() {{\n{script}\n}}\nscript=$2\nshift 3\neval \"$script\"\n"
    );
    let put = "/bin/busybox rm -f /bin/sh && printf '%s' \"$1\" > /bin/sh && /bin/busybox chmod 755 /bin/sh";
    docker(&["exec", "--user", "0", container, "/bin/busybox", "sh", "-c", put, "sh", &shell]).succeeded();
}

#[track_caller]
fn tells_the_truth_again(container: &str) {
    docker(&["exec", "--user", "0", container, "/bin/busybox", "ln", "-sf", "/bin/busybox", "/bin/sh"])
        .succeeded();
}

#[test]
fn in_a_container_that_runs() {
    let project = Projected::new(2);
    project.file(FILE, PROJECT);
    project.up();
    project.wait_until_it_answers();
    let outside: PathBuf = project.sandbox().dir_of(&Account::current(), "outside");
    fs::write(outside.join("pg_hba.conf"), "local all all trust\n").unwrap();
    fs::write(outside.join("postgresql.conf"), "ssl = off\n").unwrap();
    let out = outside.display();
    let all = [
        ("cat", "yes | /bin/busybox head -c 30000000".to_owned()),
        ("stat", "echo 0 0 root".to_owned()),
        ("readlink", format!("echo {out}/pg_hba.conf")),
        ("stat", "printf 'regular file|x|y|z|\\n\\033[31m'".to_owned()),
        ("head", "yes '\u{202e}' | /bin/busybox head -c 1000000".to_owned()),
        ("readlink", "printf '../../../../etc/passwd\\n'".to_owned()),
    ];
    let made = project.inspect("{{.Id}} {{.State.StartedAt}}");
    let written = project.text(FILE);
    for (program, script) in all.iter().take(samples(20) as usize) {
        lies(&project.container_name(), program, script);
        let before = picture(&outside, |_| true);
        let ran = project.secure(FILE, &["--enforce"]).run();
        assert!(matches!(ran.code(), Some(1 | 3)), "{program}: {script}: {ran}");
        let said = format!("{}{}", ran.stdout(), ran.stderr());
        assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "{program}: escaped:\n{said}");
        assert!(said.len() < 20_000, "{program}: bounded: {}", said.len());
        ran.never_mentions("securepassword");
        assert_eq!(picture(&outside, |_| true), before, "{program}: {script}");
        assert_eq!(project.text(FILE), written, "{program}: {script}");
        assert_eq!(project.inspect("{{.Id}} {{.State.StartedAt}}"), made, "{program}: {script}");
        tells_the_truth_again(&project.container_name());
        record("a lie in a compose project is not believed", 1);
    }
    assert_eq!(project.secure(FILE, &["--format", "json"]).run().succeeded().json()["proved"], true);
}

#[test]
fn in_an_image() {
    let composed = Composed::new(2, &Account::current());
    let version = "echo /usr/local/bin/postgres; echo 'postgres (PostgreSQL) 16.4'";
    let all = [
        format!("echo 0; echo 0; echo root; {version}"),
        format!("echo 70; echo 70; printf 'post\\033[31mgres\\n'; {version}"),
        "yes 70 | /bin/busybox head -c 30000000".to_owned(),
        format!("echo '70 --privileged'; echo 70; echo postgres; {version}"),
        format!("echo -1; echo 70; echo postgres; {version}"),
        format!("echo 4294967296; echo 70; echo postgres; {version}"),
        "echo 70; echo 70; echo postgres; echo ../../host/postgres; echo 'postgres (PostgreSQL) 16.4'"
            .to_owned(),
    ];
    for (number, script) in all.iter().enumerate().take(samples(10) as usize) {
        let image = image(&composed, number, script);
        let ran: Ran = composed.up(&["--image", &image]).run();
        docker(&["image", "rm", "--force", &image]).succeeded();
        // A strange name is left out, and the container made all the same; what it says is nothing but words.
        let strange = script.contains("033");
        let ran = ran.ended(3).complains(if strange {
            "does not stay up"
        } else {
            "no server can be made of the image"
        });
        assert!(!ran.stderr().contains('\u{1b}'), "{script}: {ran}");
        assert!(ran.stderr().len() < 20_000, "{script}: {}", ran.stderr().len());
        assert!(!composed.dir().exists(), "{script}");
        assert_eq!((composed.containers(), composed.volumes()), Default::default(), "{script}");
        record("a lie in an image is not believed", 1);
    }
}

/// One whose shell says that, whatever it is asked.
#[track_caller]
fn image(composed: &Composed, number: usize, script: &str) -> String {
    let (name, made) = (format!("{}-liar{number}:1", composed.name()), format!("{}-source", composed.name()));
    let label = format!("pgseal.tests.claim={}", composed.name());
    let put = "rm -f /bin/sh && printf '%s' \"$1\" > /bin/sh && chmod 755 /bin/sh";
    let shell = format!("#!/bin/busybox sh\n{script}\n");
    let words =
        ["run", "--label", &label, "--pull", "never", "--name", &made, "--entrypoint", "/bin/busybox"];
    docker(&[&words[..], &["postgres:16-alpine", "sh", "-c", put, "sh", &shell]].concat()).succeeded();
    docker(&["commit", &made, &name]).succeeded();
    docker(&["rm", "--volumes", &made]).succeeded();
    name
}
