#!/usr/bin/env python3
"""Makes the stand-in images: an archive for `docker load`, from programs that are on this machine.

    archive.py CACHE inputs IMAGE...    for each image its name and a digest of all that it is made from
    archive.py CACHE build IMAGE...     the archive, to stdout

IMAGE is postgres:MAJOR (as Debian's: uid 999) or postgres:MAJOR-alpine (uid 70). The programs inside are Debian's in either:
only what users of an image rely on is the official one's. CACHE holds the servers (pg-MAJOR) and docker/tools.
Every file in an image is root's, with a date that never changes; an image is the same bytes whenever it is made.
"""

import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

HERE = Path(__file__).resolve().parent
LABEL = "pgseal.tests.inputs"
SOCKETS = "/var/run/postgresql"
# Programs that look for the server's socket.
CLIENTS = (
    "clusterdb createdb createuser dropdb dropuser oid2name pg_amcheck pg_basebackup pg_dump pg_dumpall pg_isready "
    "pg_receivewal pg_recvlogical pg_restore pgbench psql reindexdb vacuumdb vacuumlo"
).split()
# Directories for building, for reading, and time zones a second time.
LEFT_OUT = {"bitcode", "doc", "locale", "man", "pgxs", "pkgconfig", "posix", "right"}
# Debian's packages whose files go into every image.
PACKAGES = ["bash", "libc6", "libc-bin", "libssl3*", "tzdata"]


class Flavour:
    """What sets the two families of images apart."""

    def __init__(self, image):
        found = re.fullmatch(r"postgres:(\d+)(-alpine)?", image)
        if not found:
            sys.exit(f"no stand-in is called {image}: there are postgres:MAJOR and postgres:MAJOR-alpine")
        self.image = image
        self.major = int(found[1])
        self.alpine = bool(found[2])
        self.uid = 70 if self.alpine else 999
        self.bin = f"/usr/lib/postgresql/{self.major}/bin"
        # From 18 on the official images keep the data in a directory of its major version.
        self.data = f"/var/lib/postgresql/{self.major}/docker" if self.major >= 18 else "/var/lib/postgresql/data"
        self.volume = "/var/lib/postgresql" if self.major >= 18 else self.data


class Server:
    """A PostgreSQL of this machine: where its programs are, and where they look for the socket."""

    def __init__(self, cache, major):
        self.major = major
        tree = cache / f"pg-{major}"
        system = Path(f"/usr/lib/postgresql/{major}")
        if (tree / "bin/postgres").exists():
            self.root = tree
            # As it was built: directly in share, or in a folder of that.
            below = "share" if (tree / "share/postgresql.conf.sample").exists() else "share/postgresql"
            self.share, self.share_to = tree / below, f"usr/lib/postgresql/{major}/{below}"
            self.origin = (tree / ".from").read_text()
        elif (system / "bin/postgres").exists():
            self.root = system
            self.share, self.share_to = Path(f"/usr/share/postgresql/{major}"), f"usr/share/postgresql/{major}"
            self.origin = versions([f"postgresql-{major}", f"postgresql-client-{major}", "libpq5"])
        else:
            sys.exit(f"there is no PostgreSQL {major} to make an image from: run tests/provision/needs.sh {major}")
        self.at_home = SOCKETS.encode() + b"\0" in (self.root / "bin/postgres").read_bytes()

    def release(self):
        said = subprocess.run([self.root / "bin/postgres", "--version"], check=True, capture_output=True, text=True).stdout
        return said.split()[2]

    def programs(self):
        return sorted(path for path in (self.root / "bin").iterdir() if path.is_file())

    def libraries(self):
        return [path for path in kept(self.root / "lib") if ".so" in path.suffixes and not path.is_symlink()]


class Layer:
    """One layer of an image, written to a file as it grows."""

    def __init__(self, path):
        self.path = path
        self.tar = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)
        self.held = set()

    def put(self, name, kind=tarfile.REGTYPE, mode=0o755, uid=0, content=b"", link=""):
        name = merged(name)
        if name in self.held:
            return
        parent = str(PurePosixPath(name).parent)
        if parent != ".":
            self.put(parent, tarfile.DIRTYPE)
        self.held.add(name)
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid, entry.linkname = kind, mode, uid, uid, link
        entry.size = len(content)
        self.tar.addfile(entry, io.BytesIO(content))

    def directory(self, name, mode=0o755, uid=0):
        self.put(name, tarfile.DIRTYPE, mode, uid)

    def link(self, name, to):
        self.put(name, tarfile.SYMTYPE, 0o777, link=to)

    def text(self, name, text, mode=0o644):
        self.put(name, mode=mode, content=text.encode())

    def file(self, source, name=None):
        """A file of this machine, links to it followed; at the same place unless told."""
        mode = 0o755 if os.access(source, os.X_OK) else 0o644
        self.put(name or str(source), mode=mode, content=Path(source).read_bytes())

    def tree(self, source, name):
        """A directory of this machine, links in it kept."""
        for path in kept(source):
            to = f"{name}/{path.relative_to(source)}"
            if path.is_symlink():
                self.link(to, os.readlink(path))
            else:
                self.file(path, to)

    def done(self):
        """Closes it; its digest."""
        self.tar.close()
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def kept(source):
    """The files of a directory that go into an image, and its links. The compiler for queries would bring a hundred
    megabytes; a server without it does not compile."""
    for where, directories, files in os.walk(source):
        links = [one for one in directories if (Path(where) / one).is_symlink()]
        directories[:] = sorted(one for one in directories if one not in LEFT_OUT)
        for one in sorted(files + links):
            if not one.endswith(".a") and not one.startswith("llvmjit"):
                yield Path(where) / one


def merged(name):
    """The name as it is where /bin, /lib… are links into /usr."""
    name = os.path.normpath(str(name)).lstrip("/")
    return re.sub(r"^(bin|sbin|lib|lib64)(?=/)", r"usr/\1", name)


def libraries_of(programs):
    """The shared libraries that they load, at the places where they are looked for. What is missing here is missing there."""
    said = subprocess.run(["ldd", *programs], capture_output=True, text=True).stdout
    return sorted(set(re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", said, re.MULTILINE)))


def versions(packages):
    said = subprocess.run(["dpkg-query", "-W", *packages], capture_output=True, text=True).stdout
    return "".join(sorted(said.splitlines(keepends=True)))


def write_tools(layer, cache):
    """A shell, the programs that everybody expects, the step down from root, names, time zones, a locale."""
    tools = cache / "docker/tools"
    for name in ["bin", "sbin", "lib", "lib64"]:
        layer.directory(f"usr/{name}")
        layer.link(name, f"usr/{name}")
    layer.link("var/run", "/run")
    layer.directory("tmp", 0o1777)
    layer.directory("root", 0o700)
    for name in ["run", "proc", "sys", "dev", "etc", "docker-entrypoint-initdb.d"]:
        layer.directory(name)
    for source, name in [("/bin/bash", "usr/bin/bash"), ("/usr/bin/getent", "usr/bin/getent")]:
        layer.file(source, name)
    layer.file(tools / "usr/sbin/gosu", "usr/local/bin/gosu")
    busybox = tools / "bin/busybox"
    layer.file(busybox, "usr/bin/busybox")
    names = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in sorted(set(names) - {"busybox"}):
        layer.link(f"usr/bin/{name}", "busybox")
    wrapper = next(tools.glob("usr/lib/*/libnss_wrapper.so*"))
    layer.file(wrapper, "usr/lib/libnss_wrapper.so")
    for library in libraries_of(["/bin/bash", "/usr/bin/getent", wrapper]):
        layer.file(library)
    layer.tree("/usr/lib/locale/C.utf8", "usr/lib/locale/C.utf8")
    # The official images speak English; without its tables the neutral ones stand in.
    layer.link("usr/lib/locale/en_US.utf8", "C.utf8")
    layer.tree("/usr/share/zoneinfo", "usr/share/zoneinfo")
    layer.link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
    layer.text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")


def write_server(layer, server):
    place = f"usr/lib/postgresql/{server.major}"
    names = {program.name: program for program in server.programs()}
    if "psql" not in names:
        # Some come without clients: the system's are taken.
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"))
        if not found:
            sys.exit(f"PostgreSQL {server.major} has no psql, nor has this system: run tests/provision/needs.sh 15")
        names |= {name: path for name in CLIENTS if (path := found[-1].parent / name).exists()}
    for name, program in names.items():
        own = program.parent == server.root / "bin"
        if own and name in CLIENTS and not server.at_home:
            # It looks for the socket in /tmp, the official images' in another place. A host that is named is taken.
            layer.file(program, f"{place}/client/{name}")
            script = f'#!/bin/sh\nPGHOST=${{PGHOST:-{SOCKETS}}} exec /{place}/client/{name} "$@"\n'
            layer.text(f"{place}/bin/{name}", script, 0o755)
        else:
            layer.file(program, f"{place}/bin/{name}")
    layer.tree(server.root / "lib", f"{place}/lib")
    for library in libraries_of([*names.values(), *server.libraries()]):
        if not Path(library).resolve().is_relative_to(server.root.resolve()):
            layer.file(library)
    layer.text(f"{server.share_to}/postgresql.conf.sample", sample(server))
    layer.tree(server.share, server.share_to)


def sample(server):
    """What initdb starts from: listening everywhere, as the official images do, and with the socket where it is theirs."""
    text = (server.share / "postgresql.conf.sample").read_text()
    text, count = re.subn(r"(?m)^#?listen_addresses\s*=\s*\S+", "listen_addresses = '*'", text)
    if count != 1:
        sys.exit(f"the sample of PostgreSQL {server.major} has {count} lines for listen_addresses, not 1")
    # Its own line stays: initdb puts its own default there.
    return text if server.at_home else f"{text}\nunix_socket_directories = '{SOCKETS}'\n"


def write_flavour(layer, flavour, server):
    uid, shell, home = flavour.uid, "/bin/sh" if flavour.alpine else "/bin/bash", "/var/lib/postgresql"
    users = f"root:x:0:0:root:/root:{shell}\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    layer.text("etc/passwd", f"{users}postgres:x:{uid}:{uid}:PostgreSQL:{home}:{shell}\n")
    layer.text("etc/group", f"root:x:0:\ntty:x:5:\nnogroup:x:65534:\npostgres:x:{uid}:\n")
    layer.directory(home, 0o1777, uid)
    if flavour.volume != home:
        layer.directory(flavour.data, 0o1777, uid)
    layer.directory("run/postgresql", 0o3777, uid)
    layer.text("usr/local/bin/docker-entrypoint.sh", (HERE / "entrypoint").read_text(), 0o755)
    if not flavour.alpine:
        # Alpine has none, and initdb says so there.
        layer.file("/usr/bin/locale")
    else:
        # There PostgreSQL is in /usr/local; here that is a way to it.
        for program in {*CLIENTS, *(path.name for path in server.programs())}:
            layer.link(f"usr/local/bin/{program}", f"{flavour.bin}/{program}")


def config(flavour, server, digests, inputs):
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    env = {
        "PATH": path if flavour.alpine else f"{path}:{flavour.bin}",
        "LANG": "en_US.utf8",
        "PG_MAJOR": str(flavour.major),
        "PG_VERSION": server.release(),
        "PGDATA": flavour.data,
    }
    return {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Env": [f"{name}={value}" for name, value in env.items()],
            "Entrypoint": ["docker-entrypoint.sh"],
            "Cmd": ["postgres"],
            "ExposedPorts": {"5432/tcp": {}},
            "Volumes": {flavour.volume: {}},
            "StopSignal": "SIGINT",
            "Labels": {LABEL: inputs},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": HERE.name} for _ in digests],
    }


def inputs_of(flavour, server, cache):
    parts = [flavour.image, server.origin, versions(PACKAGES), (cache / "docker/tools/.from").read_text()]
    parts += [(HERE / name).read_text() for name in ("archive.py", "entrypoint")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def build(cache, flavours, servers, out):
    """Layers that images have in common are written once."""
    with tempfile.TemporaryDirectory(prefix="pgseal-images.") as temp, tarfile.open(fileobj=out, mode="w|") as archive:
        layers = {}

        def layer(name, write):
            if name not in layers:
                made = Layer(Path(temp) / "layer.tar")
                write(made)
                digest = made.done()
                archive.add(made.path, f"{digest}.tar")
                made.path.unlink()
                layers[name] = digest
            return layers[name]

        def text(name, value):
            entry, content = tarfile.TarInfo(name), json.dumps(value).encode()
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))

        manifest = []
        for flavour in flavours:
            server = servers[flavour.major]
            digests = [
                layer("tools", lambda made: write_tools(made, cache)),
                layer(server.major, lambda made: write_server(made, server)),
                layer(flavour.image, lambda made: write_flavour(made, flavour, server)),
            ]
            name = f"{flavour.image.replace(':', '-')}.json"
            text(name, config(flavour, server, digests, inputs_of(flavour, server, cache)))
            manifest.append({"Config": name, "RepoTags": [flavour.image], "Layers": [f"{one}.tar" for one in digests]})
        text("manifest.json", manifest)


def main():
    cache, verb, *images = sys.argv[1:]
    cache = Path(cache).resolve()
    flavours = [Flavour(image) for image in images]
    servers = {major: Server(cache, major) for major in sorted({flavour.major for flavour in flavours})}
    if verb == "inputs":
        for flavour in flavours:
            print(flavour.image, inputs_of(flavour, servers[flavour.major], cache))
    elif verb == "build":
        build(cache, flavours, servers, sys.stdout.buffer)
    else:
        sys.exit(f"archive.py does inputs or build, not {verb}")


if __name__ == "__main__":
    main()
