//! The questions people ask of a file, put to the sweep.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::cover::Shadows;
use super::cube::Budget;
use super::hinges;
use super::interval::{self, Stretch, V4_FIRST, V4_LAST};
use super::lower::{Terms, lower};
use super::question::{NoPath, Purposes, Question, Unclear, Verdict, Witness};
use super::sweep::{Depth, Left, Part, Pass, sweep};
use super::witness::witness;
use crate::ByteString;
use crate::hba::connection::Channel;
use crate::hba::decide::{Hinge, decide};
use crate::hba::method::Method;
use crate::hba::option::ClientCertificate;
use crate::hba::rule::Rule;
use crate::hba::world::World;

/// The work one question may take: some seconds at worst, on masks with holes that nobody writes.
const BUDGET: u64 = 100_000_000;
/// How many possible witnesses are compared to find the one that hinges on least.
const MAX_CANDIDATES: usize = 16;
/// How many rules are looked at to name what witnesses hinge on.
const MAX_LOOKS: usize = 20_000_000;
/// How many stretches of addresses are listed for one rule.
const MAX_STRETCHES: usize = 32;

/// Whether a TCP connection without encryption is let as far as authentication: for any database or physical
/// replication, as any user, from any address.
pub fn plaintext_path(rules: &[Rule], world: &World) -> Verdict {
    admission(rules, &Question::about(Channel::Plain), world)
}

/// Whether some connection of the question is let as far as authentication.
pub fn admission(rules: &[Rule], question: &Question, world: &World) -> Verdict {
    reachable(rules, question, world, |rule| rule.method != Method::Reject)
}

/// Whether some TLS connection is let as far as authentication without a client certificate being demanded. *No path*
/// means that every client over TLS must show one.
pub fn without_client_certificate(rules: &[Rule], world: &World) -> Verdict {
    let wanted =
        |rule: &Rule| rule.method != Method::Reject && rule.client_certificate == ClientCertificate::NotAsked;
    reachable(rules, &Question::about(Channel::Tls), world, wanted)
}

/// Whether this user is let as far as authentication through a local socket, to some database. *No path* for the
/// administrator means that the way back in is gone.
pub fn local_path(rules: &[Rule], user: impl Into<ByteString>, world: &World) -> Verdict {
    let question = Question::about(Channel::Local).wanting(Purposes::Databases).by(user);
    admission(rules, &question, world)
}

/// Whether some connection of the question is decided by a rule that is wanted.
pub fn reachable(
    rules: &[Rule],
    question: &Question,
    world: &World,
    wanted: impl Fn(&Rule) -> bool,
) -> Verdict {
    let is_wanted = |index: usize| rules.get(index).is_some_and(&wanted);
    let part = |index: usize| if is_wanted(index) { Part::Wanted } else { Part::InTheWay };
    let terms = lower(rules, question, world);
    let asked = Asked { rules, question, terms: &terms };
    let mut budget = Budget::new(BUDGET);

    let (candidates, gave_up) = asked.candidates(Pass::Possible, MAX_CANDIDATES, &mut budget, part);
    if candidates.is_empty() && !gave_up {
        return Verdict::NoPath(asked.no_path(is_wanted));
    }
    let all_known = terms.universe.unknowns.all().is_empty() && terms.universe.places.all().is_empty();
    let certain = if all_known {
        candidates.first().cloned()
    } else {
        asked.candidates(Pass::Certain, 1, &mut budget, part).0.into_iter().next()
    };
    // What is called certain is tried on the rules themselves.
    let holds = |witness: &Witness| {
        let outcomes = witness
            .connection()
            .map(|who| decide(rules, &who, &witness.world(world)).outcomes)
            .unwrap_or_default();
        !outcomes.is_empty() && outcomes.iter().all(|outcome| outcome.rule.is_some_and(is_wanted))
    };
    if let Some(witness) = certain.filter(holds) {
        return Verdict::Path(Box::new(witness));
    }
    let mut left = MAX_LOOKS;
    let weighed = candidates.into_iter().map(|witness| {
        let hinges = hinges::of(rules, &witness, &witness.world(world), |rule| !wanted(rule), &mut left);
        (hinges.len(), hinges, witness)
    });
    let unclear = match weighed.min_by_key(|(count, _, _)| *count) {
        Some((count, hinges, witness)) if count > 0 && !gave_up => Unclear { witness: Some(witness), hinges },
        Some((_, mut hinges, witness)) => {
            hinges.insert(Hinge::TooComplex);
            Unclear { witness: Some(witness), hinges }
        }
        None => Unclear { witness: None, hinges: BTreeSet::from([Hinge::TooComplex]) },
    };
    Verdict::CannotTell(Box::new(unclear))
}

struct Asked<'a> {
    rules: &'a [Rule],
    question: &'a Question,
    terms: &'a Terms,
}

impl Asked<'_> {
    /// The first witnesses of a pass, and whether some rule was too much to look through.
    fn candidates(
        &self,
        pass: Pass,
        limit: usize,
        budget: &mut Budget,
        part: impl Fn(usize) -> Part,
    ) -> (Vec<Witness>, bool) {
        let mut found = Vec::new();
        let mut gave_up = false;
        sweep(
            self.terms,
            self.question,
            pass,
            Depth { stretches: 0 },
            budget,
            part,
            |lowered, left, shelves| {
                match left {
                    Left::Nothing => {}
                    Left::TooComplex => gave_up = true,
                    Left::Some { trial, spot, .. } => {
                        let terms = self.terms;
                        found.extend(witness(
                            terms,
                            self.question,
                            self.rules,
                            lowered,
                            (trial, spot),
                            shelves,
                            pass,
                        ));
                    }
                }
                found.len() < limit
            },
        );
        (found, gave_up)
    }

    fn no_path(&self, is_wanted: impl Fn(usize) -> bool) -> NoPath {
        let mut shadows = Shadows::new(&self.terms.rules);
        let mut by = BTreeSet::new();
        let mut jointly = false;
        let mut any = false;
        for (index, lowered) in self.terms.rules.iter().enumerate() {
            if is_wanted(lowered.rule) {
                any = true;
                let (rules, together) = shadows.of(index, |rule| !is_wanted(rule));
                by.extend(rules);
                jointly |= together;
            }
        }
        if any { NoPath::Shadowed { by: by.into_iter().collect(), jointly } } else { NoPath::NoSuchRule }
    }
}

/// Addresses from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressSpan {
    /// The first one.
    pub first: IpAddr,
    /// The last one, of the same family.
    pub last: IpAddr,
}

/// Whether a rule is ever the one that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// No connection of the question is of the rule's kind.
    NotMet,
    /// Never: earlier rules take all it fits.
    Dead {
        /// The rule that does it alone, or some that take a part each; empty when they were not looked for any longer.
        by: Vec<usize>,
    },
    /// For this connection, whatever is not known may be as it will.
    Alive {
        /// The connection.
        witness: Box<Witness>,
        /// Addresses from which some user reaches it.
        from: Vec<AddressSpan>,
        /// Whether these are all.
        complete: bool,
    },
    /// That depends.
    Unclear(Box<Unclear>),
}

/// For each rule, whether some connection of the question is decided by it.
pub fn reach(rules: &[Rule], question: &Question, world: &World) -> Vec<Reach> {
    let terms = lower(rules, question, world);
    let asked = Asked { rules, question, terms: &terms };
    let mut budget = Budget::new(BUDGET);
    let mut reach = vec![Reach::NotMet; rules.len()];
    asked.note(Pass::Possible, &mut budget, &mut reach);
    let all_known = terms.universe.unknowns.all().is_empty() && terms.universe.places.all().is_empty();
    if !all_known {
        asked.note(Pass::Certain, &mut budget, &mut reach);
        let mut left = MAX_LOOKS;
        for state in &mut reach {
            asked.weigh(world, state, &mut left);
        }
    }
    let mut shadows = Shadows::new(&terms.rules);
    for (index, lowered) in terms.rules.iter().enumerate() {
        if let Some(Reach::Dead { by }) = reach.get_mut(lowered.rule) {
            *by = shadows.of(index, |_| true).0;
        }
    }
    reach
}

impl Asked<'_> {
    /// Notes what a pass finds: everything of the possible one; of the certain one what is alive, the rest of what was
    /// alive being unclear from then on.
    fn note(&self, pass: Pass, budget: &mut Budget, reach: &mut [Reach]) {
        let depth = Depth { stretches: MAX_STRETCHES };
        sweep(
            self.terms,
            self.question,
            pass,
            depth,
            budget,
            |_| Part::Both,
            |lowered, left, shelves| {
                let Some(state) = reach.get_mut(lowered.rule) else { return true };
                let found = match left {
                    Left::Nothing => None,
                    Left::TooComplex => Some(too_complex(None)),
                    Left::Some { trial, spot, stretches, complete } => {
                        let terms = self.terms;
                        let found =
                            witness(terms, self.question, self.rules, lowered, (trial, spot), shelves, pass);
                        found.map(|witness| Reach::Alive {
                            witness: Box::new(witness),
                            from: spans(&stretches),
                            complete,
                        })
                    }
                };
                *state = match (pass, found, std::mem::replace(state, Reach::NotMet)) {
                    (Pass::Possible, Some(found), _) => found,
                    (Pass::Possible, None, _) => Reach::Dead { by: Vec::new() },
                    (
                        Pass::Certain,
                        Some(Reach::Alive { witness, from, .. }),
                        Reach::Alive { complete, .. },
                    ) => {
                        // Unknowns may give it more.
                        Reach::Alive {
                            witness,
                            from,
                            complete: complete && self.terms.universe.places.all().is_empty(),
                        }
                    }
                    (Pass::Certain, _, Reach::Alive { witness, .. }) => {
                        Reach::Unclear(Box::new(Unclear { witness: Some(*witness), hinges: BTreeSet::new() }))
                    }
                    (Pass::Certain, _, state) => state,
                };
                true
            },
        );
    }

    /// Names what an unclear state hinges on.
    fn weigh(&self, world: &World, state: &mut Reach, left: &mut usize) {
        if let Reach::Unclear(unclear) = state
            && let Some(witness) = &unclear.witness
        {
            unclear.hinges.extend(hinges::of(self.rules, witness, &witness.world(world), |_| true, left));
            if unclear.hinges.is_empty() {
                unclear.hinges.insert(Hinge::TooComplex);
            }
        }
    }
}

fn too_complex(witness: Option<Witness>) -> Reach {
    Reach::Unclear(Box::new(Unclear { witness, hinges: BTreeSet::from([Hinge::TooComplex]) }))
}

/// Stretches as spans of addresses, none of which mixes families.
fn spans(stretches: &[Stretch]) -> Vec<AddressSpan> {
    let mut spans = Vec::new();
    for (start, end) in stretches {
        let before = (*start < V4_FIRST).then(|| (*start, (*end).min(V4_FIRST - 1)));
        let within =
            (*start <= V4_LAST && *end >= V4_FIRST).then(|| ((*start).max(V4_FIRST), (*end).min(V4_LAST)));
        let behind = (*end > V4_LAST).then(|| ((*start).max(V4_LAST + 1), *end));
        let parts = [before, within, behind].into_iter().flatten();
        spans.extend(parts.map(|(first, last)| AddressSpan {
            first: interval::address(first),
            last: interval::address(last),
        }));
    }
    spans
}
