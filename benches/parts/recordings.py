"""(g) Five long recordings at once through the whole pipeline: into an archive and to a host, within a small memory."""

import os
import shutil
import subprocess
import sys
import time

from . import measure, sources, stores, world
from .api import Api

COUNT = 5
MIB = int(os.environ.get("BENCH_RECORDING_MIB", "1024"))
GOAL_PEAK_MIB = 150
# As in examples/recording-pipeline: one after the other, archived, at the host, and then gone from the disk.
CONFIG = """[workers]
concurrency = 1
identical = false
[ingest]
memory_bytes = 16777216
[archive]
local_sources = "0s"
[[pipeline]]
name = "default"
as_is = true
publish = ["bunny"]
"""
LIMIT_S = 3600


def run(here, rounds):
    film = recording(here)
    seen = []
    for number in range(rounds):
        seen.append(through(here, film))
        print(f"  {number + 1}: {seen[-1]}", flush=True)
    return {"mib": MIB, **{key: measure.spread([one[key] for one in seen]) for key in seen[0]}}


def recording(here):
    """A film with an empty box behind it: it plays, and is as long as is asked for."""
    path = here.cache / "sources" / f"recording-{MIB}.mp4"
    if not path.exists():
        shutil.copy(sources.compatible(here.cache, 30, True), path)
        head = path.stat().st_size
        with open(path, "r+b") as file:
            file.seek(head)
            # ISO/IEC 14496-12, 4.2: a size of 1 says that 64 bits of it follow the type.
            file.write((1).to_bytes(4) + b"free" + ((MIB << 20) - head).to_bytes(8))
            file.truncate(MIB << 20)
    return path


def through(here, film):
    folder = here.folder("pretend")
    command = [str(here.binary()), "hosts", "pretend", "bunny", "--folder", str(folder), "--encode", "1"]
    pretend = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=stores.clean())
    try:
        told = "".join(pretend.stdout.readline() for _ in range(8))
        with stores.s3(here) as service:
            archive = stores.section(service) + 'class = "archive"\n'
            with here.matinee(CONFIG + archive + told + '\npoll = "1s"\n') as server:
                return sent(server, film)
    finally:
        pretend.terminate()
        pretend.wait()
        shutil.rmtree(folder, ignore_errors=True)


def sent(server, film):
    begin = time.monotonic()
    sender = [sys.executable, "-m", "parts.sender", str(server.port), str(film), str(COUNT)]
    subprocess.run(sender, check=True, cwd=world.ROOT / "benches", stdout=subprocess.DEVNULL)
    uploaded_mib, api, after, done = measure.peak_mib(server.pid), Api(server.port), 0, set()
    while len(done) < COUNT:
        if time.monotonic() > begin + LIMIT_S:
            raise RuntimeError(f"{len(done)} of {COUNT} recordings are where they belong within {LIMIT_S} s")
        page = api.json(f"/v1/events?after={after}&limit=100&wait=30")
        after = page["next"]
        done |= {one["subject"] for one in page["items"] if one["topic"] == "video.distributed"}
    return {
        "upload_mib": uploaded_mib,
        "peak_mib": measure.peak_mib(server.pid),
        "cpu_s_gib": measure.own_cpu_s(server.pid) / (COUNT * MIB / 1024),
        "seconds": time.monotonic() - begin,
    }
