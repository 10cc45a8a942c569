//! The proof about all connections and the matcher of a single one never contradict each other: what the matcher lets
//! in, the proof does not deny, and the connection that a proof names is let in.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use pgseal_conf::PgVersion;
use pgseal_conf::files::NoFiles;
use pgseal_conf::hba::proof::{Question, Verdict, Witness, admission, plaintext_path};
use pgseal_conf::hba::{
    Channel, ClientName, Connection, Hinge, Outcome, Roles, Rule, Ruleset, Server, World, decide,
};
use pgseal_fuzz::{connections, hba_text, surroundings, told};

fuzz_target!(|input: &[u8]| {
    // Too few bytes are no finding.
    let _ = compare(&mut Unstructured::new(input));
});

fn compare(bytes: &mut Unstructured<'_>) -> Result<()> {
    let channel =
        *bytes.choose(&[Channel::Plain, Channel::Plain, Channel::Tls, Channel::Gss, Channel::Local])?;
    let name = bytes.choose(&[ClientName::None, name("h.example"), name("x.org")])?.clone();
    let version = *bytes.choose(&[PgVersion::V15, PgVersion::V16, PgVersion::V18])?;
    let whole = surroundings(bytes)?;
    let told = told(bytes, &whole)?;
    let text = hba_text(bytes)?;
    let ruleset =
        Ruleset::read(&"pg_hba.conf".into(), text.clone().into_bytes(), &NoFiles, Server::of(version));
    assert!(ruleset.loads(), "{:?}\n{text}", ruleset.diagnostics);
    let rules = ruleset.rules;
    let verdict = admission(&rules, &Question::about(channel), &told);
    if channel == Channel::Plain {
        assert_eq!(plaintext_path(&rules, &told), verdict, "{text}");
    }
    match &verdict {
        Verdict::NoPath(_) => {}
        Verdict::Path(witness) => hold_witness(&rules, witness, [&told, &whole], &text),
        Verdict::CannotTell(unclear) => assert!(!unclear.hinges.is_empty(), "{text}"),
    }
    for who in connections(&rules, channel, &name) {
        let decision = decide(&rules, &who, &whole);
        let denied = matches!(verdict, Verdict::NoPath(_)) && decision.admits(&rules) == Some(true);
        assert!(!denied, "the proof denies {who:?}\n{text}");
        hold_doubts(&rules, &who, [&told, &whole], &text);
    }
    Ok(())
}

fn name(text: &str) -> ClientName {
    ClientName::Confirmed(text.into())
}

/// It is let in, by what was told and as things are.
fn hold_witness(rules: &[Rule], witness: &Witness, worlds: [&World; 2], text: &str) {
    let who = witness.connection().expect("a certain witness is exactly known");
    for world in worlds {
        let mut world = world.clone();
        if witness.user_is_made_up {
            world.roles.get_or_insert_with(Roles::new);
        }
        let decision = decide(rules, &who, &world);
        assert_eq!(decision.admits(rules), Some(true), "{witness:?}: {decision:?}\n{text}");
    }
}

/// With less told there are more outcomes, and what is so is always one of them.
fn hold_doubts(rules: &[Rule], who: &Connection, [told, whole]: [&World; 2], text: &str) {
    let doubtful = decide(rules, &Connection { name: ClientName::Unknown, ..who.clone() }, told);
    let clear = decide(rules, who, whole);
    let rule = |outcome: &Outcome| outcome.rule;
    let possible: Vec<Option<usize>> = doubtful.outcomes.iter().map(rule).collect();
    assert!(
        clear.outcomes.iter().map(rule).all(|rule| possible.contains(&rule)),
        "{who:?}: {clear:?}\n{text}"
    );
    assert_eq!(doubtful.certain().is_some(), doubtful.hinges().is_empty(), "{doubtful:?}\n{text}");
    let answered = |hinge: &Hinge| !matches!(hinge, Hinge::Regex(_) | Hinge::Zone(_) | Hinge::TooComplex);
    assert!(!clear.hinges().iter().any(answered), "{clear:?}\n{text}");
}
