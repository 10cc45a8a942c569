//! The rules that a question concerns, brought to a form to reckon with: names to classes, addresses to cubes, the rest
//! to numbered unknowns. Refuses to know which rule lets anybody in.

use super::cube::{Cube, Family};
use super::question::{Purposes, Question};
use super::universe::{ClassId, Classes, NameId, Universe, Unknown, UnknownPlace};
use crate::ByteString;
use crate::hba::connection::{MAX_NAME, cut};
use crate::hba::rule::{AddressMatch, DatabaseMatch, RoleMatch, Rule};
use crate::hba::world::{Roles, World};
use crate::regex::Pattern;

/// How many answers of regular expressions about names are worked out.
const MAX_MATCHES: usize = 2_000_000;
/// How many pairs of a user and a role of the user are worked out for one `samerole`.
const MAX_PAIRS: usize = 1_000_000;

/// The databases of a rule. `N` is a name's number at first, a class's in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Databases<N> {
    pub(super) all: bool,
    pub(super) same_user: bool,
    pub(super) replication: bool,
    pub(super) names: Vec<N>,
    pub(super) unknowns: Vec<u32>,
    /// Database and user together (`samerole` where memberships are known).
    pub(super) pairs: Vec<(N, N)>,
}

/// The users of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Users<N> {
    pub(super) all: bool,
    pub(super) names: Vec<N>,
    pub(super) unknowns: Vec<u32>,
}

/// The addresses of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// Everywhere, and the place of local connections.
    All,
    Cubes(Vec<Cube>),
    Unknown(u32),
}

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Lowered<N> {
    /// Its place among all rules.
    pub(super) rule: usize,
    pub(super) databases: Databases<N>,
    pub(super) users: Users<N>,
    pub(super) places: Places,
}

/// Everything a question needs.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) universe: Universe,
    pub(super) classes: Classes,
    pub(super) rules: Vec<Lowered<ClassId>>,
}

/// Lowers every rule that some connection of the question could meet.
pub(super) fn lower(rules: &[Rule], question: &Question, world: &World) -> Terms {
    let concerned = || rules.iter().enumerate().filter(|(_, rule)| question.channel.meets(rule.connection));
    let mut lowering = Lowering { question, world, universe: Universe::default(), matches: 0 };
    for (_, rule) in concerned() {
        lowering.take_names(rule);
    }
    lowering.settle_others();
    let lowered: Vec<Lowered<NameId>> =
        concerned().filter_map(|(index, rule)| lowering.rule(index, rule)).collect();
    let universe = lowering.universe;

    let lists =
        lowered.iter().flat_map(|rule| [rule.databases.names.as_slice(), rule.users.names.as_slice()]);
    // Pairs tell each of their names from every other.
    let mut paired: Vec<bool> = vec![false; universe.names.all().len()];
    for (database, user) in lowered.iter().flat_map(|rule| &rule.databases.pairs) {
        for name in [database, user] {
            if let Some(mark) = paired.get_mut(*name as usize) {
                *mark = true;
            }
        }
    }
    let kind = |name: NameId| {
        let other = universe.other_users.contains(&name) || universe.other_databases.contains(&name);
        let alone = other || paired.get(name as usize) == Some(&true);
        if alone { name + 1 } else { 0 }
    };
    let classes = Classes::group(universe.names.all().len(), lists, kind);
    let rules = lowered.into_iter().map(|rule| classify(rule, &classes)).collect();
    Terms { universe, classes, rules }
}

fn classify(rule: Lowered<NameId>, classes: &Classes) -> Lowered<ClassId> {
    let Databases { all, same_user, replication, names, unknowns, pairs } = rule.databases;
    let pairs =
        pairs.into_iter().map(|(database, user)| (classes.class(database), classes.class(user))).collect();
    Lowered {
        rule: rule.rule,
        databases: Databases { all, same_user, replication, names: classes.of(&names), unknowns, pairs },
        users: Users {
            all: rule.users.all,
            names: classes.of(&rule.users.names),
            unknowns: rule.users.unknowns,
        },
        places: rule.places,
    }
}

struct Lowering<'q> {
    question: &'q Question,
    world: &'q World,
    universe: Universe,
    matches: usize,
}

impl Lowering<'_> {
    /// Every name a rule mentions, and samples of what its expressions match, so that there are concrete ones to try.
    fn take_names(&mut self, rule: &Rule) {
        for word in &rule.databases {
            match word {
                DatabaseMatch::Name(name) => self.take_name(name),
                DatabaseMatch::Regex(pattern) => self.take_samples(pattern),
                DatabaseMatch::SameRole { .. } => {
                    let roles = self.world.roles.as_ref();
                    roles.into_iter().flat_map(Roles::names).for_each(|name| self.take_name(name));
                }
                _ => {}
            }
        }
        for word in &rule.roles {
            match word {
                RoleMatch::Name(name) => self.take_name(name),
                RoleMatch::Regex(pattern) => self.take_samples(pattern),
                RoleMatch::MemberOf(role) => {
                    let members = self.world.roles.as_ref().map(|roles| roles.members_of(role.as_bytes()));
                    for name in members.unwrap_or_default() {
                        self.take_name(name);
                    }
                }
                RoleMatch::All => {}
            }
        }
    }

    fn take_name(&mut self, name: &ByteString) {
        if can_be_a_name(name.as_bytes()) {
            self.universe.names.number(name.clone());
        }
    }

    fn take_samples(&mut self, pattern: &Pattern) {
        if let Some(only) = pattern.only_match() {
            self.take_name(&only.into());
            return;
        }
        for sample in pattern.samples() {
            self.take_name(&sample.into());
        }
    }

    /// Settles who stands for "any other" user and database.
    fn settle_others(&mut self) {
        if let Some(user) = &self.question.user {
            let user = self.universe.names.number(cut(user.as_bytes()).into());
            self.universe.other_users = vec![user];
        } else {
            let made_up = ["pgseal_nobody", "x", "nobody"].map(|wish| self.universe.invent(wish));
            self.universe.other_users = made_up.to_vec();
            self.universe.other_users_are_nobody = true;
        }
        let made_up = ["pgseal_nowhere", "y", "nowhere"].map(|wish| self.universe.invent(wish));
        self.universe.other_databases = made_up.to_vec();
    }

    /// A rule; `None` when no connection of the question meets it.
    fn rule(&mut self, index: usize, rule: &Rule) -> Option<Lowered<NameId>> {
        let users = self.users(rule)?;
        let databases = self.databases(rule, &users);
        let fits_nothing = !databases.all
            && !databases.same_user
            && !databases.replication
            && databases.names.is_empty()
            && databases.unknowns.is_empty()
            && databases.pairs.is_empty();
        if fits_nothing {
            return None;
        }
        let places = match &rule.address {
            None => Places::All,
            Some(address) => self.places(address),
        };
        Some(Lowered { rule: index, databases, users, places })
    }

    fn users(&mut self, rule: &Rule) -> Option<Users<NameId>> {
        let mut users = Users { all: false, names: Vec::new(), unknowns: Vec::new() };
        for word in &rule.roles {
            match word {
                RoleMatch::All => users.all = true,
                RoleMatch::Name(name) => users.names.extend(self.universe.names.find(name)),
                RoleMatch::MemberOf(role) => match &self.world.roles {
                    Some(roles) => {
                        let members = roles.members_of(role.as_bytes());
                        users.names.extend(members.iter().filter_map(|name| self.universe.names.find(*name)));
                    }
                    None => users.unknowns.push(self.universe.unknowns.number(Unknown::Member(role.clone()))),
                },
                RoleMatch::Regex(pattern) => {
                    let unknown = self.pattern(pattern, &mut users.names);
                    users.unknowns.extend(unknown);
                }
            }
        }
        if users.all {
            users.names.clear();
            users.unknowns.clear();
        }
        if self.question.user.is_some() {
            self.restrict(&mut users);
        }
        let anybody = users.all || !users.names.is_empty() || !users.unknowns.is_empty();
        anybody.then_some(users)
    }

    /// Leaves of a rule's users the one that the question is about, who is then all of them.
    fn restrict(&self, users: &mut Users<NameId>) {
        let Some(user) = self.universe.other_users.first() else { return };
        if users.all || users.names.contains(user) {
            *users = Users { all: true, names: Vec::new(), unknowns: Vec::new() };
            return;
        }
        users.names.clear();
        // An expression that is understood has said all about the name above.
        let open = |unknown: &u32| !matches!(self.universe.unknowns.get(*unknown), Some(Unknown::Matched(_)));
        users.unknowns.retain(open);
    }

    fn databases(&mut self, rule: &Rule, users: &Users<NameId>) -> Databases<NameId> {
        let mut databases = Databases::default();
        for word in &rule.databases {
            match word {
                DatabaseMatch::All => databases.all = true,
                DatabaseMatch::Replication => databases.replication = true,
                DatabaseMatch::SameUser if self.question.user.is_some() => {
                    databases.names.extend(self.universe.other_users.first());
                }
                DatabaseMatch::SameUser => databases.same_user = true,
                DatabaseMatch::SameRole { .. } => self.same_role(users, &mut databases),
                DatabaseMatch::Name(name) => databases.names.extend(self.universe.names.find(name)),
                DatabaseMatch::Regex(pattern) => {
                    let unknown = self.pattern(pattern, &mut databases.names);
                    databases.unknowns.extend(unknown);
                }
            }
        }
        if databases.all {
            databases = Databases { all: true, replication: databases.replication, ..Databases::default() };
        }
        match self.question.purposes {
            Purposes::Any => databases,
            Purposes::Databases => Databases { replication: false, ..databases },
            Purposes::Replication => Databases { replication: databases.replication, ..Databases::default() },
        }
    }

    fn same_role(&mut self, users: &Users<NameId>, databases: &mut Databases<NameId>) {
        let known = self.world.roles.as_ref().and_then(|roles| self.role_pairs(roles, users));
        match known {
            Some(pairs) => databases.pairs.extend(pairs),
            None => databases.unknowns.push(self.universe.unknowns.number(Unknown::RoleOfUser)),
        }
    }

    /// Each user of a rule with each of its roles as database; `None` when that is not known or too much.
    fn role_pairs(&self, roles: &Roles, users: &Users<NameId>) -> Option<Vec<(NameId, NameId)>> {
        if !users.unknowns.is_empty() {
            return None;
        }
        let everybody = if self.question.user.is_some() { self.universe.other_users.as_slice() } else { &[] };
        let named: Vec<ByteString> = match (users.all, everybody) {
            (true, []) => roles.names().cloned().collect(),
            (true, one) => one.iter().map(|name| self.universe.name(*name)).collect(),
            (false, _) => users.names.iter().map(|name| self.universe.name(*name)).collect(),
        };
        let mut pairs = Vec::new();
        for user in named {
            let user_id = self.universe.names.find(&user)?;
            for role in roles.roles_of(user.as_bytes()) {
                pairs.push((self.universe.names.find(role)?, user_id));
                if pairs.len() > MAX_PAIRS {
                    return None;
                }
            }
        }
        Some(pairs)
    }

    /// The names that an expression matches go to `names`; it stands for itself where other names are concerned, unless
    /// it matches none.
    fn pattern(&mut self, pattern: &Pattern, names: &mut Vec<NameId>) -> Option<u32> {
        if let Some(only) = pattern.only_match() {
            names.extend(self.universe.names.find(only));
            return None;
        }
        let count = self.universe.names.all().len();
        self.matches = self.matches.saturating_add(count);
        if !pattern.is_understood() || self.matches > MAX_MATCHES {
            return Some(self.universe.unknowns.number(Unknown::Opaque(pattern.clone())));
        }
        let all = self.universe.names.all().iter().zip(0u32..);
        names
            .extend(all.filter(|(name, _)| pattern.matches(name.as_bytes()) == Some(true)).map(|(_, id)| id));
        Some(self.universe.unknowns.number(Unknown::Matched(pattern.clone())))
    }

    fn places(&mut self, address: &AddressMatch) -> Places {
        let unknown = match address {
            AddressMatch::All => return Places::All,
            AddressMatch::Range(range) => return Places::Cubes(vec![Cube::of(range)]),
            AddressMatch::SameHost => match self.world.same_host() {
                Some(ranges) => return Places::Cubes(ranges.iter().map(Cube::of).collect()),
                None => UnknownPlace::SameHost,
            },
            AddressMatch::SameNet => match self.world.same_net() {
                Some(ranges) => return Places::Cubes(ranges.iter().map(Cube::of).collect()),
                None => UnknownPlace::SameNet,
            },
            AddressMatch::HostName(name) => UnknownPlace::HostName(name.as_bytes().to_ascii_lowercase()),
            AddressMatch::Scoped(text) => UnknownPlace::Scoped(text.clone()),
        };
        Places::Unknown(self.universe.places.number(unknown))
    }
}

impl Places {
    /// As cubes; all addresses where nothing is known.
    pub(super) fn cubes(&self) -> Vec<Cube> {
        match self {
            Self::All | Self::Unknown(_) => vec![Cube::whole(Family::V4), Cube::whole(Family::V6)],
            Self::Cubes(cubes) => cubes.clone(),
        }
    }
}

/// Nobody is called nothing, and what is longer is cut on arrival, so it never equals.
fn can_be_a_name(name: &[u8]) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME
}
