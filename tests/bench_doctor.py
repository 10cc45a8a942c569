"""Looking in the benchmark: a doctor of a healthy server, and sessions where there are many of them.

Knows how both come about; refuses to know how a table is written.
"""

import json
import os
import subprocess
import sys
import time

MANY = 2000
# What a backend and its client are given, so that a small machine is asked for fewer.
MB_EACH = 6
# One connection that does nothing until it is ended.
IDLE = "SELECT pg_sleep(3600);\n"


def looked(pgseal, server, place, rounds, run, timed):
    """Seconds of a doctor of a server that is sealed, and of a list of its sessions; how many sessions those were."""
    secrets = {"PGSEAL_STATE_DIR": str(place / "looked-state"), "PGPASSWORD": server.password}
    run(pgseal, "secure", server.data, "-U", "admin", "--yes", "--enforce", "--new-ca", place / "looked-ca", more=secrets)
    # Nothing of severity medium or above, or it ends the benchmark.
    doctor = [pgseal, "doctor", server.data, "-U", "admin", "--fail-on", "medium"]
    healthy = [timed(lambda: run(*doctor, more=secrets)) for _ in range(rounds)]

    count = min(MANY, available_mb() // MB_EACH)
    conf = server.data / "postgresql.conf"
    conf.write_text(conf.read_text() + f"max_connections = {count + 20}\n")
    server.control("restart")
    script = place / "idle.sql"
    script.write_text(IDLE)
    script.chmod(0o644)
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PGPASSWORD": server.password}
    clients = subprocess.Popen([str(server.bin / "pgbench"), "-n", "-h", "127.0.0.1", "-p", str(server.port), "-U", "admin",
                                "-c", str(count), "-t", "1", "-f", str(script), "postgres"],
                               env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        listing = [str(pgseal), "sessions", str(server.data), "-U", "admin", "--format", "json"]
        listed = until_all_are_there(listing, secrets, clients, count)
        seconds = [timed(lambda: run(*listing, more=secrets)) for _ in range(rounds)]
    finally:
        clients.kill()
        clients.wait(60)
    return healthy, seconds, listed


def until_all_are_there(listing, secrets, clients, count):
    """How many sessions are listed in the end."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **secrets}
    end = time.monotonic() + 600
    while True:
        said = subprocess.run(listing, env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=120,
                              check=True)
        there = len(json.loads(said.stdout)["sessions"])
        if there >= count:
            return there
        if clients.poll() is not None:
            sys.exit(f"bench: pgbench ended: {clients.stderr.read().decode(errors='replace')[-500:]}")
        if time.monotonic() > end:
            sys.exit(f"bench: {there} of {count} connections came in ten minutes")


def available_mb():
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    return MANY * MB_EACH
