//! No room is left in the volume of a compose service: `secure` and `rotate` say so, and nothing is lost, changed or half
//! made; with room again the same command goes through. A volume that lies in memory is not made anew at all.

use crate::harness::{Container, Projected, Ran, docker, record};

const FILE: &str = "compose.yaml";
const PROJECT: &str = "services:
  postgres:
    image: postgres:16-alpine
    container_name: @NAME@
    environment: { POSTGRES_USER: admin, POSTGRES_PASSWORD: securepassword, POSTGRES_DB: mydb }
    volumes: [ 'data:/var/lib/postgresql/data' ]
    ports: [ \"127.0.0.1:@PORT@:5432\" ]
volumes:
  data:
    driver_opts: { type: tmpfs, device: tmpfs, o: size=128m }
";
const ROWS: &str = "SELECT count(*) FROM kept";
/// Configuration, certificate and what lies beside them.
const PICTURE: &str = "cd $PGDATA && ls -ln . tls 2>/dev/null | grep -vE 'total|fill|pg_|base|global|current_logfiles|postmaster' | awk '{print $1,$3,$4,$5,$9}'; sha256sum *.conf tls/* 2>/dev/null";

struct Small {
    project: Projected,
}

impl Small {
    #[track_caller]
    fn new() -> Self {
        let project = Projected::new(2);
        project.file(FILE, PROJECT);
        project.up();
        project.wait_until_it_answers();
        project.psql_inside("CREATE TABLE kept AS SELECT generate_series(1, 10000) AS n").succeeded();
        Self { project }
    }

    #[track_caller]
    fn sh(&self, script: &str) -> Ran {
        self.project.exec_with(&["sh", "-c", script], "")
    }

    fn fill(&self) {
        self.sh("dd if=/dev/zero of=$PGDATA/fill bs=4096").complains("No space left");
    }

    fn make_room(&self) {
        self.sh("rm $PGDATA/fill").succeeded();
    }

    fn picture(&self) -> String {
        self.sh(PICTURE).stdout().to_owned()
    }

    /// In the container that it was, with its rows.
    #[track_caller]
    fn has_its_rows(&self) {
        self.make_room();
        assert_eq!(self.project.psql_inside(ROWS).succeeded().stdout(), "10000\n");
    }
}

#[test]
fn in_secure_and_in_rotate() {
    let small = Small::new();
    let project = &small.project;
    let secure = || project.secure(FILE, &["--enforce", "--allow-unseen"]).run();
    let (written, before) = (project.text(FILE), small.picture());
    small.fill();
    let ran = secure().ended(3).complains("no room is left").never_mentions("securepassword");
    ran.complains(" df -h /var/lib/postgresql/data");
    assert_eq!((project.text(FILE), small.picture()), (written.clone(), before));
    small.has_its_rows();
    secure().succeeded();
    small.has_kept(&written);

    // Logging in works by now: files of the catalogs' cache are there.
    project.psql("verify-full").run(ROWS).succeeded();
    let before = small.picture();
    small.fill();
    let ran = project.verb("rotate", FILE, &["--ca", "ca"]).run();
    assert!(matches!(ran.code(), Some(3 | 4)), "{ran}");
    let said = ran.stderr();
    assert!(said.contains("No space left on device") || said.contains("no room is left"), "{ran}");
    assert_eq!(small.picture(), before, "{ran}");
    small.has_its_rows();
    project.verb("rotate", FILE, &["--ca", "ca"]).run().succeeded();
    project.psql("verify-full").run(ROWS).succeeded();
    record("a full volume costs a compose project nothing", 2);
}

impl Small {
    /// The project's file is as it was, and the rows come over TLS.
    #[track_caller]
    fn has_kept(&self, written: &str) {
        assert_eq!(self.project.text(FILE), written);
        assert_eq!(self.project.psql("verify-full").run(ROWS).succeeded().stdout(), "10000\n");
    }
}

/// When nothing uses a volume in memory any more, docker lets go of it.
#[test]
fn where_it_lies_in_memory_no_container_is_made_anew() {
    let small = Small::new();
    let project = &small.project;
    let fixed = PROJECT.replace("    volumes: [", "    command: -c ssl=off\n    volumes: [");
    // Held, so that the container that compose makes for the new command has the same data.
    let volume = format!("{}_data:/held", project.name());
    let holder = Container::of("postgres:16-alpine").option("--entrypoint", "sleep").args(&["600"]);
    let holder = holder.volume(&volume).start_unpublished();
    project.file(FILE, &fixed);
    project.up();
    project.wait_until_it_answers();
    let written = project.text(FILE);
    let made = project.inspect("{{.Id}} {{.State.StartedAt}}");
    let ran = project.secure(FILE, &["--allow-unseen"]).run().ended(1);
    ran.complains("lies in memory (/var/lib/postgresql/data)").complains("nothing was changed");
    assert_eq!((project.text(FILE), project.inspect("{{.Id}} {{.State.StartedAt}}")), (written, made));
    assert_eq!(project.psql_inside(ROWS).succeeded().stdout(), "10000\n");
    docker(&["rm", "--force", &project.container_name()]).succeeded();
    drop(holder);
    record("what lies in memory is not made anew", 1);
}
