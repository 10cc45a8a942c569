//! Programs read pgseal's JSON by docs/schema/. Every verb prints what its schema says, in every state, and nothing that is
//! not documented there.

use serde_json::{Value, json};

use crate::harness::{Account, Composed, Forge, Install, Pgseal, Ran, Sandbox, Schema, Sealed, record};

#[track_caller]
fn admitted(verb: &str, ran: &Ran) -> Value {
    let value = ran.json();
    Schema::of(verb).admits(&value);
    assert_eq!(value["schema_version"], 1);
    record("what is printed as JSON is what its schema says", 1);
    value
}

#[test]
fn every_verb_prints_what_its_schema_says_in_every_state() {
    let server = Sealed::of(15);
    let run = |args: &[&str]| server.pgseal().args(args).args(["--format", "json"]).run();
    Schema::of("up").admits(server.made());
    assert_eq!(admitted("up", &server.up())["state"], "running");
    assert_eq!(admitted("status", &run(&["status", "sealed"]))["state"], "running");
    admitted("verify", &run(&["verify", "sealed"]));
    let place = format!("localhost:{}", server.port());
    let shown = admitted("cert-show", &run(&["cert", "show", &place]));
    assert!(shown["negotiated"].as_str().is_some_and(|text| text.starts_with("TLSv1.3 ")), "{shown}");
    assert_eq!(shown["certificates"].as_array().map(Vec::len), Some(1));
    let file = admitted("cert-show", &run(&["cert", "show", "sealed/ca/server.crt"]));
    assert_eq!(file["certificates"], shown["certificates"], "the file and the wire");
    assert_eq!(file["negotiated"], Value::Null);

    // Claims that do not hold, that could not be told, and that are left out.
    let uri = server.uri("admin", "mydb") + "&hostaddr=127.0.0.1";
    let told = admitted("verify", &run(&["verify", &uri]));
    assert!(told["left_out"].as_array().is_some_and(|left_out| left_out.len() == 3), "{told}");
    server.prepend_hba("host all all all trust");
    server.reload();
    assert_eq!(admitted("verify", &run(&["verify", "sealed"]))["proved"], false);
    assert_eq!(admitted("up", &server.up())["proved"], false);

    assert!(admitted("down", &run(&["down", "sealed"]))["stopped_pid"].is_u64());
    let stopped = admitted("status", &run(&["status", "sealed"]));
    assert_eq!((&stopped["state"], &stopped["pid"]), (&json!("stopped"), &Value::Null));
    assert_eq!(admitted("down", &run(&["down", "sealed"]))["stopped_pid"], Value::Null);
    assert_eq!(admitted("up", &server.up())["state"], "started");
    let removed = admitted("down", &run(&["down", "sealed", "--remove", "--yes"]));
    assert_eq!(removed["removed"], true);
    assert!(!server.dir().exists());
}

#[test]
fn what_is_said_of_a_container_is_what_the_schemas_say() {
    let composed = Composed::new(2, &Account::current());
    let run = |verb: &str, words: &[&str]| composed.verb(verb, words).args(["--format", "json"]).run();
    let planned = admitted("up-plan", &composed.up(&["--dry-run", "--format", "json"]).run());
    assert_eq!(planned["engine"], "compose");
    assert!(!composed.dir().exists());
    let made = admitted("up", &composed.up(&["--format", "json"]).run());
    assert_eq!(
        (&made["engine"], &made["pid"], &made["log_file"]),
        (&json!("compose"), &Value::Null, &Value::Null)
    );
    let seen = admitted("status", &run("status", &[]));
    assert_eq!(seen["container"], made["container"]);
    assert_eq!(admitted("down", &run("down", &[]))["stopped_container"], made["container"]);
    assert_eq!(admitted("status", &run("status", &[]))["state"], "stopped");
    assert_eq!(admitted("up-plan", &run("up", &["--dry-run"]))["files"], json!([]));
    assert_eq!(admitted("down", &run("down", &["--remove", "--yes"]))["removed"], true);
    let native = composed.pgseal().args(["up", composed.name(), "-p", "0", "--dry-run", "--format", "json"]);
    let planned = admitted("up-plan", &native.bindir(&Install::of(15)).run());
    assert_eq!(planned["engine"], "native");
    assert!(!composed.dir().exists());
}

#[test]
fn json_is_one_object_alone_and_its_words_are_where_they_belong() {
    let server = Sealed::of(18);
    let up = server.up().succeeded();
    assert!(up.stdout().starts_with("{\n") && up.stdout().ends_with("}\n"), "{up}");
    let made = up.json();
    for path in ["dir", "ca_file", "passfile", "service_file", "log_file", "bindir"] {
        let path = std::path::Path::new(made[path].as_str().unwrap());
        assert!(path.is_absolute() && path.exists(), "{}", path.display());
    }
    // A failure is no JSON: it is said on stderr, and the result stays empty.
    let sandbox = Sandbox::new();
    let failed = Pgseal::new(&sandbox).args(["status", "nowhere", "--format", "json"]).run().ended(3);
    assert!(failed.stdout().is_empty() && failed.stderr().starts_with("pgseal: "), "{failed}");
}

#[test]
fn a_bundle_of_many_is_shown_in_its_order_and_the_key_is_passed_over() {
    let sandbox = Sandbox::new();
    let ours = Forge::new("ours");
    let leaf = ours.leaf(&["db.example.org", "10.0.0.5", "::1"]);
    let bundle = format!("some words\n{}{}{}", leaf.certificate, leaf.key, ours.certificate());
    let file = sandbox.file_of(&Account::current(), "bundle.pem", 0o600, &bundle);
    let ran = Pgseal::new(&sandbox).args(["cert", "show", "--format", "json"]).arg(&file).run().succeeded();
    let key: &str = leaf.key.lines().nth(1).unwrap();
    let shown = admitted("cert-show", &ran.never_mentions(key));
    let [leaf, root] = shown["certificates"].as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert_eq!(leaf["dns_names"], json!(["db.example.org"]));
    assert_eq!(leaf["ip_addresses"], json!(["10.0.0.5", "::1"]));
    assert_eq!(
        (&leaf["is_ca"], &leaf["version"], &leaf["self_signed"]),
        (&json!(false), &json!(3), &json!(false))
    );
    assert_eq!(leaf["days_left"], 364);
    assert_eq!((&root["is_ca"], &root["self_signed"]), (&json!(true), &json!(true)));
    assert_eq!((&root["subject"], &leaf["issuer"]), (&json!("CN=ours"), &json!("CN=ours")));
}

/// The validator is the tests' own: it must be able to say no.
#[test]
fn a_schema_refuses_what_is_not_so() {
    let schema = Schema::from(json!({
        "type": "object",
        "required": ["a", "list"],
        "properties": {
            "a": {"type": ["integer", "null"], "minimum": 1, "maximum": 3},
            "b": {"enum": ["x", "y"]},
            "c": {"const": 1},
            "list": {"type": "array", "items": {"$ref": "#/$defs/text"}},
        },
        "$defs": {"text": {"type": "string"}},
    }));
    schema.admits(&json!({"a": null, "list": []}));
    schema.admits(&json!({"a": 3, "b": "y", "c": 1, "list": ["t"]}));
    for (bad, fault) in [
        (json!([]), "$ is no \"object\""),
        (json!({"a": 1}), "$ lacks list"),
        (json!({"a": 0, "list": []}), "$.a is below 1"),
        (json!({"a": 4, "list": []}), "$.a is above 3"),
        (json!({"a": 1.5, "list": []}), "$.a is no [\"integer\",\"null\"]"),
        (json!({"a": 1, "b": "z", "list": []}), "$.b is none of [\"x\",\"y\"]"),
        (json!({"a": 1, "c": 2, "list": []}), "$.c is not 1"),
        (json!({"a": 1, "list": ["t", 2]}), "$.list[1] is no \"string\""),
        (json!({"a": 1, "list": [], "d": 1}), "$.d is not documented"),
    ] {
        assert!(schema.faults(&bad).iter().any(|found| found == fault), "{bad}: {:?}", schema.faults(&bad));
    }
}
