//! `--out` saves a plan, `--plan` carries out exactly that: from any folder, by whoever may, and refused as soon as the server
//! or the plan itself is another one. A plan that could not be saved stops the change before it begins.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Account, Living, Ran, Shown, record, versions_in_turn};

struct Planned {
    living: Living,
    by: Account,
    path: PathBuf,
}

impl Planned {
    /// TLS stands; the plan is to enforce it and to issue anew.
    fn on(version: u32) -> Self {
        let (living, by) = (Living::of(version), Account::current());
        living.secured(&by);
        living.write("people", "somebody\n");
        let rules = living.read("pg_hba.conf");
        living.write("pg_hba.conf", &format!("{rules}host all @people 192.0.2.9/32 reject\n"));
        living.write("memory.conf", "work_mem = '5MB'\n");
        living.append_conf("include 'memory.conf'");
        let policy = include_str!("../crates/pgseal/src/policy/modern.toml");
        let policy = living.sandbox().file_of(&by, "ours.toml", 0o644, policy);
        let folder = policy.parent().expect("it lies in the sandbox").to_owned();
        let path = living.sandbox().home_of(&by).join("plan.json");
        let words = ["--dry-run", "--reissue", "--enforce", "--policy", "ours.toml", "--out", path_of(&path)];
        living.secure(&words, &by).current_dir(&folder).run().succeeded();
        Self { living, by, path }
    }

    fn carry_out(&self) -> Ran {
        let words = ["--yes", "--plan", path_of(&self.path)];
        self.living.verb("secure", &words, &self.by).current_dir(Path::new("/")).run()
    }

    #[track_caller]
    fn refused(&self, sentence: &str) {
        let before = self.living.kept_files();
        let ran = self.carry_out().ended(1).complains("moved since the plan was made").complains(sentence);
        assert_eq!(self.living.kept_files(), before, "{ran}");
        record("a plan is refused where the server or the plan is another one", 1);
    }

    /// The plan with something else in it.
    fn rewritten(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let was = fs::read(&self.path).expect("it was saved");
        let mut plan: Value = serde_json::from_slice(&was).expect("it is JSON");
        change(&mut plan);
        fs::write(&self.path, plan.to_string()).expect("it is ours");
        was
    }
}

fn path_of(path: &Path) -> &str {
    path.to_str().expect("a path of the tests is UTF-8")
}

#[test]
fn a_plan_is_carried_out_from_any_folder_and_refused_once_something_moved() {
    for version in versions_in_turn(0) {
        let planned = Planned::on(version);
        let living = &planned.living;

        let elsewhere = living.sandbox().home_of(&planned.by).join("elsewhere");
        let asked =
            |word: String| move |plan: &mut Value| plan["asked"].as_array_mut().unwrap().push(json!(word));
        let was = planned.rewritten(asked("--san=bank.example.org".to_owned()));
        planned.refused("what the certificate says, or who issues it");
        fs::write(&planned.path, &was).unwrap();

        let rules = living.read("pg_hba.conf");
        living.write("pg_hba.conf", &format!("{rules}host all all 10.0.0.0/8 reject\n"));
        planned.refused("pg_hba.conf");
        living.write("pg_hba.conf", &rules);

        // What the files read beside themselves is what they say, too.
        for (name, other) in [("people", "somebody\nanybody\n"), ("memory.conf", "work_mem = '6MB'\n")] {
            let was = living.read(name);
            living.write(name, other);
            planned.refused(name);
            living.write(name, &was);
        }

        // Where a plan is written to is said by who runs it.
        planned.rewritten(asked(format!("--out={}", elsewhere.display())));
        planned.carry_out().succeeded().says("pgseal undo");
        assert!(!elsewhere.exists());
        assert_eq!(living.shown(), Shown::TlsOnly);
        assert_eq!(living.sql("SHOW ssl_min_protocol_version"), "TLSv1.3", "its policy was found from there");
        record("a plan is carried out as it was read", 1);
    }
}

#[test]
fn a_plan_that_cannot_be_saved_stops_the_change_before_it_begins() {
    for version in versions_in_turn(1) {
        let (living, by) = (Living::of(version), Account::current());
        let taken = living.sandbox().file_of(&by, "taken.json", 0o600, "somebody's");
        let before = living.kept_files();
        for path in [&taken, &taken.join("below"), &living.sandbox().path().join("nowhere/plan.json")] {
            let ran =
                living.secure(&["--out", path_of(path)], &by).run().ended(3).complains("write the plan");
            ran.complains("nothing was changed");
            assert_eq!(living.kept_files(), before);
        }
        assert_eq!(fs::read_to_string(&taken).unwrap(), "somebody's");
        // What is refused leaves no name taken.
        let free = living.sandbox().home_of(&by).join("free.json");
        living.secure(&["--policy", "nonsense", "--out", path_of(&free)], &by).run().ended(3);
        let words =
            ["--enforce", "--reissue", "--cert", "/nowhere", "--key", "/nowhere", "--out", path_of(&free)];
        living.verb("secure", &[&["--yes"], &words[..]].concat(), &by).run().ended(3);
        assert!(!free.exists());
        // Carried out and saved in one.
        living.secure(&["--out", path_of(&free)], &by).run().succeeded();
        let saved: Value = serde_json::from_slice(&fs::read(&free).unwrap()).unwrap();
        assert_eq!(saved["schema_version"], 1);
        record("a plan that cannot be saved stops the change", 3);
    }
}

/// Who may write in the folder could put another plan there between a look and the reading.
#[test]
fn root_reads_no_plan_from_a_folder_of_somebody_elses() {
    let by = Account::current();
    assert!(by.is_root(), "only root is led by others: run this scenario as root, as in a container");
    for version in versions_in_turn(0) {
        let mut planned = Planned::on(version);
        let theirs = planned.living.sandbox().dir_of(&Account::server(), "theirs");
        let path = theirs.join("plan.json");
        fs::copy(&planned.path, &path).unwrap();
        let path = std::mem::replace(&mut planned.path, path);
        let before = planned.living.kept_files();
        planned.carry_out().ended(3).complains("refused to use").complains("as root");
        // Nor through a link of root's own.
        let link = path.with_file_name("link.json");
        std::os::unix::fs::symlink(&planned.path, &link).unwrap();
        planned.path = link;
        planned.carry_out().ended(3);
        assert_eq!(planned.living.kept_files(), before);
        record("root reads no plan from a folder of somebody else's", 2);
    }
}
