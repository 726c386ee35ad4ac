"""(e) The encoding engine: cost, quality and memory beside the arguments of others; chunks, kills, the sandbox."""

import json
import os
import random
import signal
import subprocess
import threading
import time

from . import ladder, measure, peers, sources
from .api import Api, moment

SECONDS = int(os.environ.get("BENCH_LADDER_S", "40"))
SIZES = [1080, 720, 480]
CONFIG = f"[[pipeline]]\nsizes = {SIZES}\n"
KILLS = 4
GOAL_CASCADE, GOAL_CHUNKED, GOAL_PEERTUBE, GOAL_PLAYABLE, GOAL_SANDBOX_MS = 1.05, 1.05, 0.64, 0.02, 5


def run(here, rounds):
    source = sources.warm(sources.full_hd(here.cache, SECONDS))
    rate = ladder.facts(source)[0]
    # First what may not work at all: the rest takes half an hour.
    sandbox_ms = sandbox(here, source, 15)
    sizes = [(1920, 1080), (1280, 720), (852, 480)]
    ways = {
        "matinee": lambda: engine(here, source),
        "cascade": lambda: bare(*cascade(here, source, sizes)),
        "chunks": lambda: bare(*chunked(here, source, sizes)),
        "separate": lambda: bare(*separate(here, source, sizes)),
        "peertube": lambda: bare(*peers.peertube(here, source, sizes, rate)),
        "django": lambda: bare(*peers.django(here, source, sizes, rate)),
    }
    seen = {way: [] for way in ways}
    for number in range(rounds):
        for way, measured in ways.items():
            seen[way].append(measured())
            print(f"  {number + 1}: {way} {seen[way][-1]['cpu']:.2f} CPU s", flush=True)
    cpu = {way: [one["cpu"] for one in runs] for way, runs in seen.items()}
    quality = {way: judged(runs[0]["files"], source, rate, sizes) for way, runs in seen.items() if way != "chunks"}
    mine = seen["matinee"]
    return {
        "seconds": SECONDS,
        "cpu": {way: measure.spread(values) for way, values in cpu.items()},
        "memory": {way: measure.spread([one["mib"] for one in runs]) for way, runs in seen.items()},
        "quality": quality,
        "to": {way: measure.ratios(cpu["matinee"], cpu[way]) for way in ways},
        "chunked": measure.ratios(cpu["chunks"], cpu["cascade"]),
        "playable": measure.ratios([one["playable_cpu"] for one in mine], cpu["cascade"]),
        "playable_s": measure.spread([one["playable_s"] for one in mine]),
        "ready_s": {size: measure.spread([one["ready_s"][size] for one in mine]) for size in mine[0]["ready_s"]},
        "kills": kills(here, source, cpu["matinee"]),
        "sandbox_ms": sandbox_ms,
    }


def engine(here, source):
    """Upload to ready: the server and every process that it started, with what they hold in memory together."""
    with here.matinee(CONFIG) as server:
        peak = Peak(server.pid)
        before, api = measure.tree_cpu_s(server.pid), Api(server.port)
        video, sent = api.upload(source)
        api.wait(video, lambda now: now["playable"], 0.01, 600)
        playable_cpu = measure.tree_cpu_s(server.pid) - before
        state, _ = api.wait(video, lambda now: now["state"] == "ready", 1, 1800)
        cpu_s, mib = measure.tree_cpu_s(server.pid) - before, peak.end()
        events = api.json("/v1/events")["items"]
        ready = [one for one in events if one["topic"] == "rendition.ready"]
        name = {one["bytes"]: one["id"] for one in state["renditions"] if one["bytes"]}
        files = download(api, here.folder("made"), video)
    return {
        "cpu": cpu_s,
        "mib": mib,
        "playable_cpu": playable_cpu,
        "playable_s": moment(state["playable_at"]) - sent,
        "ready_s": {name[one["payload"]["bytes"]]: moment(one["created_at"]) - sent for one in ready},
        "files": files,
    }


def download(api, folder, video):
    """The files that were made, the largest picture first, as (path, number of the stream)."""
    found = []
    for one in api.json(f"/v1/videos/{video}/playback")["downloads"]:
        if one["id"].startswith("h264-"):
            path = folder / f"{one['id']}.mp4"
            path.write_bytes(api.ask("GET", "/p/" + one["url"].partition("/p/")[2])[1])
            found.append((path, 0))
    return found


def bare(folder, commands):
    cpu_s, mib = peers.run(folder, commands)
    whole = folder / "whole.ts"
    files = [(whole, n) for n in range(3)] if whole.exists() else [(folder / f"{n}.mp4", 0) for n in range(3)]
    return {"cpu": cpu_s, "mib": mib, "files": files}


def cascade(here, source, sizes):
    return ladder.cascade_commands(here, source, sizes)


def separate(here, source, sizes):
    return ladder.separate_commands(here, source, sizes)


def chunked(here, source, sizes):
    """The cascade in the chunks of the product's own plan, without a server: what cutting alone costs."""
    folder, (rate, bits) = here.folder("chunks"), ladder.facts(source)
    commands = []
    for chunk in plan(here, source, folder)["video"]["chunks"]:
        first, frames, seek = chunk["first"], chunk["frames"], chunk["seek"]
        graph = f"[0:v:0]setpts=PTS,fps={rate},trim=start_pts={first}:end_pts={first + frames},setpts=PTS-{first},"
        graph += ladder.cascade_graph(sizes).removeprefix("[0:v:0]")
        command = ["-copyts"]
        if isinstance(seek, dict):
            command += ["-ss", f"{seek['key']['ss_us'] / 1e6:.6f}"]
        command += ["-i", str(source), "-an", "-sn", "-dn", "-filter_complex", graph]
        for n, size in enumerate(sizes):
            command += ["-map", f"[v{n}]", *ladder.x264(sizes[0], size, rate, bits)]
            command.append(str(folder / f"{chunk['number']}-{n}.mp4"))
        commands.append(command)
    return folder, [*commands, ladder.sound(source, folder)]


def plan(here, source, folder):
    (folder / "matinee.toml").write_text(CONFIG)
    command = [str(here.binary()), "plan", str(source), "--json"]
    return json.loads(subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout)["plan"]


def judged(files, source, rate, sizes):
    """Bytes of the pictures and SSIM of each size. The ways have other rates; the reference follows."""
    found = []
    for (path, stream), size in zip(files, sizes, strict=False):
        shown = 30 if path.name == "whole.ts" else rate
        found.append({
            "size": size[1],
            "bytes": peers.picture_bytes(path, stream),
            "ssim": peers.ssim(path, stream, source, shown),
        })
    return found


def kills(here, source, undisturbed):
    """`kill -9` of the whole server at random moments of an encode: what of the work had to be done again."""
    chance, spent, done = random.Random(7), 0.0, 0
    folder = here.folder("killed")
    server = here.matinee(CONFIG, folder)
    api = Api(server.port)
    video, _ = api.upload(source)
    wanted = plan(here, source, here.folder("plan"))
    largest = max(chunk["frames"] for chunk in wanted["video"]["chunks"]) / wanted["video"]["frames"]
    whole = measure.spread(undisturbed)["median"]
    while done < KILLS:
        time.sleep(chance.uniform(0.05, 0.2) * whole)
        if Api(server.port).json(f"/v1/videos/{video}")["state"] == "ready":
            break
        spent += measure.tree_cpu_s(server.pid)
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait()
        done += 1
        server = here.matinee(CONFIG, folder)
    with server:
        Api(server.port).wait(video, lambda now: now["state"] == "ready", 0.5, 1800)
        spent += measure.tree_cpu_s(server.pid)
    slots = os.cpu_count()
    return {
        "kills": done,
        "wasted_cpu_s": spent - whole,
        "allowed_cpu_s": done * slots * largest * whole,
        "largest_chunk_s": wanted["video"]["frames"] * largest / ladder.facts(source)[0],
    }


def sandbox(here, source, times):
    """Milliseconds of processor time that one start costs more inside; ffprobe of the source, interleaved."""
    probe = ["/usr/bin/ffprobe", "-v", "error", "-show_streams", str(source)]
    policy = {
        "parent": os.getpid(), "inputs": [str(source)], "programs": [], "dir": None, "cgroup": None, "devices": [], "pages": [], "cpu_s": 60,
        "memory_bytes": 6 << 30, "output_bytes": 1 << 30, "walls": {"landlock": True, "abi": 6, "seccomp": True},
    }
    inside = [str(here.binary()), "sandboxed-exec", json.dumps(policy), *probe]
    cost = []
    for _ in range(times):
        within, without = measure.spent(inside)[0], measure.spent(probe)[0]
        cost.append((within - without) * 1000)
    return measure.spread(cost)


class Peak:
    """The most that a process and its descendants had in memory at one moment; looked at 20 times a second."""

    def __init__(self, pid):
        self.pid, self.most, self.over = pid, 0.0, threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, measure.tree_resident_mib(self.pid))

    def end(self):
        self.over.set()
        self.thread.join()
        return self.most
