"""Measures a release build of pgseal and writes docs/benchmarks.md: bench.py PGSEAL ROUNDS PROOF.TSV.

The rounds of what is compared are interleaved, so that a busy moment of the machine meets both; medians are told.
"""

import os
import pathlib
import pwd
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import bench_certificates
import bench_doctor
import bench_scan

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
PASSWORD = "correct horse"
# What a promise of the design allows.
UP_FACTOR, START_MS, SIZE_MB, SEEN_MS, DOCTOR_S = 1.25, 5, 12, 50, 0.5
ROTATE = "`pgseal rotate`"
# A file of so many rules is proved in so many milliseconds.
PROOF_MS = {10_000: 50, 100_000: 1000}


class Account:
    """Whom servers run as: user postgres when we are root, ourselves otherwise."""

    def __init__(self):
        self.entry = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())

    def run(self, *command, **options):
        if os.geteuid() == 0:
            options.update(user=self.entry.pw_uid, group=self.entry.pw_gid, extra_groups=[])
        run(*command, **options)

    def own(self, path):
        os.chown(path, self.entry.pw_uid, self.entry.pw_gid)


def run(*command, more=None, **options):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **(more or {})}
    log = subprocess.PIPE
    done = subprocess.run([str(word) for word in command], env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=log,
                          stderr=subprocess.STDOUT, timeout=120, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"bench: {command} ended with {done.returncode}:\n{done.stdout.decode(errors='replace')}")


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def by_hand(place, account):
    """initdb --pwfile, pg_ctl -w start, CREATE DATABASE; returns the seconds that it took."""
    place.mkdir()
    account.own(place)
    pwfile, data, port = place / "pwfile", place / "data", free_port()
    pwfile.write_text(PASSWORD)
    pwfile.chmod(0o600)
    account.own(pwfile)

    def work():
        account.run(BIN / "initdb", "-D", data, "-U", "admin", "--pwfile", pwfile, "--auth-local=trust",
                    "--auth-host=scram-sha-256", "--encoding=UTF8")
        account.run(BIN / "pg_ctl", "-w", "-s", "-D", data, "-l", place / "log", "-o", f"-p {port} -k {place}", "start")
        account.run(BIN / "psql", "-X", "-q", "-h", place, "-p", port, "-U", "admin", "-d", "postgres", "-c",
                    "CREATE DATABASE mydb")

    seconds = timed(work)
    account.run(BIN / "pg_ctl", "-w", "-s", "-D", data, "-m", "fast", "stop")
    return seconds


def sealed(pgseal, place):
    """pgseal up; returns the seconds that it took."""
    seconds = timed(lambda: run(pgseal, "up", place, "-p", "0", "-U", "admin", "-d", "mydb", "--bindir", BIN))
    run(pgseal, "down", place, "--remove", "--yes")
    return seconds


class Plain:
    """A server as people have it: ssl off, idle, a superuser with a password."""

    def __init__(self, place, account):
        place.mkdir()
        account.own(place)
        self.data, self.port, self.account = place / "data", free_port(), account
        self.place, self.password, self.bin = place, PASSWORD, BIN
        pwfile = place / "pwfile"
        pwfile.write_text(PASSWORD)
        account.own(pwfile)
        account.run(BIN / "initdb", "-D", self.data, "-U", "admin", "--pwfile", pwfile, "--auth-local=scram-sha-256",
                    "--auth-host=scram-sha-256", "--encoding=UTF8")
        conf = self.data / "postgresql.conf"
        conf.write_text(conf.read_text() + f"port = {self.port}\nunix_socket_directories = '{place}'\n")
        self.control("start")

    def answer(self):
        """What the server says to SSLRequest."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as wire:
            wire.sendall(bytes([0, 0, 0, 8, 4, 210, 22, 47]))
            return wire.recv(1)

    def reload_until(self, answer):
        """SIGHUP, and a look at the wire again and again until it answers so."""
        os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), signal.SIGHUP)
        end = time.perf_counter() + 20
        while self.answer() != answer:
            if time.perf_counter() > end:
                sys.exit("bench: a reload did not reach the wire")

    def control(self, *words):
        self.account.run(BIN / "pg_ctl", "-w", "-s", "-D", self.data, "-l", self.place / "log", *words)

    def stop(self):
        self.control("-m", "fast", "stop")


def secured(pgseal, place, account, rounds):
    """Seconds from command to proved, for TLS and then for TLS only, and those of a bare reload that turns TLS on."""
    server = Plain(place / "plain", account)
    secrets = {"PGSEAL_STATE_DIR": str(place / "state"), "PGPASSWORD": PASSWORD}
    command = [pgseal, "secure", server.data, "-U", "admin", "--yes"]
    run(*command, "--new-ca", place / "ca", more=secrets)
    conf = server.data / "postgresql.conf"
    sealed_conf = conf.read_text()
    tls, only, bare = [], [], []
    for _ in range(rounds):
        # The same certificate and settings, and nothing looked at but the one byte.
        conf.write_text(sealed_conf + "ssl = off\n")
        server.reload_until(b"N")
        conf.write_text(sealed_conf)
        bare.append(timed(lambda: server.reload_until(b"S")))
        run(pgseal, "undo", server.data, "--allow-insecure", more=secrets)
        tls.append(timed(lambda: run(*command, "--ca", place / "ca", more=secrets)))
        only.append(timed(lambda: run(*command, "--enforce", more=secrets)))
        run(pgseal, "undo", server.data, "--allow-insecure", more=secrets)
        sealed_conf = conf.read_text()
    server.stop()
    return tls, only, bare


def certificates(pgseal, place, account, rounds):
    """Issuing beside openssl and certtool; exchanging beside restarts, each way in turn under the same clients."""
    issued = bench_certificates.issued(pgseal, place, rounds, run, timed)
    server = Plain(place / "exchanged", account)
    native = bench_certificates.exchanged(pgseal, server, place, rounds, run, lambda: server.control("restart"))
    server.stop()
    docker = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
    composed = bench_certificates.exchanged_in_a_container(pgseal, place, rounds, free_port(), docker)
    return issued, native, composed


def looks(pgseal, place, account, rounds):
    """A doctor of a healthy server, and its sessions."""
    server = Plain(place / "looked", account)
    try:
        return bench_doctor.looked(pgseal, server, place, rounds, run, timed)
    finally:
        server.control("-m", "immediate", "stop")


def exchange_rows(met, command, restart):
    """What clients met in either way to a new certificate."""
    rotated, restarted = met
    return [
        (f"{command}: from the rename to the first new certificate", spread(rotated.seen_ms, "ms", 0),
         f"at most {SEEN_MS} ms" if command == ROTATE else ""),
        (f"{command}: new connections that failed meanwhile", f"{rotated.failed} of {rotated.tries}", "0"),
        (f"{restart}: nobody gets in for", spread(restarted.dark, "s", 2), ""),
        (f"{restart}: new connections that failed meanwhile", f"{restarted.failed} of {restarted.tries}", ""),
    ]


def certificate_rows(issued, native, composed):
    names = ["`pgseal cert server`, key and chain written", "`openssl req` and `openssl x509`, the same", "`certtool`, the same"]
    rows = [(name, spread([1000 * each for each in seconds], "ms", 0), "")
            for name, seconds in zip(names, issued, strict=True)]
    rows += exchange_rows(native, ROTATE, "`pg_ctl restart`")
    if composed is None:
        return [*rows, ("the same beside `docker compose restart`", "no docker answered", "")]
    return rows + exchange_rows(composed, f"{ROTATE} in a container", "`docker compose restart`")


def peak_kb(*command):
    """The most memory that the process itself held (VmHWM), sampled until its end."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    process = subprocess.Popen([str(word) for word in command], env=env, cwd="/", stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen = [0]

    def watch():
        while process.poll() is None:
            try:
                for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        seen[0] = max(seen[0], int(line.split()[1]))
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    watcher.join(120)
    if process.wait(1) != 0:
        sys.exit(f"bench: {command} ended with {process.returncode}")
    return seen[0]


def start_up_ms(*command):
    return 1000 * timed(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine


def say(command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


def spread(values, unit, digits):
    return f"{statistics.median(values):.{digits}f} {unit} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def read_proofs(path):
    """Family, rules, milliseconds to read, milliseconds to prove, verdict: a line each."""
    fields = [line.split("\t") for line in path.read_text().splitlines()]
    return [(name, int(rules), float(reading), float(proving), verdict) for name, rules, reading, proving, verdict in fields]


def proof_promise(rules):
    """The larger sizes vary a little: each is held to the promise of the size that it comes nearest to."""
    return PROOF_MS[min(PROOF_MS, key=lambda size: abs(size - rules))]


def proof_section(proofs):
    return [
        "## The plaintext proof",
        "",
        "The whole file at once, in memory: reading it, then proving. No tool to compare with: none does it.",
        "",
        "| rules | how they lie | read | proved | verdict | promised |",
        "|---:|---|---:|---:|---|---|",
        *(f"| {rules} | {name} | {reading:.1f} ms | {proving:.1f} ms | {verdict} | under {proof_promise(rules)} ms |"
          for name, rules, reading, proving, verdict in proofs),
    ]


def main():
    pgseal, rounds = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2])
    proofs = read_proofs(pathlib.Path(sys.argv[3]))
    account = Account()
    with tempfile.TemporaryDirectory(prefix="pgseal-bench.", dir="/tmp") as place:
        place = pathlib.Path(place)
        place.chmod(0o755)
        hand, ours = [], []
        for n in range(rounds):
            hand.append(by_hand(place / f"hand{n}", account))
            ours.append(sealed(pgseal, place / f"sealed{n}"))
        run(pgseal, "up", place / "kept", "-p", "0", "--bindir", BIN)
        verify_kb = peak_kb(pgseal, "verify", place / "kept")
        run(pgseal, "down", place / "kept", "--remove", "--yes")
        up_kb = peak_kb(pgseal, "up", place / "kept", "-p", "0", "--bindir", BIN)
        run(pgseal, "down", place / "kept", "--remove", "--yes")

        tls, only, bare = secured(pgseal, place, account, rounds)
        issued, native, composed = certificates(pgseal, place, account, rounds)
        healthy, listing, listed = looks(pgseal, place, account, rounds)

    idle, version = [], []
    for _ in range(200):
        idle.append(start_up_ms("/bin/true"))
        version.append(start_up_ms(pgseal, "--version"))
    over = statistics.median(version) - statistics.median(idle)
    factor = statistics.median(ours) / statistics.median(hand)
    size_mb = pgseal.stat().st_size / 1e6

    rows = [
        ("`pgseal up`, proof included", spread(ours, "s", 2), ""),
        ("`initdb --pwfile`, `pg_ctl -w start`, `CREATE DATABASE`", spread(hand, "s", 2), ""),
        ("the one over the other", f"{factor:.2f}", f"at most {UP_FACTOR}"),
        ("`pgseal secure` of an idle server, from command to proved", spread(tls, "s", 3), ""),
        ("`pgseal secure --enforce` after it", spread(only, "s", 3), ""),
        ("a bare reload that turns TLS on, until the wire answers `S`", spread([1000 * each for each in bare], "ms", 1), ""),
        *certificate_rows(issued, native, composed),
        ("`pgseal doctor` of a healthy local server", spread(healthy, "s", 2), f"under {DOCTOR_S} s"),
        (f"`pgseal sessions` with {listed} connections", spread(listing, "s", 2), ""),
        ("`pgseal --version`, over `/bin/true`", f"{over:.2f} ms", f"under {START_MS} ms"),
        ("size of the stripped binary", f"{size_mb:.1f} MB", f"under {SIZE_MB} MB"),
        ("peak memory of `pgseal up`", f"{up_kb / 1000:.1f} MB", ""),
        ("peak memory of `pgseal verify`", f"{verify_kb / 1000:.1f} MB", ""),
    ]
    text = "\n".join([
        "# Benchmarks",
        "",
        "Written by `make bench`. Medians, with the fastest and slowest round in brackets; rounds are interleaved.",
        "",
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {say(['git', 'rev-parse', '--short', 'HEAD'])}, "
        f"PostgreSQL {say([BIN / 'postgres', '--version']).split()[2]}, "
        f"{os.cpu_count()} processors ({processor()}), {rounds} rounds, as {'root' if os.geteuid() == 0 else 'an ordinary user'}.",
        "",
        "| what | measured | promised |",
        "|---|---:|---|",
        *(f"| {what} | {measured} | {promised} |" for what, measured, promised in rows),
        "",
        *proof_section(proofs),
        "",
        *bench_scan.section(pgseal, rounds),
        "",
    ])
    print(text)
    out = pathlib.Path("docs/benchmarks.md")
    out.parent.mkdir(exist_ok=True)
    out.write_text(text)
    slow = [name for name, rules, _, proving, _ in proofs if proving >= proof_promise(rules)]
    if slow:
        print(f"bench: slower than promised: {slow}")
    failed = native[0].failed + (composed[0].failed if composed else 0)
    late = statistics.median(native[0].seen_ms) > SEEN_MS
    ill = statistics.median(healthy) >= DOCTOR_S
    if failed or late or ill or factor > UP_FACTOR or over >= START_MS or size_mb >= SIZE_MB or slow:
        sys.exit("bench: a promise is not kept")


main()
