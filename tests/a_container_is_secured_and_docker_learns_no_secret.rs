//! Neither the words nor the environment of any call of docker's client hold a password or a key: every user of the
//! machine can read the one, and every program of the person's the other.

use crate::harness::{APP_PASSWORD, Contained, PASSWORD, Spy, images_in_turn, record};

#[test]
fn no_call_of_dockers_client_has_one() {
    for image in images_in_turn(0) {
        let contained = Contained::of(&image);
        let spy = Spy::new(contained.sandbox());
        let there = || contained.secure(&["--enforce"]);
        let commands: [(&str, Box<dyn Fn() -> _>); 5] = [
            ("secure", Box::new(there)),
            ("verify", Box::new(|| contained.verb("verify", &[]))),
            ("sessions", Box::new(|| contained.verb("sessions", &[]))),
            ("history", Box::new(|| contained.verb("history", &[]))),
            ("undo", Box::new(|| contained.verb("undo", &["--allow-insecure"]))),
        ];
        for (verb, command) in commands {
            // What libpq would take from there, too.
            let command = command().env("PGSSLPASSWORD", PASSWORD).env("PGOPTIONS", "-c work_mem=5MB");
            spy.watches(command).run().succeeded().never_mentions(PASSWORD);
            let calls = spy.calls();
            assert!(calls.len() > 2, "{image}: {verb} calls docker: {calls:?}");
            for call in &calls {
                for word in call.words.iter().chain(&call.environment) {
                    let secret = [PASSWORD, APP_PASSWORD, "PRIVATE KEY", "SCRAM-SHA-256$"];
                    let found = secret.into_iter().find(|secret| word.contains(secret));
                    assert_eq!(found, None, "{image}: {verb}, call {}", call.number);
                }
                let of_libpq = call.environment.iter().find(|entry| entry.starts_with("PG"));
                assert_eq!(of_libpq, None, "{image}: {verb}, call {}", call.number);
                let led = call.environment.iter().any(|entry| entry.starts_with("DOCKER_HOST="));
                assert!(led, "what leads to the daemon goes on: {:?}", call.environment);
            }
            record("calls of docker's client without a secret", u32::try_from(calls.len()).unwrap_or(0));
        }
    }
}
