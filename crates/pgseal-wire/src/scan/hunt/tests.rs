//! Whatever a server accepts, in whatever order: the list is found, proved, and cheap where it is as expected.

use proptest::prelude::*;

use super::*;

/// A server that accepts these in this order, and follows itself or its client.
struct Server<'a> {
    accepts: &'a [u16],
    decides: Preference,
}

impl Server<'_> {
    fn pick(&self, offered: &[u16]) -> Option<u16> {
        match self.decides {
            Preference::Server => self.accepts.iter().find(|code| offered.contains(code)),
            Preference::Client => offered.iter().find(|code| self.accepts.contains(code)),
        }
        .copied()
    }
}

/// Hunts to the end, at most `room` offers in flight.
fn hunt_through(
    candidates: &[u16],
    kept: Option<u16>,
    expected: &[u16],
    server: &Server<'_>,
    room: usize,
) -> Hunt {
    let mut hunt = Hunt::new(candidates.to_vec(), kept);
    let mut asked: Vec<Vec<u16>> = Vec::new();
    loop {
        let more = hunt.next(expected, &asked, room - asked.len());
        asked.extend(more);
        if asked.is_empty() {
            return hunt;
        }
        let offered = asked.remove(0);
        let picked = server.pick(&offered);
        hunt.record(offered, picked);
        assert!(hunt.trials().len() < 500, "it has to come to an end");
    }
}

const ALL: [u16; 40] = {
    let mut all = [0; 40];
    let mut code = 0;
    while code < 40 {
        all[code as usize] = code;
        code += 1;
    }
    all
};

#[test]
fn a_list_that_is_as_expected_costs_one_more_than_it_has_entries() {
    let expected: Vec<u16> = (0..15).collect();
    let server = Server { accepts: &expected, decides: Preference::Server };
    let hunt = hunt_through(&ALL, None, &expected, &server, 8);
    assert_eq!(hunt.accepted(), expected);
    assert_eq!(hunt.preference(), Some(Preference::Server));
    assert!(hunt.is_complete());
    assert_eq!(hunt.trials().len(), 16);
}

#[test]
fn a_server_that_accepts_nothing_costs_one() {
    let server = Server { accepts: &[], decides: Preference::Server };
    let hunt = hunt_through(&ALL, None, &[1, 2, 3], &server, 8);
    assert_eq!((hunt.trials().len(), hunt.accepted(), hunt.preference()), (1, vec![], None));
    assert!(hunt.is_complete());
}

#[test]
fn who_decides_is_asked_where_it_does_not_show() {
    // As its client would have it in the first offer, and yet by itself.
    for decides in [Preference::Server, Preference::Client] {
        let server = Server { accepts: &[7, 3], decides };
        let hunt = hunt_through(&ALL, None, &[], &server, 8);
        assert_eq!(hunt.preference(), Some(decides));
        assert!(hunt.trials().len() <= 5, "{}", hunt.trials().len());
    }
}

#[test]
fn what_is_kept_is_offered_always_and_ends_the_hunt() {
    let server = Server { accepts: &[5, 9, 1], decides: Preference::Server };
    let hunt = hunt_through(&ALL, Some(9), &[5], &server, 8);
    assert_eq!(hunt.accepted(), [5, 9]);
    assert!(hunt.is_complete());
    assert!(hunt.trials().iter().all(|trial| trial.offered.contains(&9)));
    let server = Server { accepts: &[9], decides: Preference::Server };
    let hunt = hunt_through(&ALL, Some(9), &[5], &server, 8);
    assert_eq!((hunt.accepted(), hunt.trials().len()), (vec![9], 1));
}

#[test]
fn a_server_that_answers_at_random_is_given_up() {
    let mut hunt = Hunt::new(ALL.to_vec(), None);
    let mut turn = 0;
    while let Some(offered) = hunt.next(&[1, 2, 3], &[], 1).pop() {
        turn += 1;
        let picked = offered.get(turn * 7 % offered.len()).copied();
        hunt.record(offered, if turn % 3 == 0 { None } else { picked });
        assert!(turn < 200);
    }
    assert!(hunt.is_complete() || hunt.gave_up().is_some());
    let mut hunt = Hunt::new(ALL.to_vec(), None);
    hunt.unanswered("no answer within 5 s".into());
    assert!(hunt.gave_up().is_none());
    hunt.unanswered("no answer within 5 s".into());
    assert_eq!(hunt.gave_up().unwrap(), "no answer within 5 s");
    assert!(hunt.next(&[], &[], 8).is_empty());
}

#[test]
fn what_was_not_offered_is_no_pick() {
    let mut hunt = Hunt::new(vec![1, 2], None);
    hunt.record(vec![1, 2], Some(3));
    assert!(hunt.accepted().is_empty() && hunt.is_complete());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_list_of_every_server_is_found_in_its_order(
        accepts in prop::sample::subsequence(ALL.to_vec(), 0..20).prop_shuffle(),
        expected in prop::sample::subsequence(ALL.to_vec(), 0..20).prop_shuffle(),
        client_decides in any::<bool>(),
        room in 1_usize..9,
    ) {
        let decides = if client_decides { Preference::Client } else { Preference::Server };
        let server = Server { accepts: &accepts, decides };
        let hunt = hunt_through(&ALL, None, &expected, &server, room);
        prop_assert!(hunt.is_complete(), "{:?}", hunt.gave_up());
        let found = hunt.accepted();
        if accepts.len() > 1 {
            prop_assert_eq!(hunt.preference(), Some(decides));
        }
        if decides == Preference::Server {
            prop_assert_eq!(&found, &accepts);
        } else {
            let sorted = |mut list: Vec<u16>| { list.sort_unstable(); list };
            prop_assert_eq!(sorted(found), sorted(accepts.clone()));
        }
        prop_assert!(hunt.trials().len() <= 2 * accepts.len() + 12, "{} for {}", hunt.trials().len(), accepts.len());
    }

    #[test]
    fn an_expected_order_with_gaps_costs_little_more(
        accepts in prop::sample::subsequence((0..30).collect::<Vec<u16>>(), 1..30),
    ) {
        let expected: Vec<u16> = (0..30).collect();
        let server = Server { accepts: &accepts, decides: Preference::Server };
        let hunt = hunt_through(&ALL, None, &expected, &server, 8);
        prop_assert_eq!(hunt.accepted(), accepts.clone());
        prop_assert!(hunt.trials().len() <= 2 * accepts.len() + 12, "{} for {}", hunt.trials().len(), accepts.len());
    }
}
