//! CI, code scanning and monitoring act upon a scan or a doctor by its status and by what they read: a server that is well
//! passes, one that is not fails by --fail-on, one that is away is an error and no pass.

use serde_json::Value;

use crate::harness::{
    Account, Browser, Install, Key, Living, PASSWORD, Pgseal, Port, Ran, SUPERUSER, Sandbox, Server,
    TlsServer, is_sarif, markdown, metrics, record, xml,
};

const PROMISE: &str = "what was found is read by the programs that it is for";

/// How many cases there are, and how many of them failed, were errors, were skipped: as the cases say, and the counts.
#[track_caller]
fn cases(ran: &Ran) -> (usize, usize, usize, usize) {
    let root = xml(ran.stdout());
    let count = |name: &str| root.all(name).len();
    let counted = (count("testcase"), count("failure"), count("error"), count("skipped"));
    let sum = |name: &str| -> usize {
        let each = root.all("testsuite");
        each.iter().map(|suite| suite.attribute(name).parse::<usize>().expect("a number")).sum()
    };
    assert_eq!(counted, (sum("tests"), sum("failures"), sum("errors"), sum("skipped")), "{ran}");
    for name in ["tests", "failures", "errors"] {
        assert_eq!(root.attribute(name).parse::<usize>().expect("a number"), sum(name), "{ran}");
    }
    record(PROMISE, 1);
    counted
}

#[track_caller]
fn sarif(ran: &Ran) -> Value {
    is_sarif(ran.stdout());
    record(PROMISE, 1);
    let run = ran.json()["runs"][0].clone();
    let rules = run["tool"]["driver"]["rules"].as_array().expect("a list").clone();
    for result in run["results"].as_array().expect("a list") {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("small")];
        assert_eq!(rule["id"], result["ruleId"], "{ran}");
        assert!(rule["help"]["text"].as_str().is_some_and(|text| text.len() > 20), "{rule:#}");
    }
    run
}

fn prints(run: &Value) -> Vec<&Value> {
    let results = run["results"].as_array().expect("a list");
    results.iter().map(|result| &result["fingerprints"]["pgseal/v1"]).collect()
}

/// A sample's value; None where there is none of those labels.
fn sample(samples: &[(String, Value, f64)], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let has = |row: &&(String, Value, f64)| {
        row.0 == name && labels.iter().all(|(label, value)| row.1[*label] == *value)
    };
    samples.iter().find(has).map(|(.., value)| *value)
}

#[test]
fn a_server_that_is_well_passes() {
    let server = TlsServer::with(&Install::of(18), Key::Ecdsa, |setup| {
        setup.hba("local all all trust\nhostnossl all all all reject\nhostssl all all all scram-sha-256\n")
    });
    let ca = server.ca_file();
    let scan = |format: &str| {
        let words = ["--quick", "--sslrootcert", ca.to_str().unwrap(), "--format", format];
        server.scan(&words).succeeded()
    };
    let (all, failed, errors, skipped) = cases(&scan("junit"));
    assert!(all >= 1 && (failed, errors, skipped) == (0, 0, 0));
    let run = sarif(&scan("sarif"));
    assert_eq!(run["tool"]["driver"]["name"], "pgseal");
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    assert!(run["results"].as_array().unwrap().iter().all(|result| result["level"] != "error"));

    let target = format!("localhost:{}", server.port());
    let samples = metrics(scan("prometheus").stdout());
    record(PROMISE, 1);
    let of = |name, labels: &[(&str, &str)]| {
        sample(&samples, name, &[labels, &[("target", target.as_str()), ("verb", "scan")]].concat())
    };
    assert_eq!(of("pgseal_up", &[]), Some(1.0));
    assert_eq!(of("pgseal_findings", &[("severity", "high")]), Some(0.0));
    let after =
        server.scanned(&["--quick"])["chain"]["certificates"][0]["not_after"].as_str().unwrap().to_owned();
    let after = time::OffsetDateTime::parse(&after, &time::format_description::well_known::Rfc3339).unwrap();
    #[allow(clippy::cast_precision_loss, reason = "seconds are few")]
    let seconds = after.unix_timestamp() as f64;
    assert_eq!(of("pgseal_certificate_not_after_seconds", &[]), Some(seconds));
}

#[test]
fn a_server_that_is_ill_fails_by_what_was_asked_for_and_one_that_is_away_is_an_error() {
    let plain = Server::of(15);
    let nobody = Port::free();
    let sandbox = Sandbox::new();
    let ill = format!("127.0.0.1:{}", plain.port());
    let away = format!("127.0.0.1:{}", nobody.number());
    let scan = |format: &str, fail_on: &str, targets: &[&String]| {
        Pgseal::new(&sandbox)
            .arg("scan")
            .args(targets.iter().map(|target| (*target).clone()))
            .args(["--quick", "--timeout", "20s", "--fail-on", fail_on, "--format", format])
            .run()
    };
    let (all, failed, errors, _) = cases(&scan("junit", "high", &[&ill, &away]).ended(1));
    assert!(all >= 3 && failed >= 1 && errors == 1);
    // Nothing but being away counts.
    assert_eq!(cases(&scan("junit", "never", &[&ill, &away]).ended(3)).1, 0);
    let (all, failed, errors, _) = cases(&scan("junit", "high", &[&away]).ended(3));
    assert_eq!((all, failed, errors), (1, 0, 1));

    let both = scan("sarif", "high", &[&ill, &away]).ended(1);
    let run = sarif(&both);
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    let notes = run["invocations"][0]["toolExecutionNotifications"].as_array().unwrap();
    assert_eq!((notes.len(), &notes[0]["message"]["text"]), (1, &Value::from("Connection refused")));
    let off = run["results"].as_array().unwrap().iter().find(|result| result["ruleId"] == "tls-off");
    let place = &off.expect("tls-off is found")["locations"][0];
    assert_eq!(place["logicalLocations"][0]["fullyQualifiedName"], ill.as_str());
    assert_eq!(place["physicalLocation"]["artifactLocation"]["uri"], ill.replace(':', "%3A"));
    assert_eq!(prints(&sarif(&scan("sarif", "never", &[&ill]).succeeded())), prints(&run));

    let samples = metrics(scan("prometheus", "high", &[&ill, &away]).ended(1).stdout());
    let up = |target: &str| sample(&samples, "pgseal_up", &[("target", target)]);
    assert_eq!((up(&ill), up(&away)), (Some(1.0), Some(0.0)));
    let found = [("target", ill.as_str()), ("name", "tls-off"), ("severity", "high")];
    assert_eq!(sample(&samples, "pgseal_finding", &found), Some(1.0));
    assert_eq!(sample(&samples, "pgseal_grade", &[("target", &ill), ("grade", "F")]), Some(1.0));

    let page = markdown(scan("markdown", "high", &[&ill, &away]).ended(1).stdout());
    assert_eq!(page.all("heading").len(), 3);
}

#[test]
fn a_doctor_is_read_as_a_scan_is() {
    let living = Living::of(15);
    let by = Account::current();
    let doctor = |words: &[&str]| living.verb("doctor", words, &by).run();
    is_read_in_every_form(doctor);
    doctor(&["--settings", "--format", "sarif"])
        .ended(2)
        .complains("--settings and --fix are printed as human or json");
}

#[test]
fn a_doctor_of_a_connection_string_and_one_of_kept_facts_are_read_as_any_other() {
    let living = Living::of(18);
    let by = Account::current();
    living.secured(&by);
    let uri = format!(
        "postgresql://{SUPERUSER}@localhost:{}/postgres?hostaddr=127.0.0.1&sslrootcert={}",
        living.port(),
        living.ca_file().display()
    );
    let pgseal = || Pgseal::new(living.sandbox()).env("PGPASSWORD", PASSWORD);
    is_read_in_every_form(|words| pgseal().args(["doctor", &uri]).args(words.iter().copied()).run());
    let facts = living.sandbox().home_of(&by).join("facts.json");
    living.verb("doctor", &["--facts"], &by).arg(&facts).run().ended(1);
    is_read_in_every_form(|words| {
        pgseal().args(["doctor", "--from"]).arg(&facts).args(words.iter().copied()).run()
    });
}

/// Of a server that lets plaintext in.
#[track_caller]
fn is_read_in_every_form(doctor: impl Fn(&[&str]) -> Ran) {
    let found = doctor(&["--format", "json"]).ended(1).json();
    let findings = found["findings"].as_array().unwrap();
    let bad = findings.iter().filter(|finding| finding["severity"] == "high").count();

    let ran = doctor(&["--format", "junit"]).ended(1);
    let (all, failed, errors, skipped) = cases(&ran);
    assert_eq!((all, failed, errors), (1 + findings.len() + skipped, bad, 0), "{ran}");
    assert_eq!(cases(&doctor(&["--format", "junit", "--fail-on", "critical"]).succeeded()).1, 0);
    let run = sarif(&doctor(&["--format", "sarif"]).ended(1));
    assert_eq!(run["results"].as_array().unwrap().len(), findings.len());
    assert_eq!(run["automationDetails"]["id"], "pgseal/doctor/");
    let samples = metrics(doctor(&["--format", "prometheus"]).ended(1).stdout());
    assert_eq!(
        sample(&samples, "pgseal_findings", &[("severity", "high")]),
        Some(f64::from(u32::try_from(bad).unwrap()))
    );
    let line = doctor(&["--format", "jsonl"]).ended(1);
    assert_eq!((line.stdout().lines().count(), &line.json()["findings"]), (1, &found["findings"]));
    let (page, web) = (doctor(&["--format", "markdown"]).ended(1), doctor(&["--format", "html"]).ended(1));
    let page = markdown(page.stdout()).whole_text();
    for finding in findings {
        let name = finding["name"].as_str().unwrap();
        assert!(page.contains(name) && web.stdout().contains(name), "{name}:\n{page}\n{web}");
    }
}

/// Masks what every run has anew: the port, dates, days left.
fn masked(text: &str, port: u16) -> String {
    let date = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        digits >= 8 && word.as_bytes().get(4) == Some(&b'-')
    };
    let mut words: Vec<String> = Vec::new();
    for word in text.replace(&port.to_string(), "PORT").split_inclusive([' ', '\n']) {
        let bare = word.trim_matches([' ', '\n', '(', ')', ';', '.']);
        let days = bare.parse::<u32>().is_ok() && words.last().is_some_and(|before| before == "in ");
        let mask = if days { "DAYS" } else { "DATE" };
        words.push(if days || date(bare) { word.replacen(bare, mask, 1) } else { word.to_owned() });
    }
    let lines: Vec<String> = words.concat().lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

#[test]
fn what_people_read_on_pages_stays_as_it_is() {
    let server = TlsServer::of(15);
    let print = |format: &str| {
        let target = format!("127.0.0.1:{}", server.port());
        let words =
            ["--quick", "--sslrootcert", "none", "--timeout", "40s", "--fail-on", "never", "--format"];
        Pgseal::new(server.sandbox()).args(["scan", &target]).args(words).arg(format).run().succeeded()
    };
    let mut browser = Browser::start();
    let page = print("html");
    browser.open(&server.sandbox().file_of(&Account::current(), "page.html", 0o644, page.stdout()));
    let words = browser.value("document.body.innerText");
    for (name, text) in
        [("scan-markdown", print("markdown").stdout()), ("scan-html", words.as_str().unwrap())]
    {
        insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(name, masked(text, server.port()));
        });
        record(PROMISE, 1);
    }
}
