//! The harness waits for nothing for ever, and a failure shows what the program had said.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::harness::{Account, Dice, Install, Pgseal, Port, Ran, Running, Sandbox, Signal};

#[test]
fn a_program_that_never_ends_is_killed_at_its_limit_and_its_words_are_told() {
    let (mut pid, started) = (0, std::time::Instant::now());
    let failed = catch_unwind(AssertUnwindSafe(|| {
        let running = shell("echo half; exec sleep 60");
        pid = running.pid();
        running.wait_until_it_says("half", Duration::from_secs(10));
        running.wait(Duration::from_millis(200))
    }));
    let told = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(told.contains("did not end within 200ms") && told.contains("half"), "{told}");
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_program_that_leaves_its_output_open_in_the_background_is_caught() {
    let failed = catch_unwind(|| shell("sleep 5 & echo done").wait(Duration::from_secs(10)));
    let told = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(told.contains("still holds its output open") && told.contains("done"), "{told}");
}

#[test]
fn a_signal_reaches_the_program_alone_or_with_its_children_as_ctrl_c_does() {
    let both = shell("trap 'echo told; exit 7' INT; sh -c 'echo up; exec sleep 60'");
    both.wait_until_it_says("up", Duration::from_secs(10));
    both.signal_group(Signal::INT);
    let ran: Ran = both.wait(Duration::from_secs(10)).ended(7).says("told");
    assert!(ran.signal().is_none() && ran.took() < Duration::from_secs(10));
    let killed = shell("echo up; exec sleep 60");
    killed.wait_until_it_says("up", Duration::from_secs(10));
    killed.signal(Signal::TERM);
    let ran = killed.wait(Duration::from_secs(10)).never_mentions("secret");
    assert_eq!((ran.code(), ran.signal()), (None, Some(Signal::TERM.as_raw())));
}

#[test]
fn pgseal_runs_as_anybody_in_a_clean_environment() {
    let sandbox = Sandbox::new();
    let current = Account::current();
    let mut accounts = vec![current.clone(), Account::ordinary()];
    if current.is_root() {
        accounts.extend([Account::server(), Account::numbered(12_345)]);
    }
    for account in accounts {
        let pgseal = Pgseal::new(&sandbox).by(&account).arg("--version");
        assert_eq!(Account::owner_of(&pgseal.work_dir()).uid(), account.uid(), "{}", account.name());
        let ran = pgseal.limit(Duration::from_secs(10)).run().succeeded().says("pgseal ");
        assert_eq!(ran.stderr(), "");
    }
}

#[test]
fn pgseal_is_told_all_that_a_scenario_gives_it() {
    let sandbox = Sandbox::new();
    let pgseal =
        || Pgseal::new(&sandbox).env("NO_COLOR", "1").stdin("input that nobody reads").current_dir("/");
    pgseal().args(["--version"]).start().wait(Duration::from_secs(10)).succeeded();
    let install = Install::of(15);
    let told = format!("--bindir {}", install.bin().display());
    let ran = pgseal().bindir(&install).run().ended(2).complains("--bindir");
    assert!(ran.to_string().contains(&told), "{ran}");
    assert_eq!(shell("echo '{\"port\": 5432}'").wait(Duration::from_secs(10)).json()["port"], 5432);
}

#[test]
fn dice_fall_the_same_for_the_same_seed_and_label_and_reach_every_side() {
    let draw = |label| {
        let mut dice = Dice::new(label);
        (0..200).map(|_| dice.below(6)).collect::<Vec<_>>()
    };
    assert_eq!(draw("a"), draw("a"));
    assert_ne!(draw("a"), draw("b"));
    assert!((0..6).all(|side| draw("a").contains(&side)));
    assert!([1, 2, 3].contains(Dice::new("c").pick(&[1, 2, 3])));
}

#[test]
fn a_port_is_nobody_elses_while_it_is_held() {
    let held: Vec<Port> = (0..50).map(|_| Port::free()).collect();
    let mut numbers: Vec<u16> = held.iter().map(Port::number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 50);
}

fn shell(script: &str) -> Running {
    let mut command = Account::current().command("sh", "/nonexistent".as_ref());
    command.arg("-c").arg(script);
    Running::start(command, b"")
}
