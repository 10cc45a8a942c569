//! An expression as a machine of states, run over all of them at once: time in proportion to text and expression,
//! whatever they are.

use super::parse::{ByteSet, Node};

/// The largest machine that is built.
const MAX_STATES: usize = 4096;

#[derive(Clone, Debug)]
enum State {
    Byte { set: ByteSet, next: usize },
    Start { next: usize },
    End { next: usize },
    Split(Vec<usize>),
    Match,
}

/// A machine.
#[derive(Debug)]
pub(super) struct Program {
    states: Vec<State>,
    start: usize,
}

/// A set of states, and those among them that wait for a byte.
#[derive(Clone, Debug)]
pub(super) struct Active {
    seen: Vec<bool>,
    waiting: Vec<usize>,
    matched: bool,
}

impl Program {
    /// The machine of a tree; `None` when it would be too large.
    pub(super) fn of(tree: &Node) -> Option<Self> {
        let mut program = Self { states: vec![State::Match], start: 0 };
        program.start = program.build(tree, 0)?;
        Some(program)
    }

    fn push(&mut self, state: State) -> Option<usize> {
        self.states.push(state);
        (self.states.len() <= MAX_STATES).then_some(self.states.len() - 1)
    }

    /// States for `node` that go on to `next`; gives the first of them.
    fn build(&mut self, node: &Node, next: usize) -> Option<usize> {
        match node {
            Node::Empty => Some(next),
            Node::Set(set) => self.push(State::Byte { set: *set, next }),
            Node::Start => self.push(State::Start { next }),
            Node::End => self.push(State::End { next }),
            Node::Sequence(nodes) => nodes.iter().rev().try_fold(next, |next, node| self.build(node, next)),
            Node::Either(nodes) => {
                let ways = nodes.iter().map(|node| self.build(node, next)).collect::<Option<Vec<_>>>()?;
                self.push(State::Split(ways))
            }
            Node::Repeat { node, least, most } => self.repeat(node, *least, *most, next),
        }
    }

    fn repeat(&mut self, node: &Node, least: u32, most: Option<u32>, next: usize) -> Option<usize> {
        let mut entry = next;
        match most {
            None => {
                let again = self.push(State::Split(Vec::new()))?;
                let body = self.build(node, again)?;
                if let Some(state) = self.states.get_mut(again) {
                    *state = State::Split(vec![body, next]);
                }
                entry = again;
            }
            Some(most) => {
                for _ in least..most {
                    let body = self.build(node, entry)?;
                    entry = self.push(State::Split(vec![body, next]))?;
                }
            }
        }
        (0..least).try_fold(entry, |entry, _| self.build(node, entry))
    }

    /// Whether the expression matches somewhere in the text.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let mut active = self.enter(text.is_empty());
        for (at, byte) in text.iter().enumerate() {
            if active.matched {
                return true;
            }
            active = self.step(&active, *byte, at + 1 == text.len(), true);
        }
        active.matched
    }

    /// The states at the start of a text.
    pub(super) fn enter(&self, at_end: bool) -> Active {
        let mut active = Active { seen: vec![false; self.states.len()], waiting: Vec::new(), matched: false };
        self.follow(self.start, true, at_end, &mut active);
        active
    }

    /// The states behind one more byte. `anywhere`: a match may also start here.
    pub(super) fn step(&self, active: &Active, byte: u8, at_end: bool, anywhere: bool) -> Active {
        let mut next = Active { seen: vec![false; self.states.len()], waiting: Vec::new(), matched: false };
        for state in &active.waiting {
            if let Some(State::Byte { set, next: to }) = self.states.get(*state)
                && set.contains(byte)
            {
                self.follow(*to, false, at_end, &mut next);
            }
        }
        if anywhere {
            self.follow(self.start, false, at_end, &mut next);
        }
        next
    }

    fn follow(&self, state: usize, at_start: bool, at_end: bool, active: &mut Active) {
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            match active.seen.get_mut(state) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            match self.states.get(state) {
                Some(State::Byte { .. }) => active.waiting.push(state),
                Some(State::Start { next }) if at_start => open.push(*next),
                Some(State::End { next }) if at_end => open.push(*next),
                Some(State::Split(ways)) => open.extend(ways),
                Some(State::Match) => active.matched = true,
                _ => {}
            }
        }
    }

    /// The sets of bytes that lead on from here.
    pub(super) fn ways_on(&self, active: &Active) -> Vec<ByteSet> {
        let set = |state: &usize| match self.states.get(*state) {
            Some(State::Byte { set, .. }) => Some(*set),
            _ => None,
        };
        active.waiting.iter().filter_map(set).collect()
    }
}

impl Active {
    /// Whether nothing can match any more, wherever it started.
    pub(super) fn is_dead(&self) -> bool {
        self.waiting.is_empty() && !self.matched
    }
}
