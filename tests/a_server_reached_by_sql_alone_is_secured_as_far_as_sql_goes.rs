//! A connection string is all there is: what SQL can set is set and proved, what it cannot is printed as commands that do it
//! when they are run as they stand, and a service that manages the server for others is told by its own switch.

use serde_json::Value;

use crate::harness::{
    APP, APP_PASSWORD, Account, Living, PASSWORD, Pgseal, Resident, SUPERUSER, all_hold, record, versions,
    versions_in_turn,
};

fn uri(living: &Living, user: &str) -> String {
    format!("postgresql://{user}@127.0.0.1:{}/postgres", living.port())
}

fn secure<'l>(living: &'l Living, uri: &str, words: &[&str]) -> Pgseal<'l> {
    living.pgseal(&Account::current()).args(["secure", uri, "--yes"]).args(words.iter().copied())
}

/// What is left for the server's own machine.
fn commands(report: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(report).expect("JSON");
    let rows = report["on_its_machine"].as_array().expect("a list").clone();
    rows.iter().map(|row| row.as_str().expect("a command").to_owned()).collect()
}

/// Settings that ALTER SYSTEM has made.
fn altered(living: &Living) -> String {
    living.sql(
        "SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%/postgresql.auto.conf' AND name LIKE 'ssl%'",
    )
}

#[test]
fn what_sql_cannot_do_is_printed_as_commands_that_do_it() {
    for &version in versions() {
        let living = Living::of(version);
        let (by, target) = (Account::current(), uri(&living, SUPERUSER));
        let started = living.started();
        let first = secure(&living, &target, &["--enforce", "--format", "json"]).run().ended(1);
        assert_ne!(altered(&living), "0", "{first}");
        let commands = commands(first.stdout());
        assert_eq!(commands.len(), 2, "a certificate, then the rules:\n{first}");
        for command in &commands {
            // As they stand, but for whoever would be asked.
            let script = format!("here=$1; pgseal() {{ \"$here\" \"$@\"; }}; {command} --yes");
            living.pgseal(&by).through(script).run().succeeded();
        }
        let again = secure(&living, &target, &["--enforce"]).run().succeeded();
        again.says("as wished, as far as SQL can set them").never_mentions("On the server's own machine");
        let proved = target + &format!("?sslrootcert={}", living.ca_file().display());
        all_hold(&living.pgseal(&by).args(["verify", &proved, "--format", "json"]).run());
        assert_eq!(living.started(), started, "nothing was restarted");
        record("commands printed for a server's own machine do what is left", 2);
    }
}

#[test]
fn settings_made_over_sql_are_taken_back_by_undo() {
    for version in versions_in_turn(0) {
        let living = Living::of(version);
        let target = uri(&living, SUPERUSER);
        let planned = secure(&living, &target, &["--dry-run"]).run().succeeded();
        planned.says("ALTER SYSTEM SET").says("--new-ca ./server-ca");
        assert_eq!(altered(&living), "0", "a look changes nothing");
        secure(&living, &target, &[]).run().ended(1).says("in force in a new session");
        assert_ne!(altered(&living), "0");
        living.pgseal(&Account::current()).args(["undo", &target]).run().succeeded();
        assert_eq!(altered(&living), "0");
    }
}

/// What somebody set since is theirs, another server's changes are that one's, and two at once would mix theirs.
#[test]
fn an_undo_over_sql_takes_back_its_own_and_nothing_else() {
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        let standby = living.standby();
        let by = Account::current();
        let (here, there) = (uri(&living, SUPERUSER), uri(&standby, SUPERUSER));
        secure(&living, &here, &[]).run().ended(1).says("in force in a new session");
        let made = altered(&living);

        let ran = living.pgseal(&by).args(["undo", &there]).run().ended(1);
        ran.complains("there is no change of").complains(&standby.port().to_string());
        assert_eq!(altered(&living), made);

        let ours = living.sql("SHOW ssl_ciphers");
        living.sql("ALTER SYSTEM SET ssl_ciphers = 'HIGH'");
        let ran = living.pgseal(&by).args(["undo", &here]).run().ended(3);
        ran.complains("were changed since by others").complains("ssl_ciphers has 'HIGH'");
        assert_eq!(altered(&living), made, "nothing was taken back");
        living.sql(&format!("ALTER SYSTEM SET ssl_ciphers = '{ours}'"));

        // The lock that another run holds, from whatever machine.
        let psql = living.psql_as(SUPERUSER, PASSWORD, "disable");
        let holds = "SELECT pg_advisory_lock(31638942711376896), pg_sleep(3600)";
        let busy = Resident::that(&living, psql, "busy", holds);
        while living.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") != "1" {
            std::thread::yield_now();
        }
        let ran = living.pgseal(&by).args(["undo", &here]).run().ended(1);
        ran.complains("another pgseal is at work").complains("nothing was changed");
        living.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'busy'");
        busy.was_ended();
        living.pgseal(&by).args(["undo", &here]).run().succeeded();
        assert_eq!(altered(&living), "0");
        record("an undo over SQL takes back its own and nothing else", 3);
    }
}

#[test]
fn what_a_connection_string_cannot_follow_is_refused() {
    for version in versions_in_turn(0) {
        let living = Living::of(version);
        let target = uri(&living, SUPERUSER);
        for words in [
            &["--san", "db1.example.org"][..],
            &["--reissue"],
            &["--allow-unseen"],
            &["-U", SUPERUSER],
            &["-d", "postgres"],
            &["--enforce", "--end-plaintext-sessions"],
            &["--auth", "scram-sha-256"],
        ] {
            let option = words.iter().rev().find(|word| word.starts_with('-')).expect("an option");
            secure(&living, &target, words).run().ended(2).complains(option);
            assert_eq!(altered(&living), "0");
        }
    }
}

#[test]
fn a_password_in_the_connection_string_is_printed_nowhere() {
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        let secret = PASSWORD.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let target = format!("postgresql://{SUPERUSER}:{secret}@127.0.0.1:{}/postgres", living.port());
        for words in [&["--dry-run"][..], &["--dry-run", "--format", "json"], &[]] {
            let ran = secure(&living, &target, words).env("PGPASSWORD", "another").run();
            ran.says("postgresql://").never_mentions(PASSWORD).never_mentions(&secret);
        }
        for words in
            [&["verify"][..], &["sessions"], &["modes"], &["undo", "--allow-insecure"], &["rotate", "--yes"]]
        {
            for format in ["human", "json"] {
                let ran = living.pgseal(&Account::current()).args(words.iter().copied());
                let ran = ran.args([target.as_str(), "--format", format]).run();
                ran.never_mentions(PASSWORD).never_mentions(&secret);
            }
        }
    }
}

#[test]
fn a_service_that_manages_the_server_is_told_by_its_own_switch() {
    let services = [
        ("rds_superuser", "rds.force_ssl"),
        ("cloudsqlsuperuser", "--ssl-mode=ENCRYPTED_ONLY"),
        ("azure_pg_admin", "require_secure_transport"),
        ("neon_superuser", "nothing to do"),
        ("supabase_admin", "SSL enforcement"),
    ];
    for version in versions_in_turn(2) {
        let living = Living::of(version);
        for (role, switch) in services {
            living.sql(&format!("CREATE ROLE {role}"));
            // The one that a customer has: no superuser.
            let customer =
                secure(&living, &uri(&living, APP), &["--enforce"]).env("PGPASSWORD", APP_PASSWORD);
            let ran = customer.run().ended(3).complains("manages this server").complains(switch);
            ran.complains("nothing was changed");
            living.sql(&format!("DROP ROLE {role}"));
        }
        assert_eq!(altered(&living), "0");
        let nobody = secure(&living, &uri(&living, APP), &[]).env("PGPASSWORD", APP_PASSWORD);
        nobody.run().ended(3).complains("is no superuser").complains("nothing was changed");
    }
}
