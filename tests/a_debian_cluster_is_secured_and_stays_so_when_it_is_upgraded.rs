//! `15/main` as Debian and Ubuntu have it: to TLS only, back to the byte, and through pg_upgradecluster, which copies some
//! files of a cluster and leaves others behind. What would not survive it is found before.

use std::fs;
use std::path::Path;

use crate::harness::{
    Account, Debian, Forge, PASSWORD, Pgseal, Psql, Ran, Schema, all_hold, named_and_gone, record, samples,
    served,
};

const OFF: &[&str] = &["-o", "ssl=off"];

fn root() -> Account {
    Account::current()
}

#[track_caller]
fn is_tls_only(debian: &Debian) {
    debian.psql("verify-full").run("SELECT 1").succeeded();
    debian.psql("disable").run("SELECT 1").ended(2).complains("rejects connection");
}

fn verb(debian: &Debian, verb: &str, cluster: &str, words: &[&str], by: &Account) -> Ran {
    debian.pgseal(by).args([verb, cluster]).args(words).run()
}

#[test]
fn a_cluster_goes_to_tls_only_and_back_to_the_byte() {
    for by in Account::current_and_server() {
        Debian::with_main(OFF, |debian| {
            let before = Debian::kept();
            all_hold(&debian.secure("15/main", &["--enforce", "--format", "json"], &by).run());
            is_tls_only(debian);
            let secured = Debian::kept();
            all_hold(&verb(debian, "verify", "15/main", &["--format", "json"], &by));
            verb(debian, "verify", "cluster:15/main", &[], &by).succeeded();
            verb(debian, "sessions", "15/main", &[], &by).succeeded();
            verb(debian, "secure", "15/main", &["--enforce", "--check"], &by)
                .succeeded()
                .says("nothing to do");
            debian.stop("main");
            debian.start("main");
            is_tls_only(debian);
            assert_eq!(Debian::kept(), secured);
            verb(debian, "undo", "15/main", &["--allow-insecure"], &by).succeeded();
            assert_eq!(Debian::kept(), before);
            debian.psql("disable").run("SELECT 1").succeeded();
            record("a Debian cluster is secured and undone", 1);
        });
    }
}

/// By a reload, proved on the wire; after a start it is served still, and undone the one of before is.
#[test]
fn a_clusters_certificate_is_rotated_and_the_one_of_before_comes_back() {
    for by in Account::current_and_server() {
        Debian::with_main(OFF, |debian| {
            debian.secure("15/main", &["--enforce"], &by).run().succeeded();
            let (before, shown) = (Debian::kept(), served(debian.port()));
            let told = verb(debian, "rotate", "15/main", &["--format", "json"], &by).succeeded().json();
            Schema::of("rotate").admits(&told);
            assert_eq!((&told["state"], &told["proved"]), (&"rotated".into(), &true.into()), "{told:#}");
            assert_eq!(
                (&told["wire"]["failed"], &told["before"]["sha256"]),
                (&0.into(), &shown.as_str().into())
            );
            let rotated = served(debian.port());
            assert_eq!(told["after"]["sha256"], rotated.as_str(), "{told:#}");
            debian.stop("main");
            debian.start("main");
            is_tls_only(debian);
            assert_eq!(served(debian.port()), rotated);
            verb(debian, "undo", "15/main", &[], &by)
                .succeeded()
                .says("the wire shows what it showed before");
            assert_eq!((served(debian.port()), Debian::kept()), (shown, before));
            is_tls_only(debian);
            record("a Debian cluster's certificate is rotated and undone", 1);
        });
    }
}

/// Whoever owns a cluster's configuration names its data directory: of a server that is not theirs root changes nothing.
#[test]
fn a_configuration_leads_root_to_no_other_users_server() {
    Debian::with_main(OFF, |debian| {
        let conf = Path::new("/etc/postgresql/15/main/postgresql.conf");
        Account::ordinary().own(conf);
        let before = Debian::kept();
        for word in ["secure", "verify", "undo", "rotate"] {
            let ran = verb(debian, word, "15/main", &[], &root()).ended(3);
            ran.complains("names a data directory of postgres").complains("chown postgres");
        }
        assert_eq!(Debian::kept(), before);
        Account::server().own(conf);
        debian.secure("15/main", &[], &root()).run().succeeded();
        record("a cluster's configuration leads root to no other user's server", 4);
    });
}

/// With `peer` on the socket root needs no password but for the proof over TLS.
#[test]
fn root_gets_in_as_the_servers_own_user() {
    Debian::with_main(OFF, |debian| {
        let ca = debian.sandbox().home_of(&root()).join("ca");
        let secure = || {
            let pgseal = Pgseal::new(debian.sandbox());
            pgseal.env("PGSEAL_STATE_DIR", debian.sandbox().home_of(&root()).join("journal"))
        };
        secure().args(["secure", "15/main", "--yes", "--new-ca"]).arg(&ca).run().succeeded();
        debian.psql("verify-full").run("SELECT 1").succeeded();
        let ran = secure().args(["secure", "15/main", "--yes", "--enforce"]).run().ended(1);
        ran.complains("wants a login over TLS");
    });
}

/// By dumping and by pg_upgrade: the new cluster is proved with what the old one was given.
#[test]
fn an_upgraded_cluster_stays_proved() {
    for method in ["dump", "upgrade"].into_iter().take(usize::try_from(samples(2)).unwrap()) {
        Debian::with_main(OFF, |debian| {
            debian.secure("15/main", &["--enforce"], &root()).run().succeeded();
            let words = ["-v", "15", "-m", method, "--rename", "next", "15", "main"];
            debian.tool("pg_upgradecluster", &words).succeeded().says("Success");
            is_tls_only(debian);
            all_hold(&verb(debian, "verify", "15/next", &["--format", "json"], &root()));
            verb(debian, "secure", "15/next", &["--enforce", "--check"], &root())
                .succeeded()
                .says("nothing to do");
            // The old one's undo would take the certificate from under it.
            let ran = verb(debian, "undo", "15/main", &["--allow-insecure"], &root()).ended(1);
            ran.complains(
                "removes /var/lib/postgresql/tls-15-main, and cluster 15/next serves with what is in there",
            );
            is_tls_only(debian);
            record("an upgraded Debian cluster stays proved", 1);
        });
    }
}

/// What stood in conf.d, which an upgrade leaves behind, stands in our block, too.
#[test]
fn settings_that_an_upgrade_leaves_behind_are_not_relied_on() {
    Debian::with_main(OFF, |debian| {
        let house = Forge::new("an authority of the house");
        let leaf = house.leaf(&["localhost"]);
        let pem = Path::new("/var/lib/postgresql/house.pem");
        fs::write(pem, leaf.one_pem()).unwrap();
        fs::set_permissions(pem, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Account::server().own(pem);
        let named = "ssl = on\nssl_cert_file = '/var/lib/postgresql/house.pem'\nssl_key_file = '/var/lib/postgresql/house.pem'\n";
        Debian::configure("15/main", "conf.d/tls.conf", named);
        debian.stop("main");
        debian.start("main");
        verb(debian, "secure", "15/main", &["--yes", "--enforce"], &root()).succeeded();
        debian.tool("pg_upgradecluster", &["-v", "15", "--rename", "next", "15", "main"]).succeeded();
        assert!(!Path::new("/etc/postgresql/15/next/conf.d/tls.conf").exists(), "it was left behind");
        let root_file = debian.sandbox().file_of(&root(), "house.crt", 0o644, house.certificate());
        let conninfo = format!(
            "host=localhost port={} user=postgres sslmode=verify-full sslrootcert='{}'",
            debian.port(),
            root_file.display()
        );
        Psql::to(conninfo).env("PGPASSWORD", PASSWORD).run("SELECT 1").succeeded();
        debian.psql("disable").run("SELECT 1").ended(2).complains("rejects connection");
        verb(debian, "secure", "15/next", &["--enforce", "--check"], &root()).succeeded();
    });
}

/// `server.crt` in the data directory, as many guides have it, comes back with an upgrade; a key in the data directory
/// under another name does not come along.
#[test]
fn what_an_upgrade_would_make_of_it_is_found_before() {
    Debian::with_main(OFF, |debian| {
        let house = Forge::new("an authority of the house");
        let leaf = house.leaf(&["localhost"]);
        let put = |name: &str, content: &str| {
            let path = Path::new("/var/lib/postgresql/15/main").join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            Account::server().own(&path);
            path
        };
        let old = [put("server.crt", &leaf.certificate), put("server.key", &leaf.key)];
        debian.secure("15/main", &["--enforce", "--reissue"], &root()).run().succeeded();
        let check =
            || verb(debian, "secure", "15/main", &["--enforce", "--check", "--fail-on", "medium"], &root());
        let doctor = |name: &str| {
            let told = verb(debian, "doctor", "15/main", &["--format", "json"], &root()).json();
            let one = told["findings"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned();
            one.map(|one| one["evidence"].as_str().unwrap().to_owned())
        };
        let brings = doctor("upgrade-brings-back").expect("it is named");
        let ran = check().ended(1).says("upgrade-brings-back");
        let ran = ran.says("/var/lib/postgresql/15/main/server.crt for ssl_cert_file = ");
        ran.says("move it out of the data directory");
        for file in &old {
            fs::remove_file(file).unwrap();
        }
        check().succeeded();
        assert_eq!((doctor("upgrade-brings-back"), doctor("upgrade-leaves-behind")), (None, None));
        named_and_gone("upgrade-brings-back", 15, &brings);

        let own = put("own.pem", &leaf.one_pem());
        let conf = fs::read_to_string("/etc/postgresql/15/main/postgresql.conf").unwrap();
        let named = format!("{conf}\nssl_cert_file = 'own.pem'\nssl_key_file = 'own.pem'\n");
        Debian::configure("15/main", "postgresql.conf", &named);
        debian.tool("pg_ctlcluster", &["15", "main", "reload"]).succeeded();
        check().ended(1).says("upgrade-leaves-behind").says("ssl_cert_file = \"own.pem\"");
        named_and_gone("upgrade-leaves-behind", 15, &doctor("upgrade-leaves-behind").expect("it is named"));

        // What is found is what would happen.
        Debian::configure("15/main", "postgresql.conf", &conf);
        fs::remove_file(own).unwrap();
        put("server.crt", &leaf.certificate);
        put("server.key", &leaf.key);
        debian.tool("pg_upgradecluster", &["-v", "15", "--rename", "next", "15", "main"]);
        let brought = fs::read_to_string("/etc/postgresql/15/next/postgresql.conf").unwrap();
        assert!(brought.contains("ssl_cert_file = '/var/lib/postgresql/15/next/server.crt'"), "{brought}");
    });
}
