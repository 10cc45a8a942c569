//! pgseal is killed with SIGKILL, or interrupted, at any point while it makes the container of a compose service anew, or
//! takes that back. After a kill the project starts as it stands and has its data, and the next run goes on to a proof;
//! after an interrupt everything is as it was. The compose file is never half a file.

use std::time::Duration;

use crate::harness::{Dice, Pgseal, Point, Projected, Psql, Signal, Trace, record, samples, some_of};

const LIMIT: Duration = Duration::from_secs(240);
const FILE: &str = "compose.yaml";
/// TLS by the command, with a key that lies in a volume: all of it works, and the paths are fixed.
const PROJECT: &str = "services:
  postgres:
    image: postgres:16-alpine
    container_name: @NAME@
    environment: { POSTGRES_USER: admin, POSTGRES_PASSWORD: securepassword, POSTGRES_DB: mydb }
    command: >
      -c ssl=on
      -c ssl_cert_file=/var/lib/postgresql/data/old.crt
      -c ssl_key_file=/var/lib/postgresql/data/old.key
    volumes: [ 'data:/var/lib/postgresql/data' ]
    ports: [ \"127.0.0.1:@PORT@:5432\" ]
volumes: { data: }
";

/// Which way is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journey {
    There,
    Back,
}

/// A project that lives, with the file as it was written.
struct Cut {
    project: Projected,
    written: String,
}

impl Cut {
    #[track_caller]
    fn new() -> Self {
        let project = Projected::new(2);
        let command = PROJECT.find("    command").unwrap()..PROJECT.find("    volumes").unwrap();
        let mut plain = PROJECT.to_owned();
        plain.replace_range(command, "");
        project.file(FILE, &plain);
        project.up();
        project.wait_until_it_answers();
        project.psql_inside("CREATE TABLE kept AS SELECT generate_series(1, 10000) AS n").succeeded();
        let made = "cd /var/lib/postgresql/data && umask 077 && cat > old.key && cat old.key | sed '1,/END PRIVATE KEY/d' > old.crt && chown 70:70 old.*";
        let pair = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=old -keyout old.key -out old.crt 2>/dev/null && cat old.key old.crt && rm old.key old.crt";
        let pair = project.sh(pair).succeeded().stdout().to_owned();
        project.exec_with(&["sh", "-c", made], &pair).succeeded();
        project.file(FILE, PROJECT);
        // Made beforehand, so that one run is as long as the next.
        project.pgseal().args(["cert", "ca", "init", "ca"]).run().succeeded();
        let written = project.text(FILE);
        let cut = Self { project, written };
        cut.starts();
        cut
    }

    /// As a person starts it.
    #[track_caller]
    fn starts(&self) {
        self.project.up();
        self.project.wait_until_it_answers();
        let rows = self.project.psql_inside("SELECT count(*) FROM kept").succeeded();
        assert_eq!(rows.stdout(), "10000\n");
        // With a root certificate `require` would verify, and the old one is nobody's.
        let require = format!(
            "host=127.0.0.1 port={} user=admin dbname=mydb sslmode=require sslrootcert=/nonexistent",
            self.project.port()
        );
        Psql::to(require).env("PGPASSWORD", "securepassword").run("SELECT 1").succeeded();
    }

    fn command(&self, journey: Journey) -> Pgseal<'_> {
        match journey {
            Journey::There => self.project.secure(FILE, &["--allow-unseen", "--format", "json"]),
            Journey::Back => self.project.verb("undo", FILE, &["--allow-insecure"]),
        }
    }

    #[track_caller]
    fn goes(&self, journey: Journey) {
        let ran = self.command(journey).run().succeeded();
        if journey == Journey::There {
            assert_eq!(ran.json()["proved"], true, "{ran}");
        } else {
            assert_eq!(self.project.text(FILE), self.written);
        }
    }

    /// The points of an undisturbed walk, there or back; it is walked.
    #[track_caller]
    fn points(&self, journey: Journey) -> Vec<Point> {
        let trace = Trace::new(self.project.sandbox());
        self.command(journey).traced(&trace).run().succeeded();
        let all = trace.points();
        assert!(all.iter().any(|point| point.name == "before the container is made anew"), "{journey:?}");
        all
    }

    /// Killed there; it starts as it stands, and the next run goes on to a proof.
    #[track_caller]
    fn killed(&self, journey: Journey, point: &Point) {
        let trace = Trace::new(self.project.sandbox());
        let killed = self.command(journey).killed_at(&trace, point.number).run();
        let what = format!("{journey:?} killed {}", trace.last());
        eprintln!("{what}");
        assert_eq!(killed.signal(), Some(Signal::KILL.as_raw()), "{what}: {killed}");
        self.is_whole();
        self.starts();
        self.goes(Journey::There);
        record("a run on a compose project is killed, and the project starts and the next one proves", 1);
    }

    /// It is the whole file, edited or not.
    #[track_caller]
    fn is_whole(&self) {
        let now = self.project.text(FILE);
        let edited = self.written.replace(
            "      -c ssl_cert_file=/var/lib/postgresql/data/old.crt\n      -c ssl_key_file=/var/lib/postgresql/data/old.key\n",
            "",
        );
        assert!(now == self.written || now == edited, "{now}");
    }
}

/// Points at which the disk changes or a step is taken, and of these always some from where the files are written on.
fn chosen(all: Vec<Point>, count: u32, dice: &mut Dice) -> Vec<Point> {
    let mut all: Vec<Point> = all.into_iter().filter(|point| !point.is_look()).collect();
    let file = all.iter().position(|point| point.path.ends_with(FILE)).unwrap_or(0);
    let late = all.split_off(file);
    let half = count.div_ceil(2);
    let mut some = some_of(late, half, dice);
    some.extend(some_of(all, count - half, dice));
    some
}

#[test]
fn wherever_it_was_killed() {
    let mut dice = Dice::new("a run on a compose project is killed");
    let cut = Cut::new();
    let count = samples(20).div_ceil(2);
    let there = chosen(cut.points(Journey::There), count, &mut dice);
    let back = chosen(cut.points(Journey::Back), count, &mut dice);
    for (there, back) in there.iter().zip(&back) {
        cut.killed(Journey::There, there);
        assert_eq!(cut.project.psql("verify-full").run("SELECT 1").succeeded().stdout(), "1\n");
        cut.killed(Journey::Back, back);
        cut.goes(Journey::Back);
        cut.starts();
    }
    cut.project.journal_never_mentions("securepassword");
}

#[test]
fn wherever_it_was_interrupted() {
    let mut dice = Dice::new("a run on a compose project is interrupted");
    let cut = Cut::new();
    let there = cut.points(Journey::There);
    cut.goes(Journey::Back);
    for point in chosen(there, samples(10), &mut dice) {
        let trace = Trace::new(cut.project.sandbox());
        let running = cut.command(Journey::There).held_at(&trace, point.number).start();
        trace.wait_for(point.number);
        running.signal(Signal::INT);
        trace.go();
        let ran = running.wait(LIMIT);
        let what = format!("interrupted {}", trace.last());
        eprintln!("{what}");
        match ran.code() {
            // It came too late.
            Some(0) => cut.goes(Journey::Back),
            Some(130) => assert!(ran.stderr().contains("interrupted by SIGINT"), "{what}: {ran}"),
            // Before anything was listened for.
            None => {}
            Some(other) => panic!("{what} ended with {other}: {ran}"),
        }
        assert_eq!(cut.project.text(FILE), cut.written, "{what}");
        cut.starts();
        record("an interrupted run on a compose project leaves it as it was", 1);
    }
}
