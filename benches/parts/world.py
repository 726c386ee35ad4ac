"""The machine, the places that the benches may use, and the programs under test."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY_S = 30


def cache_dir():
    """Inputs and peers stay here from run to run, outside the project."""
    named = os.environ.get("BENCH_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(named) if named else Path(base) / "matinee-bench"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    """Waits until somebody listens; a program that ended instead is an error with its own words."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{process.args[0]} does not listen")


class Running:
    """A server process with its port; stopped and its folder removed at the end of a `with`."""

    def __init__(self, process, port, folder):
        self.process, self.port, self.folder = process, port, folder
        self.pid = process.pid
        self.url = f"http://127.0.0.1:{port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(25)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class World:
    """Folders of one run of the benches: `cache` stays, `scratch` goes. Both are on one disk."""

    def __init__(self):
        self.cache = cache_dir()
        self.cache.mkdir(parents=True, exist_ok=True)
        self.scratch = None
        self.built = False

    def __enter__(self):
        self.scratch = Path(tempfile.mkdtemp(prefix="run-", dir=self.cache))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.scratch, ignore_errors=True)

    def folder(self, name):
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch))

    def start(self, command, port, folder):
        log = open(folder / "log.txt", "wb")
        # What is set for another matinee must not change the one that is measured.
        env = {name: value for name, value in os.environ.items() if not name.startswith("MATINEE_")}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=folder)
        try:
            wait_for(port, process)
        except RuntimeError as error:
            process.kill()
            raise RuntimeError(f"{error}:\n{(folder / 'log.txt').read_text()}") from None
        return Running(process, port, folder)

    def binary(self):
        """The release build that is measured, or what BENCH_BINARY names."""
        named = os.environ.get("BENCH_BINARY")
        if named:
            return Path(named).resolve()
        self.build()
        return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / "matinee"

    def matinee(self, config="", folder=None):
        """A server with its defaults, or what `config` says, on a port of its own; in a fresh folder unless one is named."""
        binary, port = self.binary(), free_port()
        folder = folder or self.folder("matinee")
        (folder / "matinee.toml").write_text(config)
        command = [str(binary), "--listen", f"127.0.0.1:{port}", "--data", str(folder / "data")]
        return self.start(command, port, folder)

    def build(self):
        """Makes the release build that is measured, once; it says nothing while it succeeds."""
        if not self.built:
            command = ["cargo", "build", "--release", "--bin", "matinee"]
            built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if built.returncode != 0:
                raise RuntimeError(built.stderr)
            self.built = True

    def tus_node(self):
        """A fresh @tus/server with its file store, in the versions of `peers/package.json`."""
        here = self.cache / "tus"
        here.mkdir(exist_ok=True)
        for name in ("package.json", "tus.mjs"):
            wanted = (ROOT / "benches" / "peers" / name).read_bytes()
            if not (here / name).exists() or (here / name).read_bytes() != wanted:
                (here / name).write_bytes(wanted)
                shutil.rmtree(here / "node_modules", ignore_errors=True)
        if not (here / "node_modules" / "@tus" / "server").exists():
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=here, check=True)
        folder, port = self.folder("tus"), free_port()
        return self.start(["node", str(here / "tus.mjs"), str(port), str(folder)], port, folder)

    def nginx(self, root, sendfile):
        """nginx with static files; the better of `sendfile` on and off counts."""
        folder, port = self.folder("nginx"), free_port()
        way = "sendfile on; tcp_nopush on;" if sendfile else "sendfile off; output_buffers 2 512k;"
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"""{user} daemon off; worker_processes {os.cpu_count()}; pid {folder}/pid; error_log {folder}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; {way} tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 600s;
                open_file_cache max=10000 inactive=600s; open_file_cache_valid 600s; default_type video/mp4;
                client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
                uwsgi_temp_path {folder}; scgi_temp_path {folder};
                server {{ listen 127.0.0.1:{port} backlog=1024; root {root}; }}
            }}"""
        )
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        return self.start([program, "-p", str(folder), "-c", str(folder / "nginx.conf")], port, folder)

    def rustus(self):
        """rustus with its file store, where BENCH_RUSTUS names its binary."""
        folder, port = self.folder("rustus"), free_port()
        command = [os.environ["BENCH_RUSTUS"], "--host", "127.0.0.1", "--port", str(port), "--url", "/files"]
        places = ["--data-dir", str(folder / "data"), "--info-dir", str(folder / "info")]
        return self.start([*command, *places], port, folder)

    def discarding(self):
        """The same HTTP library as matinee's, and every byte thrown away: the floor."""
        folder, port = self.folder("discard"), free_port()
        return self.start([str(self.client("discard")), str(port)], port, folder)

    def client(self, name="reader"):
        """One of the programs of benches/client."""
        target = self.cache / "client-target"
        command = ["cargo", "build", "--release", "--quiet", "--manifest-path", str(ROOT / "benches/client/Cargo.toml")]
        subprocess.run([*command, "--target-dir", str(target)], check=True)
        return target / "release" / name

    def conditions(self):
        """What a reader must know to compare."""
        congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
        model = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
        disk = subprocess.run(["stat", "-f", "-c", "%T", str(self.cache)], capture_output=True, text=True).stdout.strip()
        ffmpeg = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout.split()[2]
        return {
            "kernel": os.uname().release,
            "CPUs": f"{os.cpu_count()} x {model[0] if model else os.uname().machine}",
            "load at the end": f"{os.getloadavg()[0]:.1f}",
            "TCP": f"loopback, {congestion}",
            "disk": disk,
            "page cache": "warm for what is read",
            "ffmpeg": ffmpeg,
        }
