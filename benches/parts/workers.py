"""(e) How much sooner a video is ready with more workers: real runners, one core each, and the same jobs on paper."""

import heapq
import os
import subprocess

from . import measure, sources
from .api import Api, moment
from .world import Running

SECONDS = int(os.environ.get("BENCH_WORKERS_S", "240"))
CONFIG = "[workers]\nhere = false\n"
# With four workers a video is to be ready so many times sooner than with one.
GOAL = 3.2
ON_PAPER = (1, 2, 3, 4, 8)
# What needs nothing but the probe; everything else comes when those before it are done.
FIRST = ("audio", "chunk", "poster", "subtitles")


def run(here, rounds):
    source = sources.warm(sources.hd(here.cache, SECONDS))
    cores = sorted(os.sched_getaffinity(0))
    counts = [count for count in (1, 2, 4) if count <= len(cores)]
    seen = {count: [] for count in counts}
    jobs = []
    for number in range(rounds):
        for count in counts:
            took_s, done = ladder_with(here, source, cores[:count])
            seen[count].append(took_s)
            jobs = done if count == 1 else jobs
            print(f"  {number + 1}: {count} workers, {took_s:.1f} s", flush=True)
    alone = on_paper(jobs, 1)
    return {
        "seconds": SECONDS,
        "jobs": len(jobs),
        "real_s": {count: measure.spread(values) for count, values in seen.items()},
        "real": {count: measure.ratios(seen[1], values) for count, values in seen.items()},
        "paper": {count: alone / on_paper(jobs, count) for count in ON_PAPER},
    }


def ladder_with(here, source, cores):
    """Seconds from the last byte to the last encoded size with a runner on each of these cores, and the jobs."""
    with here.matinee(CONFIG) as server:
        runners = [runner(here, server, core) for core in cores]
        try:
            api = Api(server.port)
            video, sent = api.upload(source)
            api.wait(video, lambda now: now["state"] == "ready", 0.2, 3600)
            jobs = listed(api, video)
        finally:
            for one in runners:
                one.__exit__()
    last = max(job["ended"] for job in jobs if job["kind"] in ("chunk", "audio", "assemble"))
    return last - sent, jobs


def runner(here, server, core):
    """A runner of one slot that may use one core; its encoders are ended with it."""
    folder = here.folder("runner")
    binary, data = str(here.binary()), str(server.folder / "data")
    asked = [binary, "runner", "token", "--quiet", "--data", data]
    token = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=server.folder).stdout.strip()
    words = ["runner", "--server", server.url, "--token", token, "--slots", "1", "--data", str(folder / "data")]
    log = open(folder / "log.txt", "wb")
    process = subprocess.Popen(["taskset", "-c", str(core), binary, *words], stdout=log, stderr=log, cwd=folder)
    return Running(process, 0, folder)


def listed(api, video):
    """The jobs of a video that are done, with when they began and ended; by when they began."""
    found, before = [], ""
    while True:
        page = api.json(f"/v1/jobs?video={video}&limit=100{before}")
        for job in page["items"]:
            if job["started_at"] and job["finished_at"]:
                times = {"began": moment(job["started_at"]), "ended": moment(job["finished_at"])}
                found.append({"kind": job["kind"], **times})
        if not page["next"]:
            return sorted(found, key=lambda job: job["began"])
        before = f"&before={page['next']}"


def on_paper(jobs, workers):
    """Seconds until the last of these jobs ends when they are begun in their order by so many workers."""
    stages = [["probe", "remux"], FIRST, ["assemble"]]
    free, now = [0.0] * workers, 0.0
    for stage in stages:
        free = [max(now, one) for one in free]
        heapq.heapify(free)
        for job in jobs:
            if job["kind"] in stage:
                ended = heapq.heappop(free) + job["ended"] - job["began"]
                heapq.heappush(free, ended)
                now = max(now, ended)
    return now
