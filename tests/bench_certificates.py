"""Certificates in the benchmark: issuing them beside openssl and certtool, and exchanging them beside restarts.

Knows commands and what a client meets meanwhile; refuses to know how a table is written.
"""

import contextlib
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time

SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])
NAMES = ["localhost", "127.0.0.1", "db1.example.org"]
# From openssl-req(1) and openssl-x509(1): what the guide's readers would type for a CA's leaf.
EXTENSIONS = """basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, IP:127.0.0.1, DNS:db1.example.org
"""
TEMPLATE = """cn = "localhost"
dns_name = "localhost"
ip_address = "127.0.0.1"
dns_name = "db1.example.org"
tls_www_server
signing_key
expiration_days = 365
"""
AUTHORITY_TEMPLATE = """cn = "bench CA"
ca
cert_signing_key
expiration_days = 3650
"""


def issued(pgseal, place, rounds, run, timed):
    """Seconds for one ECDSA key and its certificate: by pgseal, by openssl, by certtool."""
    state = {"PGSEAL_STATE_DIR": str(place / "issued-state")}
    ca = place / "issued-ca"
    run(pgseal, "cert", "ca", "init", ca, more=state)
    theirs = place / "issued-theirs"
    theirs.mkdir()
    (theirs / "extensions").write_text(EXTENSIONS)
    (theirs / "template").write_text(TEMPLATE)
    (theirs / "authority").write_text(AUTHORITY_TEMPLATE)

    def shell(script):
        run("sh", "-ec", f"cd '{theirs}'; {script}")

    shell("certtool --generate-privkey --key-type ecdsa --curve secp256r1 --outfile ca.key; "
          "certtool --generate-self-signed --load-privkey ca.key --template authority --outfile ca.crt")
    sans = [word for name in NAMES for word in ("--san", name)]
    ours, openssl, certtool = [], [], []
    for n in range(rounds):
        out = place / f"issued{n}"
        ours.append(timed(lambda: run(pgseal, "cert", "server", "--ca", ca, *sans, "--out", out, more=state)))
        openssl.append(timed(lambda: shell(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout o.key -out o.csr; "
            "openssl x509 -req -in o.csr -CA ca.crt -CAkey ca.key -days 365 -extfile extensions -out o.crt")))
        certtool.append(timed(lambda: shell(
            "certtool --generate-privkey --key-type ecdsa --curve secp256r1 --outfile c.key; "
            "certtool --generate-certificate --load-privkey c.key --load-ca-certificate ca.crt --load-ca-privkey ca.key "
            "--template template --outfile c.crt")))
    return ours, openssl, certtool


class Storm:
    """Clients that connect one after the other and verify fully, in threads of their own."""

    def __init__(self, port, ca, clients=2):
        self.port, self.tries, self.failures = port, 0, []
        self.context = ssl.create_default_context(cafile=str(ca))
        self.over, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.come, daemon=True) for _ in range(clients)]

    def connect(self):
        with socket.create_connection(("127.0.0.1", self.port), 10) as wire:
            wire.sendall(SSL_REQUEST)
            if wire.recv(1) != b"S":
                raise ConnectionError("no TLS")
            with self.context.wrap_socket(wire, server_hostname="localhost"):
                pass

    def come(self):
        while not self.over.is_set():
            at, failed = time.perf_counter(), False
            try:
                self.connect()
            except (OSError, ssl.SSLError):
                failed = True
            with self.lock:
                self.tries += 1
                if failed:
                    self.failures.append((at, time.perf_counter()))
            if failed:
                time.sleep(0.001)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        while self.tries < 10:
            time.sleep(0.001)
        return self

    def __exit__(self, *_):
        # What was done may still be felt for a moment.
        enough = self.tries + 10
        while self.tries < enough:
            time.sleep(0.001)
        self.over.set()
        for thread in self.threads:
            thread.join(20)

    def dark(self):
        """Seconds from the first failure to the end of the last; 0 where none failed."""
        return max(end for _, end in self.failures) - self.failures[0][0] if self.failures else 0.0


class Met:
    """What clients met in each round of one way to a new certificate."""

    def __init__(self):
        self.seen_ms, self.dark, self.failed, self.tries = [], [], 0, 0

    def round(self, port, ca, work):
        with Storm(port, ca) as storm:
            said = work()
        self.dark.append(storm.dark())
        self.failed += len(storm.failures)
        self.tries += storm.tries
        if said:
            self.seen_ms.append(said["wire"]["seen_after_ms"])


def told(command, more):
    """The JSON that a command of pgseal prints."""
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", **more}
    done = subprocess.run([str(word) for word in command], env=env, cwd="/", stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=120, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: {command} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")
    return json.loads(done.stdout)


def exchanged(pgseal, server, place, rounds, run, restart):
    """`pgseal rotate` and `pg_ctl restart` in turn, on the same server under the same clients."""
    secrets = {"PGSEAL_STATE_DIR": str(place / "exchanged-state"), "PGPASSWORD": server.password}
    ca = place / "exchanged-ca"
    run(pgseal, "secure", server.data, "-U", "admin", "--yes", "--new-ca", ca, more=secrets)
    trusted = ca / "server-ca.crt"
    rotate = [pgseal, "rotate", server.data, "-U", "admin", "--format", "json"]
    rotated, restarted = Met(), Met()
    for _ in range(rounds):
        rotated.round(server.port, trusted, lambda: told(rotate, secrets))
        restarted.round(server.port, trusted, restart)
    return rotated, restarted


def exchanged_in_a_container(pgseal, place, rounds, port, docker):
    """`pgseal rotate` and `docker compose restart` in turn; None where no docker answers."""
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        return None
    more = {**docker, "PGSEAL_STATE_DIR": str(place / "composed-state")}
    folder = place / "composed"
    up = [pgseal, "up", folder, "--engine", "compose", "-p", str(port), "--format", "json"]
    told(up, more)
    trusted = folder / "client" / "ca.crt"
    compose = ["docker", "compose", "--project-directory", str(folder), "-f", str(folder / "compose.yaml")]
    rotated, restarted = Met(), Met()

    def restart():
        subprocess.run([*compose, "restart"], capture_output=True, timeout=120, check=True)

    try:
        for _ in range(rounds):
            rotated.round(port, trusted, lambda: told([pgseal, "rotate", folder, "--format", "json"], more))
            restarted.round(port, trusted, restart)
    finally:
        with contextlib.suppress(OSError):
            subprocess.run([str(pgseal), "down", str(folder), "--remove", "--yes"], env={"PATH": "/usr/bin:/bin", **more},
                           capture_output=True, timeout=120, check=False)
    return rotated, restarted
