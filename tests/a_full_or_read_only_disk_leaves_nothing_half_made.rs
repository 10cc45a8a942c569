//! ENOSPC at any point of `up`, EROFS before the first byte, and a disk that fills up or turns read-only later. In mount
//! namespaces of the tests' own, so that nothing is left mounted whatever happens.

use std::fmt::Write as _;
use std::time::Duration;

use crate::harness::{Account, Dice, Install, Pgseal, Ran, Sandbox, record, samples};

/// A run of a shell script in a namespace in which `/mnt` (it has another name) is a file system of `size` bytes that belongs to the account.
/// In the script `$pgseal` is the binary, and `$@` what `up` is told.
struct Disk {
    account: Account,
    size: u32,
}

impl Disk {
    #[track_caller]
    fn run(&self, script: &str) -> Ran {
        let sandbox = Sandbox::new();
        let mnt = sandbox.dir_of(&self.account, "mnt");
        let mnt = mnt.to_str().unwrap();
        let script = script.replace("/mnt", mnt);
        let mount = format!("mount -t tmpfs -o size={},mode=755,nr_inodes=4000 none {mnt}", self.size);
        let run = if self.account.is_root() {
            format!("exec unshare -m --propagation private sh -c '{mount}; pgseal=$0; {script}' \"$@\"")
        } else {
            // As root of a user namespace it is mounted, and in one within that it is used by the user again.
            let user = self.account.uid();
            let inner = format!("chown {user}:{user} {mnt}; {script}").replace('\'', "'\\''");
            assert!(!inner.contains('\''), "quotes within quotes within quotes");
            format!(
                "exec unshare -U --map-root-user -m sh -c '{mount}; \
                 exec unshare -U --map-user={user} --map-group={user} sh -c \"pgseal=\\$0; $0\" \"$@\"' '{script}' \"$@\""
            )
        };
        let ran = Pgseal::new(&sandbox)
            .by(&self.account)
            .through(run)
            .args(["up", "-p", "0"])
            .bindir(&Install::of(15))
            .arg(format!("{mnt}/sealed"))
            .limit(Duration::from_secs(100))
            .run();
        assert!(sandbox.living().is_empty(), "nothing should run any more: {ran}");
        ran
    }
}

/// What the script printed behind `name=`.
#[track_caller]
fn told<'r>(ran: &'r Ran, name: &str) -> &'r str {
    let mut lines = ran.stdout().lines();
    lines
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("the script should have told {name}:\n{ran}"))
}

const UP: &str = "\"$pgseal\" \"$@\" >/dev/null; echo status=$?; ";
/// What is left; a server that was proved is stopped.
const LEFT: &str = "echo left=$(ls -A /mnt); \"$pgseal\" status /mnt/sealed >/dev/null 2>&1; echo runs=$?; \
                    \"$pgseal\" down /mnt/sealed >/dev/null 2>&1; ";

#[test]
fn a_disk_that_is_full_at_any_point_leaves_nothing_half_made() {
    // kB, and what they are about enough for: our own files; some of initdb; all of initdb; the first start; the database.
    let sizes = [4, 1_000, 20, 30_000, 40, 37_000, 10_000, 39_000, 64, 41_000, 43_000, 45_000];
    let mut dice = Dice::new("full disks");
    let mut sizes = sizes.iter().cycle();
    for account in Account::both() {
        let mut full = 0;
        for _ in 0..samples(60) {
            let size = sizes.next().unwrap() * 1000;
            let disk = Disk { account: account.clone(), size: size + dice.below(size / 20) };
            let ran = disk.run(&format!("{UP}{LEFT}"));
            if told(&ran, "status") == "0" {
                assert_eq!(told(&ran, "runs"), "0", "{ran}");
                continue;
            }
            assert_ne!(told(&ran, "runs"), "0", "what is not proved does not run: {ran}");
            full += 1;
            // A server that was made, but runs full while it is proved, is a failed proof: stopped, and kept for study.
            let kept = told(&ran, "status") == "1";
            let expected = if kept { ["1", "sealed"] } else { ["3", ""] };
            assert_eq!(["status", "left"].map(|name| told(&ran, name)), expected, "{size}: {ran}");
            // disk_full: a file that got some of its bytes has no errno to tell.
            let said = ["No space left on device", "53100", "the disk is full"]
                .iter()
                .any(|words| ran.stderr().contains(words));
            assert!(kept || said, "{size}: {ran}");
            assert!(!ran.stderr().contains("could not all be removed"), "{size}: {ran}");
        }
        assert!(full > 0);
    }
    record("a disk that is full at any point leaves nothing half made", samples(60) * 2);
}

#[test]
fn a_disk_that_fills_up_later_stops_the_start_and_costs_no_data() {
    for account in Account::both() {
        let disk = Disk { account, size: 200 << 20 };
        let mut script = String::from(UP);
        let down = "\"$pgseal\" down /mnt/sealed >/dev/null; echo down=$?; ";
        write!(script, "{down} dd if=/dev/zero of=/mnt/filler bs=64k 2>/dev/null; ").unwrap();
        script.push_str("\"$pgseal\" up /mnt/sealed >/dev/null; echo full=$?; ");
        script.push_str("\"$pgseal\" status /mnt/sealed >/dev/null; echo state=$?; ");
        script.push_str("rm /mnt/filler; \"$pgseal\" up /mnt/sealed >/dev/null; echo again=$?; ");
        script.push_str("\"$pgseal\" down /mnt/sealed --remove --yes >/dev/null; echo removed=$?; ");
        script.push_str(LEFT);
        let ran = disk.run(&script);
        let seen =
            ["status", "down", "full", "state", "again", "removed", "left"].map(|name| told(&ran, name));
        assert_eq!(seen, ["0", "0", "3", "1", "0", "0", ""], "{ran}");
        assert!(ran.stderr().contains("No space left on device"), "{ran}");
    }
}

#[test]
fn a_read_only_disk_is_said_to_be_so_and_a_sealed_folder_on_it_can_be_looked_at() {
    for account in Account::both() {
        // An ordinary user cannot make a file system read-only: the tests' own root does, before and after.
        let disk = Disk { account: account.clone(), size: 200 << 20 };
        if account.is_root() {
            let mut script = String::from("mount -o remount,ro /mnt; ");
            script.push_str(&UP.replace("status", "new"));
            script.push_str("mount -o remount,rw /mnt; ");
            script.push_str(UP);
            script.push_str("\"$pgseal\" down /mnt/sealed >/dev/null; mount -o remount,ro /mnt; ");
            script.push_str("\"$pgseal\" up /mnt/sealed >/dev/null; echo again=$?; ");
            script.push_str("\"$pgseal\" status /mnt/sealed >/dev/null; echo state=$?; ");
            script.push_str("\"$pgseal\" down /mnt/sealed --remove --yes >/dev/null; echo removed=$?; ");
            script
                .push_str("echo kept=$(ls /mnt/sealed/data/PG_VERSION /mnt/sealed/ca/server-ca.key | wc -l)");
            let ran = disk.run(&script);
            let seen = ["new", "status", "again", "state", "removed", "kept"].map(|name| told(&ran, name));
            assert_eq!(seen, ["3", "0", "3", "1", "3", "2"], "{ran}");
            assert!(ran.stderr().contains("/mnt/sealed: Read-only file system"), "{ran}");
        } else {
            // What is read-only for everybody anyway.
            let sandbox = Sandbox::new();
            let ran = Pgseal::new(&sandbox)
                .by(&account)
                .args(["up", "/proc/sealed", "-p", "0"])
                .bindir(&Install::of(15));
            ran.run().ended(3).complains("could not make the folder /proc/sealed");
        }
    }
}
