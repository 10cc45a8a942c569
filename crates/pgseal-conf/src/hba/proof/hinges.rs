//! What a possible connection hinges on: each unknown that decides whether a rule on its way fits it. Refuses to choose.

use std::collections::BTreeSet;

use super::question::{Witness, WitnessAddress, WitnessName};
use crate::hba::connection::{ClientName, Connection, Purpose};
use crate::hba::decide::{Fit, Hinge, fits_address, fits_database, fits_role};
use crate::hba::rule::{AddressMatch, DatabaseMatch, RoleMatch, Rule};
use crate::hba::world::World;

/// What must be known to say whether the witness gets through. `in_the_way` tells which rules would stop it; `left` is
/// how many rules may still be looked at.
pub(super) fn of(
    rules: &[Rule],
    witness: &Witness,
    world: &World,
    in_the_way: impl Fn(&Rule) -> bool,
    left: &mut usize,
) -> BTreeSet<Hinge> {
    let mut hinges = BTreeSet::new();
    // From the rule itself backwards, so that its own are named whatever happens.
    for (index, rule) in rules.iter().enumerate().take(witness.rule + 1).rev() {
        let Some(less) = left.checked_sub(1) else {
            hinges.insert(Hinge::TooComplex);
            break;
        };
        *left = less;
        let concerned = witness.channel.meets(rule.connection) && (index == witness.rule || in_the_way(rule));
        if concerned && let Fit::Depends(more) = fits(rule, witness, world, index == witness.rule) {
            hinges.extend(more);
        }
    }
    hinges
}

/// Whether a rule fits a witness whose parts need not be names and addresses. `own`: it is the rule the witness was made
/// for, whose unknowns are then taken to be so, and named.
fn fits(rule: &Rule, witness: &Witness, world: &World, own: bool) -> Fit {
    let address =
        rule.address.as_ref().map_or(Fit::Yes, |address| self::address(address, witness, world, own));
    let databases =
        rule.databases.iter().map(|word| database(word, witness, world, own)).fold(Fit::No, Fit::or);
    let roles = rule.roles.iter().map(|word| role(word, witness, world, own)).fold(Fit::No, Fit::or);
    address.and(databases).and(roles)
}

/// `Yes`, or in the witness's own rule the unknown that makes it so.
fn given(own: bool, hinge: Hinge) -> Fit {
    if own { Fit::on(hinge) } else { Fit::Yes }
}

fn address(address: &AddressMatch, witness: &Witness, world: &World, own: bool) -> Fit {
    use AddressMatch as Rule;
    use WitnessAddress as At;
    match (address, &witness.address) {
        (Rule::All, _) => Fit::Yes,
        (_, Some(At::Exactly(_))) => fits_address(address, &stand_in(witness), world),
        (Rule::HostName(name), Some(At::HostName(at)))
            if name.as_bytes().eq_ignore_ascii_case(at.as_bytes()) =>
        {
            given(own, Hinge::HostName(name.clone()))
        }
        (Rule::HostName(name), _) => Fit::on(Hinge::HostName(name.clone())),
        (Rule::SameHost, Some(At::SameHost)) | (Rule::SameNet, Some(At::SameHost | At::SameNet)) => {
            given(own, Hinge::Interfaces)
        }
        (Rule::Scoped(text), Some(At::Scoped(at))) if text == at => given(own, Hinge::Zone(text.clone())),
        (Rule::Scoped(text), _) => Fit::on(Hinge::Zone(text.clone())),
        (Rule::SameHost | Rule::SameNet, _) if world.interfaces.is_none() => Fit::on(Hinge::Interfaces),
        // The client is somewhere else in its place; that there is such a place hinges on the place alone.
        (Rule::SameHost | Rule::SameNet | Rule::Range(_), _) => Fit::No,
    }
}

fn database(word: &DatabaseMatch, witness: &Witness, world: &World, own: bool) -> Fit {
    let Some(database) = &witness.database else {
        return if *word == DatabaseMatch::Replication { Fit::Yes } else { Fit::No };
    };
    match (word, database) {
        (DatabaseMatch::All, _) | (DatabaseMatch::SameUser, WitnessName::SameAsUser) => Fit::Yes,
        (DatabaseMatch::SameRole { .. }, WitnessName::RoleOfUser) => given(own, Hinge::SameRole),
        (DatabaseMatch::SameRole { .. }, _) if world.roles.is_none() => Fit::on(Hinge::SameRole),
        (DatabaseMatch::Regex(pattern), WitnessName::Matching(text)) if pattern.text() == text => {
            given(own, Hinge::Regex(text.clone()))
        }
        (_, WitnessName::Exactly(_)) if matches!(witness.user, WitnessName::Exactly(_)) => {
            fits_database(word, &stand_in(witness), world)
        }
        (DatabaseMatch::Name(name), WitnessName::Exactly(exactly)) if name == exactly => Fit::Yes,
        (DatabaseMatch::Regex(pattern), WitnessName::Exactly(exactly)) => {
            match pattern.matches(exactly.as_bytes()) {
                Some(true) => Fit::Yes,
                Some(false) => Fit::No,
                None => Fit::on(Hinge::Regex(pattern.text().clone())),
            }
        }
        (DatabaseMatch::Regex(pattern), _) => Fit::on(Hinge::Regex(pattern.text().clone())),
        _ => Fit::No,
    }
}

fn role(word: &RoleMatch, witness: &Witness, world: &World, own: bool) -> Fit {
    match (word, &witness.user) {
        (RoleMatch::All, _) => Fit::Yes,
        (_, WitnessName::Exactly(user)) => fits_role(word, user, world),
        (RoleMatch::MemberOf(role), WitnessName::MemberOf(of)) if role == of => {
            given(own, Hinge::Membership(role.clone()))
        }
        (RoleMatch::MemberOf(role), _) => Fit::on(Hinge::Membership(role.clone())),
        (RoleMatch::Regex(pattern), WitnessName::Matching(text)) if pattern.text() == text => {
            given(own, Hinge::Regex(text.clone()))
        }
        (RoleMatch::Regex(pattern), _) => Fit::on(Hinge::Regex(pattern.text().clone())),
        (RoleMatch::Name(_), _) => Fit::No,
    }
}

/// A connection for the parts that are exact; the others are not looked at.
fn stand_in(witness: &Witness) -> Connection {
    let exact = |name: &WitnessName| match name {
        WitnessName::Exactly(name) => name.clone(),
        _ => crate::ByteString::default(),
    };
    let address = match &witness.address {
        Some(WitnessAddress::Exactly(address)) => Some(*address),
        _ => None,
    };
    let purpose =
        witness.database.as_ref().map_or(Purpose::Replication, |name| Purpose::Database(exact(name)));
    Connection {
        channel: witness.channel,
        address,
        name: ClientName::Unknown,
        user: exact(&witness.user),
        purpose,
    }
}
