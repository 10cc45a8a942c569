//! One pass over the rules in order: for each rule asked about, whether earlier ones leave it any connection.
//!
//! Why a few trials per rule are enough. A rule that says `all` for users takes every user or, at an address and for a
//! database, none: whatever fits "any other user" there says `all` too. So "any other" is the hardest name to cover, and
//! beside it only names that the rule itself mentions need a trial; likewise for databases. What only the server knows
//! (members of a role, what an expression matches) is a name of its own kind in the same sense. What is left is a
//! question about addresses, one line of them, for each trial.
//!
//! Two passes make an answer. The *possible* pass lets unknowns fall as the question likes: when even it finds nothing,
//! there is nothing. The *certain* pass lets them fall against it and tries concrete names alone: what it finds is so.

use super::cube::{Budget, TooComplex};
use super::interval::Stretch;
use super::lower::{Lowered, Places, Terms};
use super::question::Question;
use super::shelf::{ALL, Key, NAMED, REPLICATION, SAME, Shelves, Spot, class_key, unknown_key};
use super::universe::{ClassId, Unknown};
use crate::hba::connection::Channel;

/// How many kinds of database and user one rule may have together.
const MAX_KINDS: usize = 1 << 16;

/// How unknowns fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Possible,
    Certain,
}

/// What a rule is to the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Is asked about, and does not stand in the way of later ones.
    Wanted,
    /// Stands in the way of later ones.
    InTheWay,
    /// Both: is asked about, then stands in the way.
    Both,
}

/// The database of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrialDatabase {
    Other,
    SameAsUser,
    Class(ClassId),
    Unknown(u32),
    Replication,
}

/// The user of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrialUser {
    Other,
    Class(ClassId),
    Unknown(u32),
}

/// A kind of connection to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) database: TrialDatabase,
    pub(super) user: TrialUser,
    /// Whether database and user are the same name of one class.
    pub(super) same: bool,
}

/// What earlier rules leave to a rule.
#[derive(Clone, Debug)]
pub(super) enum Left {
    Nothing,
    Some {
        trial: Trial,
        spot: Spot,
        /// The addresses left, over all trials, when they were asked for; and whether these are all.
        stretches: Vec<Stretch>,
        complete: bool,
    },
    TooComplex,
}

/// How far a pass goes into each rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Depth {
    /// How many free stretches are listed for each rule; 0: none, and the first trial that succeeds ends the rule.
    pub(super) stretches: usize,
}

/// One pass; `see` gets each rule asked about, with what is left to it, and says whether to go on.
pub(super) fn sweep(
    terms: &Terms,
    question: &Question,
    pass: Pass,
    depth: Depth,
    budget: &mut Budget,
    part: impl Fn(usize) -> Part,
    mut see: impl FnMut(&Lowered<ClassId>, Left, &Shelves) -> bool,
) {
    let mut sweep = Sweep { terms, pass, depth, shelves: Shelves::new(question.channel == Channel::Local) };
    for rule in &terms.rules {
        let part = part(rule.rule);
        if matches!(part, Part::Wanted | Part::Both) {
            let left = sweep.left_to(rule, budget).unwrap_or(Left::TooComplex);
            if !see(rule, left, &sweep.shelves) {
                return;
            }
        }
        if matches!(part, Part::InTheWay | Part::Both) {
            sweep.put_in_the_way(rule);
        }
    }
}

struct Sweep<'t> {
    terms: &'t Terms,
    pass: Pass,
    depth: Depth,
    shelves: Shelves,
}

impl Sweep<'_> {
    fn left_to(&mut self, rule: &Lowered<ClassId>, budget: &mut Budget) -> Result<Left, TooComplex> {
        if self.pass == Pass::Certain && matches!(rule.places, Places::Unknown(_)) {
            return Ok(Left::Nothing);
        }
        let mut left = Left::Nothing;
        for trial in self.trials(rule)? {
            let keys = keys(self.terms, self.pass, trial);
            budget.spend(keys.len())?;
            let Some(spot) = self.shelves.free(&keys, &rule.places, budget)? else { continue };
            if self.depth.stretches == 0 {
                return Ok(Left::Some { trial, spot, stretches: Vec::new(), complete: false });
            }
            let (more, all) = self.shelves.free_stretches(&keys, &rule.places, self.depth.stretches);
            left = match left {
                Left::Some { trial, spot, mut stretches, complete } => {
                    stretches.extend(more);
                    let (stretches, fits) = joined(stretches, self.depth.stretches);
                    Left::Some { trial, spot, stretches, complete: complete && all && fits }
                }
                _ => Left::Some { trial, spot, stretches: more, complete: all },
            };
        }
        Ok(left)
    }

    /// The kinds of connection that show whether anything is left to a rule.
    fn trials(&self, rule: &Lowered<ClassId>) -> Result<Vec<Trial>, TooComplex> {
        let users = self.trial_users(rule);
        let databases = self.trial_databases(rule);
        if users.len().saturating_mul(databases.len()) + rule.databases.pairs.len() > MAX_KINDS {
            return Err(TooComplex);
        }
        let mut trials = Vec::new();
        for database in databases {
            for &user in &users {
                let mut add = |same| trials.push(Trial { database, user, same });
                match (database, user) {
                    (TrialDatabase::Class(database), TrialUser::Class(user)) if database == user => {
                        add(true);
                        if self.terms.classes.members(user).len() > 1 {
                            add(false);
                        }
                    }
                    _ => add(false),
                }
            }
        }
        for &(database, user) in &rule.databases.pairs {
            let same = database == user;
            trials.push(Trial {
                database: TrialDatabase::Class(database),
                user: TrialUser::Class(user),
                same,
            });
        }
        Ok(trials)
    }

    fn trial_users(&self, rule: &Lowered<ClassId>) -> Vec<TrialUser> {
        let universe = &self.terms.universe;
        let mut users: Vec<TrialUser> = Vec::new();
        match (rule.users.all, self.pass) {
            (true, Pass::Possible) => users.push(TrialUser::Other),
            (true, Pass::Certain) => {
                users.extend(
                    universe.other_users.iter().map(|name| TrialUser::Class(self.terms.classes.class(*name))),
                );
            }
            (false, _) => {}
        }
        users.extend(rule.users.names.iter().map(|class| TrialUser::Class(*class)));
        if self.pass == Pass::Possible {
            users.extend(rule.users.unknowns.iter().map(|unknown| TrialUser::Unknown(*unknown)));
        }
        users
    }

    fn trial_databases(&self, rule: &Lowered<ClassId>) -> Vec<TrialDatabase> {
        let universe = &self.terms.universe;
        let mut databases = Vec::new();
        match (rule.databases.all, self.pass) {
            (true, Pass::Possible) => databases.push(TrialDatabase::Other),
            (true, Pass::Certain) => {
                let others = universe.other_databases.iter();
                databases.extend(others.map(|name| TrialDatabase::Class(self.terms.classes.class(*name))));
            }
            (false, _) => {}
        }
        databases.extend(rule.databases.same_user.then_some(TrialDatabase::SameAsUser));
        databases.extend(rule.databases.names.iter().map(|class| TrialDatabase::Class(*class)));
        if self.pass == Pass::Possible {
            databases.extend(rule.databases.unknowns.iter().map(|unknown| TrialDatabase::Unknown(*unknown)));
        }
        databases.extend(rule.databases.replication.then_some(TrialDatabase::Replication));
        databases
    }

    /// Takes what a rule takes. In the possible pass that is what it takes for sure, in the certain one what it might.
    fn put_in_the_way(&mut self, rule: &Lowered<ClassId>) {
        let certain = self.pass == Pass::Certain;
        let users = self.taken_users(rule);
        let databases = self.taken_databases(rule);
        if users.len().saturating_mul(databases.len()) + rule.databases.pairs.len() > MAX_KINDS {
            // Too many kinds to keep: taken as none where more would be wrong, as all where less would be.
            if certain {
                self.shelves.take((ALL, ALL), &rule.places, true);
                self.shelves.take((REPLICATION, ALL), &rule.places, true);
            }
            return;
        }
        for &database in &databases {
            for &user in &users {
                self.shelves.take((database, user), &rule.places, certain);
            }
        }
        for &(database, user) in &rule.databases.pairs {
            self.shelves.take((class_key(database), class_key(user)), &rule.places, certain);
        }
        let role_of_user =
            |unknown: &u32| self.terms.universe.unknowns.get(*unknown) == Some(&Unknown::RoleOfUser);
        if certain && rule.databases.unknowns.iter().any(role_of_user) {
            // Only a user that is a role has roles.
            let everybody = users.contains(&ALL);
            let named = users.iter().copied().filter(|user| *user != ALL);
            for user in named.chain(everybody.then_some(NAMED)) {
                self.shelves.take((ALL, user), &rule.places, true);
            }
        }
    }

    fn taken_users(&self, rule: &Lowered<ClassId>) -> Vec<Key> {
        if rule.users.all {
            return vec![ALL];
        }
        let mut keys: Vec<Key> = rule.users.names.iter().map(|class| class_key(*class)).collect();
        for unknown in &rule.users.unknowns {
            match (self.pass, self.terms.universe.unknowns.get(*unknown)) {
                (Pass::Possible, _) => keys.push(unknown_key(*unknown)),
                (Pass::Certain, Some(Unknown::Member(_))) => keys.push(NAMED),
                // Its matches among all names are known.
                (Pass::Certain, Some(Unknown::Matched(_))) => {}
                (Pass::Certain, _) => keys.push(ALL),
            }
        }
        keys
    }

    fn taken_databases(&self, rule: &Lowered<ClassId>) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        keys.extend(rule.databases.all.then_some(ALL));
        keys.extend(rule.databases.same_user.then_some(SAME));
        keys.extend(rule.databases.replication.then_some(REPLICATION));
        keys.extend(rule.databases.names.iter().map(|class| class_key(*class)));
        for unknown in &rule.databases.unknowns {
            match (self.pass, self.terms.universe.unknowns.get(*unknown)) {
                (Pass::Possible, _) => keys.push(unknown_key(*unknown)),
                // See put_in_the_way.
                (Pass::Certain, Some(Unknown::RoleOfUser | Unknown::Matched(_))) => {}
                (Pass::Certain, _) => keys.push(ALL),
            }
        }
        keys
    }
}

/// The shelves that hold what is taken from a trial.
pub(super) fn keys(terms: &Terms, pass: Pass, trial: Trial) -> Vec<(Key, Key)> {
    let mut users = vec![ALL];
    match trial.user {
        TrialUser::Other => {}
        TrialUser::Class(class) => {
            users.push(class_key(class));
            let nobody = |name: &u32| terms.universe.is_nobody(*name);
            if pass == Pass::Certain && !terms.classes.members(class).iter().all(nobody) {
                users.push(NAMED);
            }
        }
        TrialUser::Unknown(unknown) => users.push(unknown_key(unknown)),
    }
    let mut databases = vec![ALL];
    match trial.database {
        TrialDatabase::Other => {}
        TrialDatabase::SameAsUser => {
            databases.push(SAME);
            if let TrialUser::Class(class) = trial.user {
                databases.push(class_key(class));
            }
        }
        TrialDatabase::Class(class) => {
            databases.push(class_key(class));
            databases.extend(trial.same.then_some(SAME));
        }
        TrialDatabase::Unknown(unknown) => databases.push(unknown_key(unknown)),
        TrialDatabase::Replication => databases = vec![REPLICATION],
    }
    databases.iter().flat_map(|database| users.iter().map(move |user| (*database, *user))).collect()
}

/// Stretches in order, those that touch made one; and whether they are no more than `limit`.
fn joined(mut stretches: Vec<Stretch>, limit: usize) -> (Vec<Stretch>, bool) {
    stretches.sort_unstable();
    let mut joined: Vec<Stretch> = Vec::new();
    for (start, end) in stretches {
        match joined.last_mut() {
            Some(last) if last.1 >= start || last.1.checked_add(1) == Some(start) => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    let fits = joined.len() <= limit;
    joined.truncate(limit);
    (joined, fits)
}
