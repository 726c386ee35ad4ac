"""(c) What an upload costs the server, beside others on the same disk. matinee syncs what it acknowledges; they do not."""

import os
import socket
import subprocess
import sys
import time

from . import measure, sources
from .api import Api
from .world import ROOT

# name: (MiB of a file, files at once, MiB of a PATCH)
CASES = {
    "1 GiB in one PATCH": (1024, 1, 1024),
    "1 GiB in PATCHes of 8 MiB": (1024, 1, 8),
    "1 GiB in PATCHes of 50 MiB": (1024, 1, 50),
    "16 x 64 MiB at once": (64, 16, 64),
}
MATINEE, PEER, RUSTUS, FLOOR, DISK = "matinee", "@tus/server", "rustus", "hyper, bytes thrown away", "dd, O_DIRECT, no network"
GOAL, GOAL_FLOOR, GOAL_CPU_S, GOAL_MEMORY_MIB = 0.20, 1.8, 0.6, 3
SMALL_BYTES, SMALL_S, SMALL_CONNECTIONS, GOAL_SMALL = 4096, 3, (4, 64), 3000
IDLE = 1000
# Without ffmpeg a video waits after its upload, so that nothing else runs while uploads are measured.
CONFIG = '[encode]\nffmpeg_dir = "/nonexistent"\n'


def run(here, rounds):
    files = {mib: sources.warm(sources.noise(here.cache, mib)) for mib in {mib for mib, _, _ in CASES.values()}}
    servers = {MATINEE: lambda: here.matinee(CONFIG), PEER: here.tus_node, FLOOR: here.discarding}
    if os.environ.get("BENCH_RUSTUS"):
        servers[RUSTUS] = here.rustus
    large = {(case, server): [] for case in CASES for server in servers}
    small = {(count, server): [] for count in SMALL_CONNECTIONS for server in servers}
    idle, disk = {server: [] for server in servers}, []
    for number in range(rounds):
        for case, (mib, count, chunk) in CASES.items():
            for server, start in servers.items():
                with start() as running:
                    # The first bytes pay for just-in-time compilers and lazy loading; they are not what is compared.
                    send(running, files[64], 1, 64)
                    large[case, server].append(once(running, files[mib], count, chunk, mib * count / 1024))
                os.sync()
                said(number, case, server, large[case, server][-1])
        for server, start in servers.items():
            for count in SMALL_CONNECTIONS:
                with start() as running:
                    small[count, server].append(small_files(here, running, count))
                said(number, f"small files, {count} connections", server, small[count, server][-1])
            with start() as running:
                idle[server].append(idle_kib(running))
            said(number, "idle", server, idle[server][-1])
        disk.append(direct(here, files[1024]))
        said(number, "1 GiB", DISK, disk[-1])
    return {
        "large": [row(case, {server: large[case, server] for server in servers}) for case in CASES],
        "small": {server: {str(count): spreads(small[count, server]) for count in SMALL_CONNECTIONS} for server in servers},
        "idle": {server: measure.spread(values) for server, values in idle.items()},
        "disk": spreads(disk),
    }


def said(number, case, server, one):
    print(f"  {number + 1}: {case}, {server}: {one}", flush=True)


def spreads(rounds):
    return {key: measure.spread([one[key] for one in rounds]) for key in rounds[0]}


def row(case, seen):
    ours = [one["cpu"] for one in seen[MATINEE]]
    return {
        "case": case,
        "servers": {server: spreads(rounds) for server, rounds in seen.items()},
        "to": {server: measure.ratios(ours, [one["cpu"] for one in rounds]) for server, rounds in seen.items()},
    }


def once(server, file, count, chunk_mib, gib):
    measure.forget_peak(server.pid)
    resting = measure.peak_mib(server.pid)
    before = measure.own_cpu_s(server.pid)
    client_s, printed = send(server, file, count, chunk_mib)
    return {
        "cpu": (measure.own_cpu_s(server.pid) - before) / gib,
        "peak": measure.peak_mib(server.pid),
        "each": (measure.peak_mib(server.pid) - resting) / count,
        "client": client_s / gib,
        "mib_s": gib * 1024 / printed["seconds"],
    }


def send(server, file, count, chunk_mib):
    command = [sys.executable, "-m", "parts.sender", str(server.port), str(file), str(count), str(chunk_mib)]
    return measure.spent_json(command, cwd=ROOT / "benches")


def small_files(here, server, connections):
    before = measure.own_cpu_s(server.pid)
    command = [str(here.client("sender")), f"127.0.0.1:{server.port}", str(connections), str(SMALL_S), str(SMALL_BYTES)]
    _, printed = measure.spent_json(command)
    cpu_s = measure.own_cpu_s(server.pid) - before
    return {"per_s": printed["files"] / printed["seconds"], "cpu_ms": cpu_s * 1000 / max(printed["files"], 1)}


def idle_kib(server):
    """KiB of memory for a connection that has sent the first byte of 4 MiB and then nothing."""
    api, held = Api(server.port), []
    paths = [api.create(4 << 20)[0] for _ in range(IDLE)]
    measure.forget_peak(server.pid)
    before = measure.peak_mib(server.pid)
    try:
        for path in paths:
            connection = socket.create_connection(("127.0.0.1", server.port), 10)
            held.append(connection)
            connection.sendall(
                f"PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
                f"Content-Type: application/offset+octet-stream\r\nContent-Length: {4 << 20}\r\n\r\nx".encode()
            )
        time.sleep(3)
        return (measure.peak_mib(server.pid) - before) * 1024 / IDLE
    finally:
        for connection in held:
            connection.close()


def direct(here, file):
    """The disk alone: the same bytes past the page cache, by dd."""
    target = here.scratch / "dd"
    begin = time.monotonic()
    command = ["dd", f"if={file}", f"of={target}", "bs=4M", "oflag=direct", "conv=fdatasync"]
    cpu_s, _ = measure.spent(command, stderr=subprocess.DEVNULL)
    target.unlink()
    return {"cpu": cpu_s, "mib_s": 1024 / (time.monotonic() - begin)}
