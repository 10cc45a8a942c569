//! pg_ident.conf as PostgreSQL reads it: the rows of its view (15 and later), what a reload takes (all versions), and on
//! the wire who may be whom, by certificates of every name.

use pgseal_conf::hba::RoleMatch;
use pgseal_conf::ident::{Mapped, Mapping, Maps};

use crate::harness::{
    AsServer, Dice, Door, Gate, Guest, MAIN, MAPS, MapRow, RuleJudge, RuleScribe, Said, Tls, Tree, as_bytes,
    record, samples, versions,
};

/// The rows that pgseal has, as the view of that version shows them.
fn rows(maps: &Maps, version: u32) -> Vec<MapRow> {
    let mut number = 0;
    let row = |entry: &pgseal_conf::ident::Entry| {
        let mapping = entry.mapping.and_then(|index| maps.mappings.get(index as usize));
        number += u32::from(mapping.is_some());
        let file = maps.files.get(entry.file as usize).map(|file| file.path.to_string());
        MapRow {
            map_number: mapping.map(|_| number).filter(|_| version >= 16),
            file_name: file.filter(|_| version >= 16).unwrap_or_default(),
            line_number: entry.line,
            names: mapping
                .map(|line| [line.map.clone(), line.system_user.clone(), line.database_user.clone()]),
            error: entry.error.clone(),
        }
    };
    maps.entries.iter().map(row).collect()
}

/// An expression with bytes that are no character.
fn refuses_what_is_no_text(error: &str) -> bool {
    error.starts_with("invalid regular expression") && error.contains('\u{fffd}')
}

fn differs(judge: &mut RuleJudge, tree: &Tree) -> Result<Option<bool>, String> {
    let path = judge.lay_out_maps(tree);
    let version = judge.version();
    let ours = Maps::load(&as_bytes(&path), &AsServer, judge.judged().version);
    // The view reads an expression in its database's encoding, where bytes that are no character take others with them;
    // a reload reads bytes.
    let understood = |pattern: &pgseal_conf::regex::Pattern| {
        let is_text = std::str::from_utf8(pattern.text().as_bytes()).is_ok();
        is_text && (pattern.is_understood() || pattern.error().is_some())
    };
    let patterns = |line: &Mapping| {
        let of_role = if let RoleMatch::Regex(pattern) = &line.role { Some(pattern.clone()) } else { None };
        line.pattern.clone().into_iter().chain(of_role).collect::<Vec<_>>()
    };
    let open = ours.mappings.iter().flat_map(patterns).any(|pattern| !understood(&pattern));
    if open || ours.entries.iter().any(|entry| entry.error.as_deref().is_some_and(refuses_what_is_no_text)) {
        return Ok(None);
    }
    if version >= 15 {
        let theirs =
            judge.maps().map_err(|e| format!("PostgreSQL {version} could not read it: {e}\n{tree:?}"))?;
        let ours = rows(&ours, version);
        if ours != theirs {
            return Err(format!("PostgreSQL {version}:\nours   {ours:?}\ntheirs {theirs:?}\n{tree:?}"));
        }
    }
    let taken = judge.takes();
    if ours.loads() != taken {
        let why = &ours.entries;
        return Err(format!(
            "PostgreSQL {version} {}: {why:?}\n{tree:?}",
            if taken { "takes it" } else { "refuses it" }
        ));
    }
    Ok(Some(taken))
}

#[test]
fn generated_files_give_the_rows_of_the_view_and_load_where_a_reload_takes_them() {
    let promise = "a generated pg_ident.conf gives the rows of pg_ident_file_mappings";
    let mut faults = Vec::new();
    for version in versions() {
        let mut dice = Dice::new(&format!("{promise} on {version}"));
        let mut judge = RuleJudge::of(*version, Tls::Off, &[]);
        let (count, mut loaded, mut open) = (samples(1000), 0, 0);
        for _ in 0..count {
            let tree = RuleScribe::new(&mut dice, *version).maps();
            match differs(&mut judge, &tree) {
                Ok(Some(taken)) => loaded += u32::from(taken),
                Ok(None) => open += 1,
                Err(fault) => faults.push(fault),
            }
        }
        eprintln!("{version}: {loaded} of {count} load, {open} are open");
        assert!(loaded > count / 6 && loaded < count - count / 6, "{loaded} of {count} load: too one-sided");
        assert!(open < count / 5, "{open} of {count} were left open");
        record(promise, count - open);
    }
    assert!(
        faults.is_empty(),
        "{} are read differently:\n{}",
        faults.len(),
        faults[..faults.len().min(8)].join("\n")
    );
}

const SYSTEM_USERS: &[&str] =
    &["alice", "bob", "Ann B", "ann@example.org", "x1", "aab", "müller", "ALICE", "all", "dev.ops"];
const USERS: &[&str] = &[
    "alice",
    "bob",
    "ann",
    "dev",
    "carol",
    "x1",
    "all",
    "Mixed Case",
    "nobody_such",
    "müller",
    "\\1",
    "a1",
    "staff",
];
/// What stands for a system user; all of it is understood.
const FROM: &[&str] = &[
    "alice",
    "bob",
    "\"Ann B\"",
    "/^(.*)@example\\.org$",
    "/^(.*)$",
    "/(a|b)",
    "/^x[0-9]$",
    "/",
    "\"/^Ann (B)$\"",
    "ALICE",
    "/^([a-z]+)[0-9]*$",
    "müller",
    "/^a.*$",
    "/^(a+)b$",
    "all",
    "/^(d)ev\\.",
    "/[A-Z]+",
    "/^(alice|bob)$",
];
const TO: &[&str] = &[
    "alice",
    "bob",
    "dev",
    "\\1",
    "\\1",
    "\"\\1\"",
    "a\\1",
    "all",
    "\"all\"",
    "+staff",
    "+lead",
    "\"+staff\"",
    "/^a",
    "/^(alice|bob)$",
    "\"Mixed Case\"",
    "x1",
    "/",
    "+nobody_such",
    "\\1\\1",
];

fn map(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..=1 + dice.below(5) {
        let map = dice.pick(&["m", "m", "m", "m", "m", "other"]);
        text.push_str(&format!("{map} {} {}\n", dice.pick(FROM), dice.pick(TO)));
    }
    text
}

#[test]
fn who_may_be_whom_is_what_a_server_says_to_certificates_of_every_name() {
    let promise = "a certificate's name may be a user where pgseal says so of the map";
    for version in versions() {
        let mut dice = Dice::new(&format!("{promise} on {version}"));
        let mut gate = Gate::of(*version);
        let doors: Vec<(&str, Door)> = SYSTEM_USERS.iter().map(|name| (*name, gate.door_for(name))).collect();
        let (mut tried, mut let_in, mut open) = (0, 0, 0);
        let mut faults: Vec<String> = Vec::new();
        while tried < samples(1500) {
            let maps = map(&mut dice);
            let tree = Tree::of(MAIN, "hostssl all all all cert map=m\n").with(MAPS, maps.as_str());
            gate.load(&tree).expect("one line of cert loads");
            let ours = Maps::read(&MAPS.into(), maps.clone().into_bytes(), &AsServer, gate.version_known());
            assert!(ours.loads(), "{maps}: {:?}", ours.entries);
            for _ in 0..8 {
                let (name, door) = dice.pick(&doors);
                let user = if dice.below(2) == 0 { *name } else { *dice.pick(USERS) };
                let guest = Guest {
                    from: Some(std::net::Ipv4Addr::LOCALHOST.into()),
                    tls: true,
                    user: user.as_bytes().to_vec(),
                    database: Some(b"postgres".to_vec()),
                };
                let said =
                    door.knock(&guest).unwrap_or_else(|e| panic!("{name} as {user} was not answered: {e}"));
                let wanted =
                    match ours.allows(Some(b"m"), name.as_bytes(), user.as_bytes(), false, gate.world()) {
                        Mapped::Yes => said == Said::Ok,
                        Mapped::No | Mapped::Error => {
                            said.refuses_with("28000", "certificate authentication failed")
                        }
                        Mapped::Depends(_) => {
                            open += 1;
                            true
                        }
                    };
                tried += 1;
                let_in += u32::from(said == Said::Ok);
                if !wanted {
                    faults.push(format!("{name} as {user} on {version}: {said:?}\n{maps}"));
                }
            }
        }
        eprintln!("{version}: {tried} tried, {let_in} let in, {open} open");
        assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults[..faults.len().min(8)].join("\n"));
        assert!(let_in > tried / 50 && open < tried / 4, "{let_in} of {tried} were let in, {open} open");
        record(promise, tried - open);
    }
}
