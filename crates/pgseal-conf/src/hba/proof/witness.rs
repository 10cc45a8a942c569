//! A trial that succeeded, put in words: who comes from where and wants what. Refuses to know why it succeeded.

use std::sync::LazyLock;

use super::interval;
use super::lower::{Lowered, Places, Terms};
use super::question::{Question, Witness, WitnessAddress, WitnessName};
use super::shelf::{Key, Shelves, Spot};
use super::sweep::{Pass, Trial, TrialDatabase, TrialUser, keys};
use super::universe::{ClassId, Unknown, UnknownPlace};
use crate::hba::connection::Channel;
use crate::hba::rule::Rule;

/// A trial that succeeded, in words.
pub(super) fn witness(
    terms: &Terms,
    question: &Question,
    rules: &[Rule],
    lowered: &Lowered<ClassId>,
    (trial, spot): (Trial, Spot),
    shelves: &Shelves,
    pass: Pass,
) -> Option<Witness> {
    let rule = rules.get(lowered.rule)?;
    let universe = &terms.universe;
    let member = |class, nth: usize| {
        let members = terms.classes.members(class);
        members.get(nth).or(members.first()).map(|name| universe.name(*name))
    };
    let unknown = |number: u32| match universe.unknowns.get(number) {
        Some(Unknown::Member(role)) => WitnessName::MemberOf(role.clone()),
        Some(Unknown::Matched(pattern) | Unknown::Opaque(pattern)) => {
            WitnessName::Matching(pattern.text().clone())
        }
        Some(Unknown::RoleOfUser) | None => WitnessName::RoleOfUser,
    };
    let other = |names: &[u32]| {
        WitnessName::Exactly(names.first().map(|name| universe.name(*name)).unwrap_or_default())
    };
    let user = match trial.user {
        TrialUser::Other => other(&universe.other_users),
        TrialUser::Class(class) => WitnessName::Exactly(member(class, 0)?),
        TrialUser::Unknown(number) => unknown(number),
    };
    let database = match (trial.database, trial.user) {
        (TrialDatabase::Replication, _) => None,
        (TrialDatabase::Other, _) => Some(other(&universe.other_databases)),
        (TrialDatabase::SameAsUser, _) => Some(match &user {
            WitnessName::Exactly(name) => WitnessName::Exactly(name.clone()),
            _ => WitnessName::SameAsUser,
        }),
        (TrialDatabase::Class(class), TrialUser::Class(user)) if class == user && !trial.same => {
            Some(WitnessName::Exactly(member(class, 1)?))
        }
        (TrialDatabase::Class(class), _) => Some(WitnessName::Exactly(member(class, 0)?)),
        (TrialDatabase::Unknown(number), _) => Some(unknown(number)),
    };
    let address = match (question.channel, spot) {
        (Channel::Local, _) => None,
        (_, Spot::At(place)) => {
            let keys = keys(terms, pass, trial);
            Some(WitnessAddress::Exactly(interval::address(plain_place(
                shelves,
                &keys,
                &lowered.places,
                place,
            ))))
        }
        (_, Spot::Unknown(number)) => Some(match universe.places.get(number) {
            Some(UnknownPlace::SameHost) => WitnessAddress::SameHost,
            Some(UnknownPlace::SameNet) => WitnessAddress::SameNet,
            Some(UnknownPlace::Scoped(text)) => WitnessAddress::Scoped(text.clone()),
            Some(UnknownPlace::HostName(name)) => WitnessAddress::HostName(name.as_slice().into()),
            None => return None,
        }),
    };
    let user_is_made_up = match trial.user {
        TrialUser::Other => universe.other_users_are_nobody,
        TrialUser::Class(class) => {
            terms.classes.members(class).first().is_some_and(|name| universe.is_nobody(*name))
        }
        TrialUser::Unknown(_) => false,
    };
    Some(Witness {
        rule: lowered.rule,
        method: rule.method,
        channel: question.channel,
        address,
        user,
        user_is_made_up,
        database,
    })
}

/// Addresses that people know at sight, tried before the first free one: documentation, private, loopback.
const WELL_KNOWN: [&str; 7] =
    ["203.0.113.1", "2001:db8::1", "10.0.0.1", "192.168.0.1", "172.16.0.1", "127.0.0.1", "::1"];

static WELL_KNOWN_PLACES: LazyLock<Vec<u128>> =
    LazyLock::new(|| WELL_KNOWN.iter().filter_map(|text| interval::place(text.parse().ok()?)).collect());

/// A free address that reads well; `place` if there is none.
fn plain_place(shelves: &Shelves, keys: &[(Key, Key)], places: &Places, place: u128) -> u128 {
    let cubes = places.cubes();
    let fits = |at: u128| cubes.iter().any(|cube| cube.holds(at)) && shelves.is_free(keys, at);
    let known = WELL_KNOWN_PLACES.iter().copied();
    // The first address of a network is no host's, as a rule.
    let next = place.checked_add(1).filter(|_| place & 0xff == 0);
    known.chain(next).find(|at| fits(*at)).unwrap_or(place)
}
