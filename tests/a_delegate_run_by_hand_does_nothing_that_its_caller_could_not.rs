//! `pgseal --as-delegate` is how root acts in the server user's name. Run by hand it is told the same things by anybody: it
//! rejects what is no message, grows no larger than a message may be, and never becomes more than its caller.

use std::fs;
use std::time::Duration;

use crate::harness::{Account, Dice, Pgseal, Ran, Sandbox, record, samples};

/// A frame: two lengths of four bytes, JSON, payload.
fn frame(json: &str, payload: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    [&length(json.len())[..], &length(payload.len()), json.as_bytes(), payload].concat()
}

fn greeting(account: &Account) -> Vec<u8> {
    let uid = account.uid();
    frame(&format!("{{\"uid\":{uid},\"gid\":{uid},\"groups\":[{uid}]}}"), b"")
}

/// Its input stays open for a moment, so that it answers; then it ends with its caller.
fn delegate(sandbox: &Sandbox, account: &Account, input: impl Into<Vec<u8>>) -> Ran {
    // Not the leader of its group, as when pgseal starts it; and with 400 MB of addresses at most.
    let script = "ulimit -v 400000; (cat; sleep 0.1) | { \"$@\"; echo \" status=$?\"; }";
    let run = Pgseal::new(sandbox).by(account).through(script).arg("--as-delegate").stdin(input);
    let ran = run.limit(Duration::from_secs(30)).run();
    assert!(!ran.stderr().contains("panicked"), "{ran}");
    ran
}

fn status(ran: &Ran) -> i32 {
    let end = ran.stdout().rsplit("status=").next().unwrap_or_default();
    end.trim().parse().unwrap_or_else(|_| panic!("it should have told its status: {ran}"))
}

#[test]
fn what_is_no_message_is_rejected_without_a_word() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = frame(&format!("{{\"uid\":1,\"gid\":1,\"groups\":[{}1]}}", "1,".repeat(3 << 20)), b"");
    let inputs: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("half a head", vec![0, 0, 0]),
        ("a head alone", vec![0, 0, 0, 9, 0, 0, 0, 0]),
        ("half a message", greeting(&Account::ordinary())[..12].to_vec()),
        ("text", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("zeros", vec![0; 64]),
        ("a giant", vec![0xff; 64]),
        ("a giant payload", [&[0, 0, 0, 2, 0x7f, 0xff, 0xff, 0xff][..], b"{}"].concat()),
        ("16 MiB that never come", vec![1, 0, 0, 0, 1, 0, 0, 0]),
        ("no JSON", frame("uid=0", b"")),
        ("another JSON", frame("{\"user\":\"root\"}", b"")),
        ("a negative uid", frame("{\"uid\":-1,\"gid\":0,\"groups\":[]}", b"")),
        ("a uid too large", frame("{\"uid\":4294967296,\"gid\":0,\"groups\":[]}", b"")),
        ("deep", frame(&deep, b"")),
        ("many groups", huge),
    ];
    for account in Account::both() {
        let sandbox = Sandbox::new();
        for (what, input) in &inputs {
            let ran = delegate(&sandbox, &account, input.clone());
            assert!(matches!(status(&ran), 1 | 2), "{what}: {ran}");
            assert!(ran.stderr().is_empty(), "{what}: {ran}");
        }
    }
}

#[test]
fn nobody_becomes_somebody_else_by_it() {
    let sandbox = Sandbox::new();
    let ordinary = Account::ordinary();
    let canary = sandbox.file_of(&Account::current(), "canary", 0o600, "canary-5512\n");
    let read =
        frame(&format!("{{\"Read\":{{\"path\":{:?},\"limit\":1000}}}}", canary.to_str().unwrap()), b"");
    let mut others = vec![Account::named("root"), Account::named("daemon")];
    others.retain(|other| *other != ordinary);
    for other in others {
        let ran = delegate(&sandbox, &ordinary, [greeting(&other), read.clone()].concat());
        assert_eq!(status(&ran), 1, "{ran}");
        assert!(ran.stdout().contains("Operation not permitted"), "{ran}");
        assert!(!ran.stdout().contains("canary-5512"), "{ran}");
    }
    // As oneself it reads what one may read.
    let ran = delegate(&sandbox, &ordinary, [greeting(&ordinary), read].concat());
    if Account::current() == ordinary {
        assert!(ran.stdout().contains("canary-5512"), "{ran}");
    } else {
        assert!(ran.stdout().contains("Permission denied") && !ran.stdout().contains("canary-5512"), "{ran}");
    }
}

#[test]
fn what_comes_after_the_greeting_is_checked_as_well() {
    let sandbox = Sandbox::new();
    let account = Account::ordinary();
    let dir = sandbox.dir_of(&account, "dir");
    let file = sandbox.file_of(&account, "dir/precious", 0o600, "precious\n");
    let named = |request: &str| request.replace("DIR", dir.to_str().unwrap());
    for (request, answer) in [
        ("{\"Erase\":{\"folder\":\"DIR\"}}", None),
        ("{\"Empty\":{\"folder\":7}}", None),
        ("\"Empty\"", None),
        ("[]", None),
        ("{\"Read\":{\"path\":\"DIR\",\"limit\":10}}", Some("not a regular file")),
        ("{\"Read\":{\"path\":\"DIR/precious\",\"limit\":3}}", Some("larger than 3 bytes")),
        ("{\"Read\":{\"path\":\"DIR/absent\",\"limit\":18446744073709551615}}", Some("No such file")),
        ("{\"Create\":{\"path\":\"DIR/precious\",\"mode\":384}}", Some("File exists")),
        ("{\"Replace\":{\"path\":\"/\",\"mode\":384}}", Some("names no file")),
        ("{\"Run\":{\"program\":\"/nonexistent\",\"arguments\":[],\"folder\":\"/\"}}", Some("No such file")),
        ("{\"StopServer\":{\"data\":\"DIR\",\"seconds\":1}}", Some("NothingRan")),
        ("{\"FindServer\":{\"data\":\"DIR/precious\"}}", Some("Not a directory")),
        ("{\"TryListen\":{\"addresses\":[]}}", Some("Listened")),
    ] {
        let ran = delegate(&sandbox, &account, [greeting(&account), frame(&named(request), b"")].concat());
        match answer {
            Some(words) => assert!(ran.stdout().contains(words), "{request}: {ran}"),
            None => assert_ne!(status(&ran), 0, "{request}: {ran}"),
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious\n");
    }
}

#[test]
fn noise_ends_it_quickly_and_quietly() {
    let sandbox = Sandbox::new();
    let account = Account::ordinary();
    let mut dice = Dice::new("noise for a delegate");
    for _ in 0..samples(300) {
        let mut input = greeting(&account);
        if dice.below(2) == 0 {
            input.extend(frame("{\"TryListen\":{\"addresses\":[\"127.0.0.1:0\"]}}", b"payload"));
        }
        // Some bytes changed, and cut off somewhere. No request that could do anything is among what it starts from.
        for _ in 0..=dice.below(8) {
            let at = dice.below(u32::try_from(input.len()).unwrap());
            input[at as usize] = u8::try_from(dice.below(256)).unwrap();
        }
        let keep = dice.below(u32::try_from(input.len()).unwrap() + 1);
        input.truncate(keep as usize);
        let ran = delegate(&sandbox, &account, input);
        // Ended by itself, or with its caller by the signal that it sends itself.
        assert!(matches!(status(&ran), 0..=2 | 137), "{ran}");
        assert!(ran.took() < Duration::from_secs(20), "{ran}");
    }
    record("noise ends a delegate quickly and quietly", samples(300));
}
