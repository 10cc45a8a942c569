//! Who is let as far as authentication, and by which line: what pgseal-conf decides is what a server answers on the wire,
//! and what it proves of all plaintext connections holds for each one that is tried.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pgseal_conf::hba::proof::{Question, Reach, Verdict, Witness, plaintext_path, reach};
use pgseal_conf::hba::{Channel, Connection, Purpose, Rule, World, decide};

use crate::harness::{
    Dice, Gate, GateScribe, Guest, MAIN, Origins, Tree, addresses_of, can_be_come_from,
    in_a_network_of_its_own, is_answer_of, record, samples, samples_each, shapes, versions,
};

const DECIDED: &str = "a connection is decided as PostgreSQL decides it";
const WITNESSED: &str = "a plaintext path that is proved is let as far as authentication";
const REFUSED: &str = "a plaintext connection is refused where there is no path";
/// How many connections are tried on one file.
const A_FILE: u32 = 12;

/// What was tried of one version.
#[derive(Debug, Default)]
struct Tried {
    decided: u32,
    witnesses: u32,
    refusals: u32,
    no_paths: u32,
    unclear: u32,
    /// Witnesses at addresses that no client can have.
    elsewhere: u32,
    faults: Vec<String>,
    /// By the word that decided.
    words: BTreeMap<String, u32>,
}

#[test]
fn from_every_loopback_address_with_and_without_tls() {
    for version in versions() {
        let mut dice = Dice::new(&format!("{DECIDED} from loopback addresses on {version}"));
        tried(&mut Gate::of(*version), &mut dice, Origins::Loopback, samples_each(5000)).held(*version);
    }
}

#[test]
fn from_every_address_there_is_in_a_network_of_its_own() {
    in_a_network_of_its_own(|| {
        for version in versions() {
            let mut dice = Dice::new(&format!("{DECIDED} from anywhere on {version}"));
            tried(&mut Gate::of(*version), &mut dice, Origins::Everywhere, samples_each(5000)).held(*version);
        }
    });
}

/// The files that people write have paths, and have none, for real.
#[test]
fn what_is_proved_of_files_as_people_write_them_holds_on_the_wire() {
    in_a_network_of_its_own(|| {
        for version in versions() {
            let mut dice = Dice::new(&format!("{WITNESSED}: files of people on {version}"));
            let (mut gate, mut tried) = (Gate::of(*version), Tried::default());
            for (name, tree) in shapes() {
                let before = tried.faults.len();
                one_file(&mut gate, &mut dice, Origins::Everywhere, &tree, false, &mut tried);
                for fault in &mut tried.faults[before..] {
                    *fault = format!("{name}: {fault}");
                }
            }
            tried.held(*version);
        }
    });
}

fn tried(gate: &mut Gate, dice: &mut Dice, origins: Origins, count: u32) -> Tried {
    let mut tried = Tried::default();
    let methods = gate.methods();
    while tried.decided < count && tried.faults.len() < 8 {
        let mut scribe = GateScribe::new(dice, gate.version(), origins, &methods);
        let hosts = scribe.names_hosts();
        let tree = Tree::of(MAIN, scribe.rules(hosts));
        let loaded = one_file(gate, dice, origins, &tree, hosts, &mut tried);
        if !loaded {
            tried.faults.push(format!("this was meant to load:\n{tree:?}"));
        }
    }
    tried
}

impl Tried {
    #[track_caller]
    fn held(&self, version: u32) {
        eprintln!("{version}: {self:?}");
        assert!(self.faults.is_empty(), "PostgreSQL {version} says otherwise:\n{}", self.faults.join("\n"));
        assert!(self.witnesses > 0 && self.no_paths > 0, "both verdicts should be among them: {self:?}");
        record(DECIDED, self.decided);
        record(WITNESSED, self.witnesses);
        record(REFUSED, self.refusals);
    }
}

/// Loads a file and tries what is said of it; whether it loads.
fn one_file(
    gate: &mut Gate,
    dice: &mut Dice,
    origins: Origins,
    tree: &Tree,
    hosts: bool,
    tried: &mut Tried,
) -> bool {
    let Some((read, tree)) = gate.load(tree) else { return false };
    let text = format!("{tree:?}");
    let methods = gate.methods();
    let own = addresses_of(&read.rules);
    let mut scribe = GateScribe::new(dice, gate.version(), origins, &methods);
    let guests: Vec<Guest> = (0..A_FILE).map(|_| scribe.guest(hosts, &own)).collect();
    for guest in &guests {
        decided(gate, &read.rules, guest, hosts, &text, tried);
    }
    proved(gate, dice, origins, &read.rules, hosts, &text, tried);
    true
}

/// One connection: the answer is that of the rule that decides, which is dead in no proof and among what may come where
/// less is known.
fn decided(gate: &mut Gate, rules: &[Rule], guest: &Guest, hosts: bool, text: &str, tried: &mut Tried) {
    let connection = gate.connection(guest, hosts);
    let world = gate.world().clone();
    let decision = decide(rules, &connection, &world);
    let said = match gate.knock(guest) {
        Ok(said) => said,
        Err(error) => return tried.faults.push(format!("{guest:?} was not answered: {error}\n{text}")),
    };
    tried.decided += 1;
    let Some(rule) = decision.certain() else {
        let any = decision
            .outcomes
            .iter()
            .any(|outcome| is_answer_of(&said, outcome.rule.and_then(|index| rules.get(index)), guest.tls));
        tried.unclear += 1;
        if !any {
            tried.faults.push(format!("{guest:?}: {said:?} is none of {:?}\n{text}", decision.outcomes));
        }
        return;
    };
    let word =
        rule.and_then(|index| rules.get(index)).map_or("no-entry".to_owned(), |rule| rule.method.to_string());
    *tried.words.entry(word).or_default() += 1;
    if !is_answer_of(&said, rule.and_then(|index| rules.get(index)), guest.tls) {
        tried.faults.push(format!("{guest:?} by rule {rule:?}: {said:?}\n{text}"));
        return;
    }
    let guess = decide(rules, &connection, &World::default());
    if !guess.outcomes.iter().any(|outcome| outcome.rule == rule) {
        tried.faults.push(format!("{guest:?} by rule {rule:?}: not among {:?}\n{text}", guess.outcomes));
    }
    if let Some(rule) = rule {
        let alive = reach(rules, &Question::about(connection.channel), &world);
        if matches!(alive.get(rule), Some(Reach::Dead { .. } | Reach::NotMet) | None) {
            tried.faults.push(format!("{guest:?} by rule {rule:?}: that is {:?}\n{text}", alive.get(rule)));
        }
    }
}

/// The proof, with and without knowledge of the server's roles.
fn proved(
    gate: &mut Gate,
    dice: &mut Dice,
    origins: Origins,
    rules: &[Rule],
    hosts: bool,
    text: &str,
    tried: &mut Tried,
) {
    let world = gate.world().clone();
    let (known, unknown) = (plaintext_path(rules, &world), plaintext_path(rules, &World::default()));
    let agree = match (&unknown, &known) {
        (Verdict::NoPath(_), other) => matches!(other, Verdict::NoPath(_)),
        (Verdict::Path(_), other) => matches!(other, Verdict::Path(_)),
        (Verdict::CannotTell(_), _) => true,
    };
    if !agree {
        tried
            .faults
            .push(format!("more knowledge changed what was certain, {unknown:?} to {known:?}\n{text}"));
    }
    if let Verdict::Path(witness) = &known {
        witnessed(gate, rules, witness, origins, text, tried);
    }
    if let Verdict::Path(witness) = &unknown {
        witnessed(gate, rules, witness, origins, text, tried);
    }
    if let Verdict::NoPath(_) = known {
        tried.no_paths += 1;
        let own = addresses_of(rules);
        let methods = gate.methods();
        let mut scribe = GateScribe::new(dice, gate.version(), origins, &methods);
        let guests: Vec<Guest> = (0..samples(200)).map(|_| scribe.plaintext_guest(hosts, &own)).collect();
        for guest in guests {
            match gate.knock(&guest) {
                Ok(said) if said.refused_by_hba() => tried.refusals += 1,
                other => tried.faults.push(format!("no path, and {guest:?}: {other:?}\n{text}")),
            }
        }
    }
}

fn witnessed(
    gate: &Gate,
    rules: &[Rule],
    witness: &Witness,
    origins: Origins,
    text: &str,
    tried: &mut Tried,
) {
    let Some(Connection { channel: Channel::Plain, address: Some(address), user, purpose, .. }) =
        witness.connection()
    else {
        return tried.faults.push(format!("a certain witness should be a connection: {witness:?}\n{text}"));
    };
    let reachable = match origins {
        Origins::Loopback => is_loopback(address),
        Origins::Everywhere => can_be_come_from(address),
    };
    if !reachable {
        tried.elsewhere += 1;
        return;
    }
    let guest = Guest {
        from: Some(address),
        tls: false,
        user: user.as_bytes().to_vec(),
        database: match purpose {
            Purpose::Database(name) => Some(name.as_bytes().to_vec()),
            Purpose::Replication => None,
        },
    };
    // What is not known (a host's name, say) may let a rule before it decide, and that one lets it in as well.
    let outcomes =
        witness.connection().map(|who| decide(rules, &who, gate.world()).outcomes).unwrap_or_default();
    let may_decide = outcomes.iter().filter_map(|outcome| outcome.rule).chain([witness.rule]);
    let mut may_decide = may_decide.filter_map(|index| rules.get(index));
    match gate.knock(&guest) {
        Ok(said)
            if !said.refused_by_hba() && may_decide.any(|rule| is_answer_of(&said, Some(rule), false)) =>
        {
            tried.witnesses += 1;
        }
        other => tried.faults.push(format!("{witness:?}, and {guest:?}: {other:?}\n{text}")),
    }
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}
