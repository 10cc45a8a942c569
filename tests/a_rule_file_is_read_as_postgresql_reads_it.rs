//! pg_hba.conf as PostgreSQL reads it: for every file the rows that pgseal-conf has are those of the server's own view,
//! in their order, with their lines, files and errors, and a reload takes the file exactly where pgseal says so.

mod corners;

use std::fs;
use std::path::Path;

use pgseal_conf::hba::{DatabaseMatch, Diagnostic, Problem, RoleMatch, Rule, Ruleset};

use crate::harness::{
    AsServer, Dice, MAIN, RuleJudge, RuleRow, RuleScribe, Tls, Tree, as_bytes, record, samples, shapes,
    versions,
};

/// Whether the file loads, `None` where pgseal says that this depends on more than the file; what pgseal and the server
/// say differently of it, otherwise.
fn judged_alike(judge: &mut RuleJudge, tree: &Tree) -> Result<Option<bool>, String> {
    let path = judge.lay_out(tree);
    let version = judge.version();
    let ours = Ruleset::load(&as_bytes(&path), &AsServer, judge.judged());
    if ours.diagnostics.iter().any(|diagnostic| diagnostic.problem == Problem::NotJudged)
        || ours.rules.iter().any(has_an_expression_that_is_no_text)
        || ours.diagnostics.iter().any(refuses_an_expression_that_is_no_text)
        || has_a_refused_line_with_an_expression_that_is_no_text(&ours)
    {
        return Ok(None);
    }
    let rows: Vec<RuleRow> = ours.view().iter().map(|row| RuleRow::ours(row, version)).collect();
    let theirs =
        judge.rows().map_err(|e| format!("PostgreSQL {version} could not read the file: {e}\n{tree:?}"))?;
    for (nth, (ours, theirs)) in rows.iter().zip(&theirs).enumerate() {
        if !same(ours, theirs) {
            return Err(format!(
                "row {nth} on PostgreSQL {version}:\nours   {ours:?}\ntheirs {theirs:?}\n{tree:?}"
            ));
        }
    }
    if rows.len() != theirs.len() {
        return Err(format!("PostgreSQL {version}:\nours   {rows:?}\ntheirs {theirs:?}\n{tree:?}"));
    }
    let taken = judge.takes();
    if ours.loads() != taken {
        let why = &ours.diagnostics;
        return Err(format!(
            "PostgreSQL {version} {}: {why:?}\n{tree:?}",
            if taken { "takes it" } else { "refuses it" }
        ));
    }
    for file in &ours.files {
        let there = fs::read(Path::new(&*file.path.to_text())).unwrap_or_default();
        let lines: Vec<u8> = file.text.lines().flat_map(|line| line.raw().to_vec()).collect();
        if file.text.bytes() != there || lines != there {
            return Err(format!("a byte was lost of {}:\n{tree:?}", file.path));
        }
    }
    Ok(Some(taken))
}

/// The view reads an expression in its database's encoding, where bytes that are no character take others with them; a
/// reload reads bytes.
fn has_an_expression_that_is_no_text(rule: &Rule) -> bool {
    let databases = rule.databases.iter().filter_map(|word| match word {
        DatabaseMatch::Regex(pattern) => Some(pattern),
        _ => None,
    });
    let roles = rule.roles.iter().filter_map(|word| match word {
        RoleMatch::Regex(pattern) => Some(pattern),
        _ => None,
    });
    databases.chain(roles).any(|pattern| std::str::from_utf8(pattern.text().as_bytes()).is_err())
}

/// On a line that is refused for something else: the view may have found the expression first.
fn has_a_refused_line_with_an_expression_that_is_no_text(ours: &Ruleset) -> bool {
    let refused = ours.entries.iter().filter(|entry| entry.view_error.is_some());
    refused.filter_map(|entry| ours.files.get(entry.file as usize)?.text.line_numbered(entry.line)).any(
        |line| {
            let raw = line.raw();
            let begins = |pair: &[u8]| pair[1] == b'/' && !pair[0].is_ascii_alphanumeric();
            ours.server.version.major() >= 16
                && std::str::from_utf8(raw).is_err()
                && raw.windows(2).any(begins)
        },
    )
}

fn refuses_an_expression_that_is_no_text(diagnostic: &Diagnostic) -> bool {
    diagnostic.message.starts_with("invalid regular expression") && diagnostic.message.contains('\u{fffd}')
}

fn count<T>(all: &[T]) -> u32 {
    u32::try_from(all.len()).expect("there are fewer than 2^32")
}

/// Whether a row is the server's. What stands behind a secret is left out of pgseal's errors, as it may be its rest.
fn same(ours: &RuleRow, theirs: &RuleRow) -> bool {
    let hidden = ours.error.as_ref().and_then(|error| error.split_once("****"));
    match (hidden, &theirs.error) {
        (Some((head, tail)), Some(error)) => {
            let bare = |row: &RuleRow| RuleRow { error: None, ..row.clone() };
            error.starts_with(head) && error.ends_with(tail) && bare(ours) == bare(theirs)
        }
        _ => ours == theirs,
    }
}

/// Fails with what differs, if anything does.
#[track_caller]
fn none_differ(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{} files are read differently:\n{}",
        faults.len(),
        faults[..faults.len().min(8)].join("\n")
    );
}

#[test]
fn generated_files_give_the_rows_of_the_view_and_load_where_a_reload_takes_them() {
    let promise = "a generated pg_hba.conf gives the rows, errors and order of pg_hba_file_rules";
    let mut faults = Vec::new();
    for version in versions() {
        let mut dice = Dice::new(&format!("{promise} on {version}"));
        let mut judges = [
            RuleJudge::of(*version, Tls::On, &["validator_a", "validator_b"]),
            RuleJudge::of(*version, Tls::Off, &["validator_a"]),
        ];
        let (count, mut loaded, mut open) = (samples(2000), 0, 0);
        for _ in 0..count {
            let tree = RuleScribe::new(&mut dice, *version).tree();
            let judge = if dice.below(4) == 0 { &mut judges[1] } else { &mut judges[0] };
            match judged_alike(judge, &tree) {
                Ok(Some(taken)) => loaded += u32::from(taken),
                Ok(None) => open += 1,
                Err(fault) => faults.push(fault),
            }
        }
        eprintln!("{version}: {loaded} of {count} load, {open} depend on more than the file");
        assert!(loaded > count / 6 && loaded < count - count / 5, "{loaded} of {count} load: too one-sided");
        assert!(open < count / 20, "{open} of {count} were left open");
        record(promise, count - open);
    }
    none_differ(&faults);
}

#[test]
fn every_corner_of_the_grammar_is_known_by_its_name() {
    let mut faults = Vec::new();
    for version in versions() {
        let mut judge = RuleJudge::of(*version, Tls::On, &["validator_a", "validator_b"]);
        let corners = corners::corners();
        for (name, loads, tree) in &corners {
            match judged_alike(&mut judge, tree) {
                Ok(taken) if taken == Some(loads.on(*version)) => {}
                Ok(taken) => {
                    faults.push(format!("{name}: {version} should load it {loads:?}, and that is {taken:?}"));
                }
                Err(fault) => faults.push(format!("{name}: {fault}")),
            }
        }
        record("a corner of the grammar of pg_hba.conf is read as PostgreSQL reads it", count(&corners));
    }
    none_differ(&faults);
}

#[test]
fn files_as_people_write_them_are_read_alike() {
    let shapes = shapes();
    assert!(shapes.len() >= 30, "there should be at least 30 shapes, not {}", shapes.len());
    let mut faults = Vec::new();
    for version in versions() {
        let mut judge = RuleJudge::of(*version, Tls::On, &[]);
        for (name, tree) in &shapes {
            if let Err(fault) = judged_alike(&mut judge, tree) {
                faults.push(format!("{name}: {fault}"));
            }
        }
        record("a pg_hba.conf as people write them is read as PostgreSQL reads it", count(&shapes));
    }
    none_differ(&faults);
}

/// Up to 15 nothing ends a loop of `@` but the number of files that a process may open, or the end of its stack: the view
/// fails over it, and so does a reload.
#[test]
fn a_file_that_names_itself_loads_nowhere() {
    for version in versions() {
        let judge = RuleJudge::of(*version, Tls::Off, &[]);
        let path = judge.lay_out(&Tree::of(MAIN, "local @a all trust\n").with("a", "x @a\n"));
        let ours = Ruleset::load(&as_bytes(&path), &AsServer, judge.judged());
        assert!(!ours.loads(), "{:?}", ours.diagnostics);
        match judge.rows() {
            Ok(rows) => assert!(rows.iter().all(|row| row.error.is_some()) && *version >= 16, "{rows:?}"),
            Err(error) => assert!(*version < 16, "{error}"),
        }
    }
}

#[test]
fn a_server_without_tls_takes_files_that_speak_of_it() {
    let mut dice = Dice::new("pg_hba.conf on a server without TLS");
    let mut judge = RuleJudge::of(18, Tls::Unknown, &[]);
    let mut faults = Vec::new();
    let mut trees: Vec<Tree> = shapes().into_iter().map(|(_, tree)| tree).collect();
    trees.push(Tree::of(MAIN, "hostssl all all all cert\n"));
    trees.push(Tree::of(MAIN, "hostssl all all all md5 clientcert=verify-ca\n"));
    trees.extend((0..samples(500)).map(|_| RuleScribe::new(&mut dice, 18).tree()));
    for tree in &trees {
        faults.extend(judged_alike(&mut judge, tree).err());
    }
    none_differ(&faults);
    record("a pg_hba.conf is read alike by a server without TLS", count(&trees));
}
