"""Measures `pgseal scan` beside sslscan, nmap, sslyze and testssl: bench_scan.py PGSEAL ROUNDS prints the section of
docs/benchmarks.md; bench.py has it written there.

Wall, processor and memory are of the scanner's own process, connections are those that the server has logged. The same
server meets all of them, their rounds interleaved. A peer that is not here is said to be absent.
"""

import os
import pathlib
import pwd
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
# Addresses of the loopback where a server and the proxy before it may have PostgreSQL's own port.
HERE, THERE, USUAL_PORT = "127.4.0.1", "127.4.0.2", 5432
# One way, of a round trip of 20 ms.
DELAY_S = 0.010
SERVERS, FLEET = 20, 1000
# What is to be reached on a healthy server with an ECDSA certificate.
CONNECTIONS, QUICK_CONNECTIONS, MEMORY_MB, FLEET_MEMORY_MB = 40, 6, 30, 150
FASTER = {"sslscan": 3, "sslyze": 10, "testssl": 300}
FASTER_AFAR = {"sslscan": 15}

# How each is told of a server, and where it is had.
PEERS = {
    "sslscan": (["sslscan", "--starttls-psql", "--no-colour", "{host}:{port}"], "apt: sslscan"),
    "nmap": (["nmap", "-n", "-Pn", "-p", "{port}", "--script", "ssl-enum-ciphers,ssl-cert", "{host}"], "apt: nmap"),
    "sslyze": (["sslyze", "--starttls", "postgres", "{host}:{port}"], "pip: sslyze"),
    "testssl": (["testssl", "-t", "postgres", "--warnings", "off", "--color", "0", "{host}:{port}"], "apt: testssl.sh"),
}
# Minutes a round: once is enough.
SLOW = {"testssl"}


class Server:
    """A PostgreSQL that speaks TLS and logs who comes, made from `template` where there is one."""

    def __init__(self, place, template=None, conf="", port=None):
        self.place, self.data, self.port = place, place / "data", port or free_port()
        place.mkdir()
        if template is None:
            own(place)
            account("initdb", "-D", self.data, "-A", "trust", "-U", "admin", "--no-sync")
            account_shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=localhost "
                          f"-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {self.data}/server.key "
                          f"-out {self.data}/server.crt && chmod 600 {self.data}/server.key")
            (self.data / "pg_hba.conf").write_text("local all all trust\nhostssl all all all scram-sha-256\n")
        else:
            own(place)
            subprocess.run(["cp", "-a", template.data, self.data], check=True)
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {self.port}\nunix_socket_directories = '{place}'\nssl = on\nlog_connections = on\n"
                           f"fsync = off\nshared_buffers = 16MB\n{conf}\n")

    def start(self):
        account("pg_ctl", "-w", "-s", "-D", self.data, "-l", self.place / "log", "start")
        return self

    def stop(self):
        account("pg_ctl", "-w", "-s", "-D", self.data, "-m", "immediate", "stop")

    def came(self):
        """How many connections there have been over TCP."""
        log = (self.place / "log").read_text(errors="replace")
        return log.count("connection received: host=") - log.count("connection received: host=[local]")


def owner():
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def own(path):
    os.chown(path, owner().pw_uid, owner().pw_gid)


def account(program, *words):
    command([BIN / program, *words])


def account_shell(script):
    command(["sh", "-c", script])


def command(words):
    options = {"user": owner().pw_uid, "group": owner().pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run([str(word) for word in words], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, timeout=120, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"bench: {words} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def usual_port(host):
    """PostgreSQL's own on that address, by which nmap knows what to say there; any other where somebody has it."""
    with socket.socket() as probe:
        try:
            probe.bind((host, USUAL_PORT))
        except OSError:
            return free_port()
    return USUAL_PORT


class Far:
    """A proxy to a server that is far away: every byte is on its way for DELAY_S, and what a client says first waits for
    a whole round trip more, since no proxy can make the connect itself late."""

    def __init__(self, port):
        self.port = usual_port(THERE)
        self.process = subprocess.Popen([sys.executable, "-B", __file__, "--far", str(self.port), str(port)])
        end = time.perf_counter() + 10
        while True:
            try:
                socket.create_connection((THERE, self.port), 1).close()
                return
            except OSError:
                if time.perf_counter() > end:
                    sys.exit("bench: the proxy did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def far(port, upstream):
    import asyncio

    async def carry(reader, writer, late):
        queue, loop = asyncio.Queue(), asyncio.get_running_loop()

        async def deliver():
            while True:
                due, chunk = await queue.get()
                await asyncio.sleep(max(0, due - loop.time()))
                if not chunk:
                    writer.close()
                    return
                writer.write(chunk)

        delivering, first = asyncio.create_task(deliver()), late
        try:
            while chunk := await reader.read(65536):
                queue.put_nowait((loop.time() + DELAY_S + first, chunk))
                first = 0
        except OSError:
            pass
        queue.put_nowait((loop.time() + DELAY_S, b""))
        await delivering

    async def serve(reader, writer):
        try:
            there, back = await asyncio.open_connection(HERE, upstream)
            await asyncio.gather(carry(reader, back, 2 * DELAY_S), carry(there, writer, 0), return_exceptions=True)
        except OSError:
            writer.close()

    async def main():
        async with await asyncio.start_server(serve, THERE, port, backlog=1024) as server:
            await server.serve_forever()

    asyncio.run(main())


class Run:
    """One run of a scanner: what it said, seconds, seconds of the processor, MB, and how it ended."""

    def __init__(self, words, stdin=b""):
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", "TERM": "dumb"}
        begun, cpu = time.perf_counter(), os.times()
        process = subprocess.Popen([str(word) for word in words], env=env, cwd="/", stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        seen = [0]

        def watch():
            while process.poll() is None:
                try:
                    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                except (FileNotFoundError, ProcessLookupError):
                    return
                found = re.search(r"VmHWM:\s+(\d+)", status)
                seen[0] = max(seen[0], int(found[1]) if found else 0)
                time.sleep(0.005)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            said, _ = process.communicate(stdin, timeout=900)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
        self.wall = time.perf_counter() - begun
        watcher.join()
        now = os.times()
        self.cpu = now.children_user + now.children_system - cpu.children_user - cpu.children_system
        self.mb, self.said, self.code = seen[0] / 1000, said.decode(errors="replace"), process.returncode


class Scanner:
    def __init__(self, name, words, rounds):
        self.name, self.words, self.rounds, self.runs, self.connections = name, words, rounds, [], []

    def run(self, host, port, server):
        before = server.came()
        words = [str(word).format(host=host, port=port) for word in self.words]
        self.runs.append(Run(words))
        self.connections.append(server.came() - before)

    def median(self, what):
        return statistics.median(getattr(run, what) for run in self.runs)

    def row(self):
        walls = [run.wall for run in self.runs]
        spread = f" ({min(walls):.2f}–{max(walls):.2f})" if len(walls) > 1 else ""
        return (f"| {self.name} | {self.median('wall'):.2f} s{spread} | {self.median('cpu'):.2f} s | {self.median('mb'):.0f} MB "
                f"| {statistics.median(self.connections):.0f} |")


def scanners(pgseal, rounds):
    scan = [pgseal, "scan", "{host}:{port}", "--fail-on", "never", "--timeout", "30s", "--format", "json"]
    all_of_them = [Scanner("pgseal scan", scan, rounds), Scanner("pgseal scan --quick", [*scan, "--quick"], rounds)]
    absent = []
    for name, (words, had_by) in PEERS.items():
        if shutil.which(words[0]):
            all_of_them.append(Scanner(name, words, 1 if name in SLOW else rounds))
        else:
            absent.append(f"{name} is absent ({had_by}).")
    return all_of_them, absent


def suites(scanner):
    """What it says is accepted: names of OpenSSL's or of IANA's, by which it goes."""
    said = scanner.runs[-1].said
    if scanner.name == "sslscan":
        return "openssl", set(re.findall(r"^(?:Accepted|Preferred)\s+TLSv1\.\d\s+\d+ bits\s+(\S+)", said, re.M))
    if scanner.name == "nmap":
        # The names of TLS 1.3 are nmap's own (TLS_AKE_WITH_…): 1.2 and older are compared.
        return "iana", set(re.findall(r"^\|\s+(TLS_(?!AKE)\S+_WITH_\S+)", said, re.M))
    return None, set()


def ours(scanner, field):
    import json
    target = json.loads(scanner.runs[-1].said)["targets"][0]
    found = {suite[field] for row in target["suites"] for suite in row["accepted"]}
    return {name for name in found if field == "openssl" or "_WITH_" in name}


def compared(all_of_them):
    lines = []
    for scanner in all_of_them:
        field, theirs = suites(scanner)
        if field:
            mine = ours(all_of_them[0], field)
            if theirs == mine:
                lines.append(f"{scanner.name} lists the same {len(mine)} suites.")
            else:
                lines.append(f"{scanner.name} lists {len(theirs)} suites, pgseal {len(mine)}: only there "
                             f"{sorted(theirs - mine)}, only here {sorted(mine - theirs)}.")
    return lines


def beside(all_of_them, faster, where):
    """What is reached and what is not, in words."""
    by_name = {scanner.name: scanner for scanner in all_of_them}
    mine, lines = by_name["pgseal scan"].median("wall"), []
    for name, times in faster.items():
        if name in by_name:
            reached = by_name[name].median("wall") / mine
            lines.append(f"{reached:.1f} times as fast as {name} {where}, to be reached: {times}"
                         f"{'' if reached >= times else ' — **not reached**'}.")
    return lines


def table(all_of_them):
    return ["| scanner | wall | processor | memory | connections |", "|---|---:|---:|---:|---:|",
            *(scanner.row() for scanner in all_of_them)]


def rounds_of(all_of_them, host, port, server):
    for nth in range(max(scanner.rounds for scanner in all_of_them)):
        for scanner in all_of_them:
            if nth < scanner.rounds:
                scanner.run(host, port, server)


def limits(all_of_them):
    whole, quick = all_of_them[0], all_of_them[1]
    for scanner, most in ((whole, CONNECTIONS), (quick, QUICK_CONNECTIONS)):
        made = statistics.median(scanner.connections)
        if made > most:
            yield f"{scanner.name} made {made:.0f} connections, to be reached: at most {most} — **not reached**."
    if whole.median("mb") >= MEMORY_MB:
        yield f"{whole.name} held {whole.median('mb'):.0f} MB, to be reached: under {MEMORY_MB} MB — **not reached**."


def fleet(pgseal, place, template):
    """A full scan of 20 servers beside sslscan's, and --quick of a thousand targets, of which two in ten are nobody."""
    wide = "listen_addresses = '127.0.0.1," + ",".join(f"127.2.0.{n}" for n in range(1, 40)) + "'"
    servers = [Server(place / f"fleet{n}", template, wide).start() for n in range(SERVERS)]
    try:
        targets = "".join(f"127.0.0.1:{server.port}\n" for server in servers)
        scan = [pgseal, "scan", "--targets", "-", "--fail-on", "never", "--timeout", "60s", "--target-timeout", "10m",
                "--format", "jsonl"]
        whole = Run(scan, targets.encode())
        lines = [f"{SERVERS} servers, whole: {whole.wall:.2f} s, {whole.mb:.0f} MB."]
        if shutil.which("sslscan"):
            named = place / "targets"
            named.write_text(targets)
            peer = Run(["sslscan", "--starttls-psql", "--no-colour", f"--targets={named}"])
            lines.append(f"The same by sslscan, one after another: {peer.wall:.2f} s, {peer.mb:.0f} MB.")
        many = [f"127.2.0.{1 + n // SERVERS}:{servers[n % SERVERS].port}" for n in range(FLEET * 8 // 10 - SERVERS)]
        many += [f"127.0.0.1:{server.port}" for server in servers]
        many += [f"127.3.0.{1 + n % 200}:9" for n in range(FLEET - len(many))]
        quick = Run([*scan, "--quick", "--jobs", "64"], "\n".join(many).encode())
        count = len(quick.said.splitlines())
        over = "" if quick.mb < FLEET_MEMORY_MB else " — **not reached**"
        lines.append(f"{count} targets, --quick, 2 in 10 of them nobody: {quick.wall:.2f} s, {count / quick.wall:.0f} targets/s, "
                     f"{quick.mb:.0f} MB, to be reached: under {FLEET_MEMORY_MB} MB{over}.")
        return lines
    finally:
        for server in servers:
            server.stop()


def section(pgseal, rounds):
    """Lines for docs/benchmarks.md."""
    with tempfile.TemporaryDirectory(prefix="pgseal-bench.", dir="/tmp") as place:
        place = pathlib.Path(place)
        place.chmod(0o755)
        server = Server(place / "one", conf=f"listen_addresses = '{HERE}'", port=usual_port(HERE))
        server.start()
        here, absent = scanners(pgseal, rounds)
        there, _ = scanners(pgseal, rounds)
        proxy = Far(server.port)
        try:
            rounds_of(here, HERE, server.port, server)
            rounds_of(there, THERE, proxy.port, server)
        finally:
            proxy.stop()
            server.stop()
        many = fleet(pgseal, place, server)
    lines = ["## Scans", "",
             "A PostgreSQL 15 with an ECDSA certificate, over loopback. Connections are those that the server logged; memory is "
             "that of the scanner's own process.", "", *table(here), ""]
    notes = [*absent, *beside(here, FASTER, "here"), *limits(here), *compared(here)]
    lines += [*(f"- {note}" for note in notes), "", "The same at a round trip of 20 ms, through a proxy:", "", *table(there), ""]
    lines += [*(f"- {note}" for note in beside(there, FASTER_AFAR, "there")), "", "Many servers:", "",
              *(f"- {note}" for note in many)]
    return lines


if __name__ == "__main__":
    if sys.argv[1] == "--far":
        far(int(sys.argv[2]), int(sys.argv[3]))
    else:
        print("\n".join(section(pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]))))
