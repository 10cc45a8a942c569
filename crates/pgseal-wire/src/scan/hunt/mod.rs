//! One list of a server, found out by offering it and taking away what the server picks.
//!
//! What is known is a set of trials: this was offered, that was picked, or nothing. From these follows what is accepted, what
//! is refused, and, where the server has an order of its own, that order: proved by who was picked beside whom, never
//! presumed. What a server is expected to do next decides only how much is asked at once: an offer for each of the next
//! picks, as if those before it had been made already. Right guesses double their number, a wrong one starts over.
//!
//! Pure. Knows numbers and nothing of what they stand for: suites, groups and signature schemes are hunted alike.

mod order;
#[cfg(test)]
mod tests;

use order::Order;

/// More offers than this at once are never made.
const WIDEST: usize = 6;
/// Trials that may come to nothing new before a server is taken to answer at random.
const PATIENCE: usize = 24;
/// Offers without an answer before a list is left unfinished.
const UNANSWERED: usize = 2;

/// One offer, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// In the client's order.
    pub offered: Vec<u16>,
    /// What the server took; None where it took nothing.
    pub picked: Option<u16>,
}

/// Who decides between what both accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// The server has an order, and follows it.
    Server,
    /// It takes the client's first.
    Client,
}

/// A list that is being found out.
#[derive(Debug, Clone, Default)]
pub struct Hunt {
    candidates: Vec<u16>,
    /// Offered with everything: without it nothing could be picked at all.
    kept: Option<u16>,
    trials: Vec<Trial>,
    unanswered: Vec<String>,
    /// What follows from the trials: found out once for each, since it is asked for often.
    view: View,
}

impl Hunt {
    /// A hunt through these. `kept` is offered last with every offer, and its being picked means that nothing else can be.
    pub fn new(candidates: Vec<u16>, kept: Option<u16>) -> Self {
        let candidates = candidates.into_iter().filter(|code| Some(*code) != kept).collect();
        let mut hunt = Self { candidates, kept, ..Self::default() };
        hunt.view = View::of(&hunt);
        hunt
    }

    /// Notes what came of an offer. A pick of something that was not offered is no pick.
    pub fn record(&mut self, offered: Vec<u16>, picked: Option<u16>) {
        let picked = picked.filter(|code| offered.contains(code));
        self.trials.push(Trial { offered, picked });
        self.view = View::of(self);
    }

    /// Notes that an offer got no answer.
    pub fn unanswered(&mut self, why: String) {
        self.unanswered.push(why);
    }

    /// Everything that was tried.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// Whether anything was picked, ever.
    pub fn found_any(&self) -> bool {
        self.trials.iter().any(|trial| trial.picked.is_some())
    }

    /// What was picked: in the server's order as far as it is proved, then in the order of the finds.
    pub fn accepted(&self) -> Vec<u16> {
        self.view.accepted.clone()
    }

    /// Who decides; None where fewer than two are accepted or it was not found out.
    pub const fn preference(&self) -> Option<Preference> {
        self.view.preference
    }

    /// Whether all is known that can be.
    pub fn is_complete(&self) -> bool {
        !self.trials.is_empty() && self.view.is_complete()
    }

    /// Why it was left unfinished, where it was.
    pub fn gave_up(&self) -> Option<String> {
        if self.is_complete() {
            return None;
        }
        if self.unanswered.len() >= UNANSWERED {
            return self.unanswered.last().cloned();
        }
        (self.trials.len() >= 2 * self.view.accepted.len() + PATIENCE)
            .then(|| format!("{} offers were answered, and not to an end", self.trials.len()))
    }

    /// The next offers. `expected` is what is likely to be accepted, best first; `asked` are offers that have no answer
    /// yet; at most `room` are made.
    pub fn next(&self, expected: &[u16], asked: &[Vec<u16>], room: usize) -> Vec<Vec<u16>> {
        if room == 0 || self.candidates.is_empty() {
            return Vec::new();
        }
        if self.is_complete() || self.gave_up().is_some() {
            return Vec::new();
        }
        let view = &self.view;
        let order = &view.order;
        let mut offers = Vec::new();
        let width = self.width(expected, view.preference).min(room + asked.len());
        let likely = &self.still_likely(expected);
        let mut push = |offer: Vec<u16>| {
            // What is refused anyway makes no difference.
            let same = |other: &[u16]| order.same_but_for_refused(other, &offer);
            let again = self.trials.iter().any(|trial| same(&trial.offered))
                || asked.iter().chain(&offers).any(|other| same(other));
            if !offer.is_empty() && !again {
                offers.push(offer);
            }
        };
        if let Some(offer) = self.asks_who_decides(view) {
            push(offer);
        }
        let mut rest = order.open.clone();
        for _ in 0..width {
            if rest.is_empty() {
                break;
            }
            push(self.listed(&rest, likely, view.preference));
            match self.predicted(&rest, likely) {
                Some(next) => rest.retain(|code| *code != next),
                // The one that is expected to be refused.
                None => break,
            }
        }
        offers.truncate(room);
        offers
    }

    /// What is expected without what a server of that order has passed over.
    fn still_likely(&self, expected: &[u16]) -> Vec<u16> {
        let mut passed_over = Vec::new();
        for trial in &self.trials {
            let Some(place) = expected.iter().position(|code| Some(*code) == trial.picked) else {
                continue;
            };
            let better = expected.iter().take(place);
            passed_over.extend(better.filter(|code| trial.offered.contains(code)).copied());
        }
        let picked = |code: u16| self.trials.iter().any(|trial| trial.picked == Some(code));
        expected.iter().copied().filter(|code| picked(*code) || !passed_over.contains(code)).collect()
    }

    /// What is picked next if all goes as expected; among what was picked already, as far as it has no place yet.
    fn predicted(&self, rest: &[u16], expected: &[u16]) -> Option<u16> {
        let likely = |code: &&u16| rest.contains(code);
        let found = || self.trials.iter().filter_map(|trial| trial.picked.as_ref());
        expected.iter().find(likely).or_else(|| found().find(likely)).copied()
    }

    /// An offer, last what is most likely to be picked by a server that has an order: so that its pick shows that it has.
    /// A server that follows the client gets the likely ones first.
    fn listed(&self, rest: &[u16], expected: &[u16], preference: Option<Preference>) -> Vec<u16> {
        let likely = expected.iter().copied().filter(|code| rest.contains(code));
        let unlikely = rest.iter().copied().filter(|code| !expected.contains(code));
        let mut offer: Vec<u16> = if preference == Some(Preference::Client) {
            likely.chain(unlikely).collect()
        } else {
            unlikely.chain(likely.rev()).collect()
        };
        offer.extend(self.kept);
        offer
    }

    /// Two that are accepted, the one that was picked from both in the last place.
    fn asks_who_decides(&self, view: &View) -> Option<Vec<u16>> {
        if view.preference.is_some() {
            return None;
        }
        let first = self.trials.iter().find(|trial| trial.picked.is_some())?;
        let (top, accepted) = (first.picked?, view.accepted.iter().copied());
        let mut offer: Vec<u16> =
            accepted.filter(|code| *code != top && first.offered.contains(code)).collect();
        if offer.is_empty() {
            return None;
        }
        offer.push(top);
        Some(offer)
    }

    /// How many offers are worth making at once.
    fn width(&self, expected: &[u16], preference: Option<Preference>) -> usize {
        if self.trials.is_empty() {
            return 1;
        }
        let right = |trial: &&Trial| {
            let guess = match preference {
                Some(Preference::Client) => trial.offered.iter().find(|code| expected.contains(code)),
                _ => expected.iter().find(|code| trial.offered.contains(code)),
            };
            guess.copied() == trial.picked.filter(|pick| Some(*pick) != self.kept)
        };
        match self.trials.iter().rev().take_while(right).count() {
            0 => 1,
            1 => 3,
            _ => WIDEST,
        }
    }
}

/// What follows from the trials.
#[derive(Debug, Clone, Default)]
struct View {
    order: Order,
    preference: Option<Preference>,
    accepted: Vec<u16>,
}

impl View {
    fn of(hunt: &Hunt) -> Self {
        let preference = who_decides(&hunt.trials);
        let order = Order::of(hunt, preference);
        let mut accepted = order.placed.clone();
        for pick in hunt.trials.iter().filter_map(|trial| trial.picked) {
            if !accepted.contains(&pick) {
                accepted.push(pick);
            }
        }
        Self { order, preference, accepted }
    }

    fn is_complete(&self) -> bool {
        self.order.open.is_empty() && (self.preference.is_some() || self.accepted.len() < 2)
    }
}

/// Who decides, as far as the trials tell.
fn who_decides(trials: &[Trial]) -> Option<Preference> {
    let accepted: Vec<u16> = trials.iter().filter_map(|trial| trial.picked).collect();
    let picks = || trials.iter().filter_map(|trial| Some((trial, trial.picked?)));
    let contradicted = picks().any(|(trial, pick)| {
        picks().any(|(other, theirs)| {
            theirs != pick && trial.offered.contains(&theirs) && other.offered.contains(&pick)
        })
    });
    if contradicted {
        return Some(Preference::Client);
    }
    let passed_over = picks().any(|(trial, pick)| {
        trial.offered.iter().find(|code| accepted.contains(code)).is_some_and(|first| *first != pick)
    });
    passed_over.then_some(Preference::Server)
}
