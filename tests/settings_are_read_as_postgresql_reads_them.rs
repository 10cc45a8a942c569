//! postgresql.conf as PostgreSQL reads it: for generated files with all they include, and postgresql.auto.conf, every
//! setting and every error is that of pg_file_settings, and what counts is what pg_settings says after a reload, the
//! command line over all.

use std::fs;

use pgseal_conf::settings::{CommandLine, Effective, ErrorLimit, Settings, parse_bool, postmaster_opts};
use pgseal_conf::{ByteString, PgVersion};

use crate::harness::{
    AsServer, CONF, ConfScribe, Dice, Install, Server, Sql, Tree, as_bytes, hex_of, record, samples, unhex,
    versions,
};

/// Parameters whose values pg_settings shows as they were written.
const AS_WRITTEN: &[&str] = &["application_name", "log_line_prefix", "search_path"];
/// Parameters of nobody, which pg_settings does not show.
const CUSTOM: &[&str] = &["pgseal_test.one", "pgseal_test.two"];
const OTHERS: &[&str] = &["work_mem", "maintenance_work_mem", "enable_hashjoin", "random_page_cost"];

struct Judge {
    server: Server,
    sql: Sql,
    version: PgVersion,
    mark: u32,
}

/// A row of pg_file_settings.
#[derive(Debug)]
struct Row {
    file: String,
    line: u32,
    /// Name and value; `None` in a row that is about an error alone.
    setting: Option<(Vec<u8>, Vec<u8>)>,
    applied: bool,
    error: Option<String>,
}

impl Judge {
    fn of(version: u32, args: &[&str]) -> Self {
        let server = Server::with(Install::of(version)).conf("include 'generated/main.conf'").args(args);
        let server = server.before(|data| {
            Tree::of(CONF, "").lay_out(&data.join("generated"));
        });
        let server = server.start();
        let sql = Sql::to(&server);
        Self {
            server,
            sql,
            version: version.to_string().parse().expect("a version under test is known"),
            mark: 0,
        }
    }

    fn rows(&self) -> Vec<Row> {
        let columns = ["sourcefile", "name", "setting", "error"].map(hex_of).join(", ");
        let rows = self
            .sql
            .rows(&format!("SELECT {columns}, sourceline, applied FROM pg_file_settings ORDER BY seqno"));
        let read = |row: &Vec<Option<String>>| {
            let bytes = |column: usize| row[column].as_deref().map(unhex);
            let text =
                |column: usize| bytes(column).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            Row {
                file: text(0).unwrap_or_default(),
                line: row[4].as_ref().and_then(|line| line.parse().ok()).unwrap_or(0),
                setting: bytes(1).map(|name| (name, bytes(2).unwrap_or_default())),
                applied: row[5].as_deref() == Some("t"),
                error: text(3),
            }
        };
        rows.iter().map(read).collect()
    }

    fn read(&self, limit: ErrorLimit) -> Settings {
        let (data, main) = (self.server.data(), self.server.data().join("postgresql.conf"));
        Settings::load(&as_bytes(&main), Some(&as_bytes(data)), &AsServer, self.version, limit)
    }

    /// What differs, if anything; whether the files are without an error otherwise.
    fn differs(&mut self, tree: &Tree, auto: &str) -> Result<bool, String> {
        tree.lay_out(&self.server.data().join("generated"));
        self.mark += 1;
        self.server.write("postgresql.auto.conf", &format!("{auto}pgseal_test.mark = '{}'\n", self.mark));
        let at = |what: String| {
            format!("PostgreSQL {}: {what}\n{tree:?}postgresql.auto.conf: {auto:?}\n", self.version)
        };
        let (ours, theirs) = (self.read(ErrorLimit::One), self.rows());
        rows_differ(&ours, &theirs).map_or(Ok(()), |what| Err(at(what)))?;
        for (path, file) in &ours.files {
            let lines: Vec<u8> = file.lines().iter().flat_map(|line| file.raw(line).to_vec()).collect();
            let there = fs::read(&*path.to_text()).unwrap_or_default();
            if lines != file.bytes() || file.bytes() != there {
                return Err(at(format!("a byte was lost of {path}")));
            }
        }
        let at_a_reload = self.read(ErrorLimit::Hundred);
        if at_a_reload.errors.is_empty() != ours.errors.is_empty() {
            return Err(at("the view and a reload should agree on whether there is an error".to_owned()));
        }
        self.server.reload();
        // Whoever comes after a reload has what it brought.
        let session = Sql::to(&self.server);
        let mark = session.rows("SELECT current_setting('pgseal_test.mark', true)")[0][0].clone();
        let taken = mark == Some(self.mark.to_string());
        if taken != at_a_reload.errors.is_empty() {
            return Err(at(format!(
                "a reload {} it: {:?}",
                if taken { "took" } else { "did not take" },
                ours.errors
            )));
        }
        if taken {
            let shaky: Vec<&Row> = theirs.iter().filter(|row| row.error.is_some()).collect();
            sources_differ(&session, &ours, &shaky).map_or(Ok(()), |what| Err(at(what)))?;
        }
        Ok(taken)
    }
}

/// Whether pg_settings names another file, line or value for what counts. A value that could not be applied leaves
/// what was before, so its parameter is passed over.
fn sources_differ(session: &Sql, ours: &Settings, shaky: &[&Row]) -> Option<String> {
    for name in AS_WRITTEN.iter().chain(OTHERS) {
        let refused = shaky.iter().any(|row| {
            // sort_mem is what work_mem was called once.
            let is =
                |refused: &[u8]| refused == name.as_bytes() || *name == "work_mem" && refused == b"sort_mem";
            row.setting.as_ref().is_some_and(|(refused, _)| is(&refused.to_ascii_lowercase()))
        });
        if refused {
            continue;
        }
        let columns = [hex_of("setting"), "source".to_owned(), hex_of("sourcefile"), "sourceline".to_owned()]
            .join(", ");
        let rows = session.rows(&format!("SELECT {columns} FROM pg_settings WHERE name = '{name}'"));
        let source = rows.first().and_then(|row| row[1].as_deref()).unwrap_or("none");
        let told = rows.first().map(|row| {
            let file = row[2].as_deref().map(|file| String::from_utf8_lossy(&unhex(file)).into_owned());
            (unhex(row[0].as_deref().unwrap_or_default()), file, row[3].clone())
        });
        let same = match (ours.effective(name), &told) {
            (Some(Effective::File(setting)), Some((value, file, line))) => {
                // In a name of an application what is not printed becomes something else.
                let plain = setting.value.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte));
                let comparable = AS_WRITTEN.contains(name) && (plain || *name != "application_name");
                let value_is = !comparable || *value == setting.value.as_bytes();
                let bool_is = *name != "enable_hashjoin"
                    || parse_bool(setting.value.as_bytes()) == Some(value == b"on");
                let path = ours.path(setting.file).map(ToString::to_string);
                source == "configuration file"
                    && value_is
                    && bool_is
                    && path == *file
                    && *line == Some(setting.line.to_string())
            }
            (Some(Effective::CommandLine(_)), _) => source == "command line",
            (None, _) => !matches!(source, "configuration file" | "command line"),
            (Some(_), None) => false,
        };
        if !same {
            return Some(format!("{name} is {told:?} by {source}, and ours {:?}", ours.effective(name)));
        }
    }
    CUSTOM.iter().find_map(|name| {
        let told = session.rows(&format!("SELECT {}", hex_of(&format!("current_setting('{name}', true)"))))
            [0][0]
            .as_deref()
            .map(unhex)
            .unwrap_or_default();
        let ours =
            ours.effective(name).map(|effective| effective.value().as_bytes().to_vec()).unwrap_or_default();
        (told != ours).then(|| format!("{name} is {told:?}, and ours {ours:?}"))
    })
}

fn rows_differ(ours: &Settings, theirs: &[Row]) -> Option<String> {
    // With a syntax error nobody looks whether names are known.
    let syntax = ours.errors.iter().any(|error| error.message != "unrecognized configuration parameter");
    let (settings, errors): (Vec<&Row>, Vec<&Row>) = theirs.iter().partition(|row| row.setting.is_some());
    let path = |file: Option<u32>| {
        file.and_then(|file| ours.path(file)).map(ToString::to_string).unwrap_or_default()
    };
    if settings.len() != ours.settings.len() {
        return Some(format!("ours {:#?}, theirs {settings:#?}", ours.settings));
    }
    for (nth, (ours_, theirs)) in ours.settings.iter().zip(&settings).enumerate() {
        let unknown = theirs.error.as_deref() == Some("unrecognized configuration parameter");
        let (name, value) = theirs.setting.as_ref()?;
        let same = path(Some(ours_.file)) == theirs.file
            && ours_.line == theirs.line
            && ours_.name.as_bytes() == name
            && ours_.value.as_bytes() == value
            && (syntax || ours_.unknown == unknown);
        // In the view two spellings of one name are two names, and so are parameters that nobody has defined yet.
        let later = ours.settings.iter().skip(nth + 1).any(|later| later.name == ours_.name);
        let defined = !name.contains(&b'.');
        let clean = ours.errors.is_empty();
        let applied = !clean || !defined || theirs.error.is_some() || theirs.applied != later;
        if !same || !applied {
            return Some(format!("ours {ours_:?}, theirs {theirs:?}"));
        }
    }
    let told: Vec<(String, u32, String)> = errors
        .iter()
        .map(|row| (row.file.clone(), row.line, row.error.clone().unwrap_or_default()))
        .collect();
    let known: Vec<(String, u32, String)> = ours
        .errors
        .iter()
        .filter(|error| error.message != "unrecognized configuration parameter")
        .map(|error| (path(error.file), error.line, error.message.clone()))
        .collect();
    (told != known).then(|| format!("errors: ours {known:?}, theirs {told:?}"))
}

#[test]
fn generated_files_give_the_settings_and_errors_of_pg_file_settings_and_the_sources_of_pg_settings() {
    let promise =
        "a generated postgresql.conf gives the rows of pg_file_settings and the sources of pg_settings";
    let mut faults = Vec::new();
    for version in versions() {
        let mut dice = Dice::new(&format!("{promise} on {version}"));
        let mut judge = Judge::of(*version, &[]);
        let (count, mut clean) = (samples(2000), 0);
        for _ in 0..count {
            let mut scribe = ConfScribe::new(&mut dice);
            let (tree, auto) = (scribe.tree(), scribe.auto());
            match judge.differs(&tree, &auto) {
                Ok(taken) => clean += u32::from(taken),
                Err(fault) => faults.push(fault),
            }
        }
        eprintln!("{version}: {clean} of {count} are without an error");
        assert!(
            clean > count / 6 && clean < count - count / 6,
            "{clean} of {count} are clean: too one-sided"
        );
        record(promise, count);
    }
    assert!(
        faults.is_empty(),
        "{} are read differently:\n{}",
        faults.len(),
        faults[..faults.len().min(8)].join("\n")
    );
}

#[test]
fn the_command_line_beats_every_file() {
    for version in versions() {
        let args = ["-c", "work_mem=7MB", "--application-name=it's\"so\"", "-c", "enable_hashjoin=off", "-s"];
        let judge = Judge::of(*version, &args);
        let text = "work_mem = 3MB\napplication_name = 'file'\nrandom_page_cost = 2\n";
        Tree::of(CONF, text).lay_out(&judge.server.data().join("generated"));
        judge.server.reload();
        let opts =
            fs::read(judge.server.data().join("postmaster.opts")).expect("a running server has its options");
        let words = postmaster_opts(&opts);
        let line = CommandLine::parse(words.get(1..).unwrap_or_default());
        assert_eq!(line.data_directory, Some(as_bytes(judge.server.data())));
        let ours = judge.read(ErrorLimit::Hundred).with_command_line(line);
        let is = |name: &str| ours.effective(name).map(|effective| effective.value().clone());
        assert_eq!(is("work_mem"), Some(ByteString::from("7MB")));
        assert_eq!(is("application_name"), Some(ByteString::from("it's\"so\"")));
        assert_eq!(is("log_statement_stats"), Some(ByteString::from("true")));
        assert_eq!(is("random_page_cost"), Some(ByteString::from("2")));
        let session = Sql::to(&judge.server);
        assert_eq!(sources_differ(&session, &ours, &[]), None);
        let shown =
            session.rows("SELECT name, setting FROM pg_settings WHERE source = 'command line' ORDER BY name");
        let shown: Vec<String> = shown
            .iter()
            .map(|row| format!("{}={}", row[0].as_deref().unwrap_or(""), row[1].as_deref().unwrap_or("")))
            .collect();
        for wanted in
            ["application_name=it's\"so\"", "enable_hashjoin=off", "log_statement_stats=on", "work_mem=7168"]
        {
            assert!(shown.iter().any(|one| one == wanted), "{wanted} should be among {shown:?}");
        }
        record("the command line beats every configuration file", 1);
    }
}
