//! Drivers of other languages, each run with the text that it is handed. Knows how a program around such a text is made and
//! run, not what the text says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::account::Account;
use super::install::cache;
use super::process::{Ran, run};
use super::sandbox::Sandbox;

/// Who came, to which database, and whether encrypted, by the server's own word.
const QUESTION: &str = "SELECT CAST(current_user AS text) || '|' || CAST(current_database() AS text) || '|' || CAST(ssl AS text) \
    FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// A compiler may have to start first.
const PATIENCE: Duration = Duration::from_secs(120);

/// A driver, as `--driver` calls it, and how its program is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Driven {
    pub(crate) name: &'static str,
    /// What brings it, where it is not there.
    needs: &'static str,
    file: &'static str,
    /// What stands before the text, and after it.
    around: (&'static str, &'static str),
    /// Whether the text is one string, which stands in the program as a literal.
    literal: bool,
}

const fn driven(
    name: &'static str,
    needs: &'static str,
    file: &'static str,
    around: (&'static str, &'static str),
) -> Driven {
    Driven { name, needs, file, around, literal: false }
}

const PYTHON: &str = "tests/provision/drivers.sh python";
const FRAMEWORKS: &str = "tests/provision/drivers.sh frameworks";
const PRISMA: &str = "tests/provision/drivers.sh prisma";
const GO: &str = "tests/provision/drivers.sh go";
const RUST: &str = "tests/provision/drivers.sh rust";
const NODE: &str = "tests/provision/drivers.sh node";

/// Those that every run of the tests has.
pub(crate) const QUICK: [Driven; 5] = [
    driven("libpq", "tests/provision/system.sh server", "run.sh", ("", " -X -w -q -A -t -c \"$QUESTION\"\n")),
    driven("psycopg2", "tests/provision/psycopg2.sh", "run.py", ("", PYTHON_CURSOR)),
    driven("psycopg", PYTHON, "run.py", ("", PYTHON_CURSOR)),
    driven(
        "asyncpg",
        PYTHON,
        "run.py",
        (
            "",
            "\nimport asyncio, os\nasync def main():\n    connection = await connect()\n    \
             print(await connection.fetchval(os.environ['QUESTION']))\n    await connection.close()\nasyncio.run(main())\n",
        ),
    ),
    driven(
        "pgjdbc@42.5.5",
        "tests/provision/system.sh javac jdbc",
        "Run.java",
        (
            "class Run { public static void main(String[] words) throws Exception {\n",
            "\nvar rows = connection.createStatement().executeQuery(System.getenv(\"QUESTION\"));\n\
             rows.next();\nSystem.out.println(rows.getString(1));\n} }\n",
        ),
    ),
];

/// Those that the deeper runs have, too.
pub(crate) const FURTHER: [Driven; 18] = [
    driven(
        "SQLAlchemy",
        FRAMEWORKS,
        "run.py",
        (
            "",
            "\nimport os\nwith engine.connect() as c:\n    print(c.exec_driver_sql(os.environ['QUESTION']).scalar())\n",
        ),
    ),
    driven(
        "SQLAlchemy-asyncpg",
        FRAMEWORKS,
        "run.py",
        (
            "",
            "\nimport asyncio, os\nasync def main():\n    async with engine.connect() as c:\n        \
             print((await c.exec_driver_sql(os.environ['QUESTION'])).scalar())\n    await engine.dispose()\nasyncio.run(main())\n",
        ),
    ),
    driven(
        "Django",
        FRAMEWORKS,
        "run.py",
        (
            "",
            "\nimport os, django\nfrom django.conf import settings\nsettings.configure(DATABASES=DATABASES)\ndjango.setup()\n\
             from django.db import connection\nwith connection.cursor() as c:\n    c.execute(os.environ['QUESTION'])\n    \
             print(c.fetchone()[0])\n",
        ),
    ),
    Driven {
        literal: true,
        ..driven(
            "psqlODBC",
            "tests/provision/system.sh psqlodbc; tests/provision/drivers.sh frameworks",
            "run.py",
            (
                "import os, pyodbc\nconnection = pyodbc.connect(",
                " + ';Pwd={' + os.environ['PGPASSWORD'].replace('}', '}}') + '}')\n\
                 print(connection.execute(os.environ['QUESTION']).fetchone()[0])\n",
            ),
        )
    },
    driven(
        "node-postgres",
        NODE,
        "run.js",
        (
            "",
            "\nclient.connect().then(() => client.query(process.env.QUESTION)).then(r => r.rows).then(SHOW).then(() => client.end())",
        ),
    ),
    driven(
        "postgres.js",
        NODE,
        "run.js",
        ("", "\nsql.unsafe(process.env.QUESTION).then(SHOW).then(() => sql.end())"),
    ),
    driven(
        "Sequelize",
        NODE,
        "run.js",
        (
            "",
            "\nsequelize.query(process.env.QUESTION, { logging: false }).then(r => r[0]).then(SHOW).then(() => sequelize.close())",
        ),
    ),
    driven(
        "TypeORM",
        NODE,
        "run.js",
        (
            "",
            "\nsource.initialize().then(() => source.query(process.env.QUESTION)).then(SHOW).then(() => source.destroy())",
        ),
    ),
    driven(
        "Knex",
        NODE,
        "run.js",
        ("", "\nknex.raw(process.env.QUESTION).then(r => r.rows).then(SHOW).then(() => knex.destroy())"),
    ),
    driven(
        "Drizzle",
        NODE,
        "run.js",
        ("", "\ndb.execute(process.env.QUESTION).then(r => r.rows).then(SHOW).then(() => db.$client.end())"),
    ),
    driven(
        "Prisma",
        PRISMA,
        "run.js",
        ("", "\nprisma.$queryRawUnsafe(process.env.QUESTION).then(SHOW).then(() => prisma.$disconnect())"),
    ),
    driven(
        "ruby-pg",
        "tests/provision/system.sh ruby-pg",
        "run.rb",
        ("", "\nputs connection.exec(ENV['QUESTION']).getvalue(0, 0)\n"),
    ),
    driven(
        "PHP PDO",
        "tests/provision/system.sh php-pgsql",
        "run.php",
        ("<?php\n", "\necho $connection->query(getenv('QUESTION'))->fetchColumn(), \"\\n\";\n"),
    ),
    driven(
        "DBD::Pg",
        "tests/provision/system.sh dbd-pg",
        "run.pl",
        (
            "use strict; binmode STDOUT, ':utf8';\n",
            "\nprint $connection->selectrow_array($ENV{QUESTION}), \"\\n\";\n",
        ),
    ),
    driven(
        "lib/pq@1.10.7",
        "tests/provision/system.sh lib-pq",
        "run.go",
        (
            "package main\nimport (\n\"database/sql\"\n\"fmt\"\n\"os\"\n_ \"github.com/lib/pq\"\n)\nfunc main() {\n",
            "\nvar said string\nif err == nil { err = db.QueryRow(os.Getenv(\"QUESTION\")).Scan(&said) }\n\
             if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }\nfmt.Println(said)\n}\n",
        ),
    ),
    driven(
        "pgx@4.15",
        GO,
        "run.go",
        (
            "package main\nimport (\n\"context\"\n\"fmt\"\n\"os\"\n\"github.com/jackc/pgx/v4\"\n)\nfunc main() {\n\
             ctx := context.Background()\n",
            "\nvar said string\nif err == nil { err = conn.QueryRow(ctx, os.Getenv(\"QUESTION\")).Scan(&said) }\n\
             if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }\nfmt.Println(said)\n}\n",
        ),
    ),
    driven(
        "tokio-postgres",
        RUST,
        "run.rs",
        (
            RUNTIME,
            "\ntokio::spawn(connection);\nlet row = client.query_one(&std::env::var(\"QUESTION\")?, &[]).await?;\n\
             println!(\"{}\", row.get::<_, String>(0));\nOk(())\n}) }\n",
        ),
    ),
    driven(
        "sqlx",
        RUST,
        "run.rs",
        (
            RUNTIME,
            "\nlet question = std::env::var(\"QUESTION\")?;\n\
             let said: String = sqlx::query_scalar(&question).fetch_one(&pool).await?;\n\
             println!(\"{said}\");\nOk(())\n}) }\n",
        ),
    ),
];

/// Around every program of Rust's.
const RUNTIME: &str = "fn main() -> Result<(), Box<dyn std::error::Error>> {\n\
    tokio::runtime::Runtime::new()?.block_on(async {\n";

const PYTHON_CURSOR: &str = "\nimport os\ncursor = connection.cursor()\ncursor.execute(os.environ['QUESTION'])\nprint(cursor.fetchone()[0])\n";

/// The end of every program of Node's.
const SHOW: &str = "\n  .catch(error => { console.error(error.message || error, error.cause || '', error.errors || ''); process.exit(1) })\n\
    function SHOW(rows) { console.log(Object.values(rows[0])[0]) }\n";

/// Builds a program of Rust's beside its source, and runs it.
const COMPILED: &str = r#"read -r rustc <"$BUILT/rustc"
for crate in rustls sqlx tokio tokio_postgres tokio_postgres_rustls; do
    for library in "$BUILT/deps/lib$crate"-*.rlib; do set -- "$@" --extern "$crate=$library"; done
done
"$rustc" --edition 2024 --cap-lints allow -L "dependency=$BUILT/deps" -o "${1%.rs}" "$@"
exec "${1%.rs}""#;

impl Driven {
    /// Runs the text. What it prints is who came, to which database, and whether encrypted.
    #[track_caller]
    pub(crate) fn with(&self, text: &str, password: &str) -> Ran {
        let sandbox = Sandbox::new();
        let text =
            if self.literal { serde_json::to_string(text).expect("a text is JSON") } else { text.to_owned() };
        let end = if self.file == "run.js" { SHOW } else { "" };
        let program = format!("{}{text}{}{end}", self.around.0, self.around.1);
        let path = sandbox.join(self.file);
        fs::write(&path, program).unwrap_or_else(|e| panic!("could not write {}: {e}", path.display()));
        let mut command = self.command(&sandbox);
        command
            .arg(&path)
            .env("PGPASSWORD", password)
            .env("PGCONNECT_TIMEOUT", "10")
            .env("QUESTION", QUESTION);
        let ran = run(command, b"", PATIENCE);
        let missing =
            ["No module named", "Cannot find module", "cannot load such file", "Can't locate", "not found"];
        let is_missing = missing.iter().any(|word| ran.stderr().contains(word));
        assert!(!is_missing, "{} is not there: run `{}`\n{ran}", self.name, self.needs);
        ran
    }

    fn command(&self, sandbox: &Sandbox) -> Command {
        let home = sandbox.home_of(&Account::current());
        let by = |program: &str| Account::current().command(program, &home);
        let kept = cache().join("drivers");
        match self.file.rsplit_once('.').map(|(_, ending)| ending) {
            Some("py") => {
                let mut command = Account::current().command(self.python(), &home);
                let places = [cache().join("psycopg2"), kept.join("python"), kept.join("frameworks")];
                command.env("PYTHONPATH", std::env::join_paths(places).expect("no colon in a path"));
                command
            }
            Some("js") => {
                let mut command = by("node");
                let places = [kept.join("node/node_modules"), kept.join("prisma/node_modules")];
                command.env("NODE_PATH", std::env::join_paths(places).expect("no colon in a path"));
                command
            }
            Some("java") => {
                let mut command = by("java");
                command.args(["-Xshare:auto", "-cp", "/usr/share/java/postgresql.jar"]);
                command
            }
            Some("go") => {
                let mut command = by("go");
                let places = [PathBuf::from("/usr/share/gocode"), kept.join("go/usr/share/gocode")];
                command.arg("run").envs([("GO111MODULE", "off"), ("GOFLAGS", "")]);
                command.env("GOPATH", std::env::join_paths(places).expect("no colon in a path"));
                command.env("GOCACHE", kept.join("go-build"));
                command
            }
            Some("rs") => {
                let mut command = by("sh");
                command.args(["-euc", COMPILED, "sh"]).env("BUILT", kept.join("rust"));
                command
            }
            Some("rb") => by("ruby"),
            Some("php") => by("php"),
            Some("pl") => by("perl"),
            _ => by("sh"),
        }
    }

    /// The one that psycopg2 was fetched for.
    #[track_caller]
    fn python(&self) -> PathBuf {
        let file = cache().join("psycopg2/python");
        let named = fs::read_to_string(&file)
            .unwrap_or_else(|e| panic!("no {}: {e}; run `{}`", file.display(), self.needs));
        PathBuf::from(named.trim_end())
    }
}
