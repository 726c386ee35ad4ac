"""(c) What an upload costs the server, beside @tus/server on the same disk. matinee syncs what it acknowledges; it does not."""

import os
import sys

from . import measure, sources
from .world import ROOT

CASES = {"1 x 1024 MiB": (1024, 1), "16 x 64 MiB": (64, 16)}
GOAL = 0.35


def run(here, rounds):
    files = {name: sources.warm(sources.noise(here.cache, mib)) for name, (mib, _) in CASES.items()}
    servers = {"matinee": here.matinee, "@tus/server": here.tus_node}
    seen = {(case, server): [] for case in CASES for server in servers}
    for number in range(rounds):
        for case, (mib, count) in CASES.items():
            for server, start in servers.items():
                with start() as running:
                    # The first bytes pay for just-in-time compilers and lazy loading; they are not what is compared.
                    send(running, files["16 x 64 MiB"], 1)
                    seen[case, server].append(once(running, files[case], count, mib * count / 1024))
                os.sync()
                print(f"  {number + 1}: {case} {server} {seen[case, server][-1]}", flush=True)
    rows = []
    for case in CASES:
        column = {key: [one[key] for one in seen[case, "matinee"]] for key in seen[case, "matinee"][0]}
        peer = {key: [one[key] for one in seen[case, "@tus/server"]] for key in column}
        rows.append({
            "case": case,
            "matinee": {key: measure.spread(values) for key, values in column.items()},
            "peer": {key: measure.spread(values) for key, values in peer.items()},
            "cpu_ratio": measure.ratios(column["cpu"], peer["cpu"]),
            "memory_ratio": measure.ratios(column["peak"], peer["peak"]),
        })
    return rows


def once(server, file, count, gib):
    measure.forget_peak(server.pid)
    before = measure.own_cpu_s(server.pid)
    client_s, printed = send(server, file, count)
    cpu_s = measure.own_cpu_s(server.pid) - before
    return {
        "cpu": cpu_s / gib,
        "peak": measure.peak_mib(server.pid),
        "client": client_s / gib,
        "mib_s": gib * 1024 / printed["seconds"],
    }


def send(server, file, count):
    command = [sys.executable, "-m", "parts.sender", str(server.port), str(file), str(count)]
    return measure.spent_json(command, cwd=ROOT / "benches")
