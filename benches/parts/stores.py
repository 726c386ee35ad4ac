"""(f) What copies in stores cost: a long object to S3 in parts, reading it all again, and many small objects placed."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import measure, sources, world
from .api import Api

LONG_MIB, SMALL, SMALL_BYTES = 1024, 1000, 4096
MATINEE, RCLONE = "matinee", "rclone"
ACCESS, SECRET = "access", "secret-of-the-bench"
# Without ffmpeg a video waits after its upload, so that only its source is copied, and nothing else runs.
CONFIG = '[encode]\nffmpeg_dir = "/nonexistent"\n'
READY_S = 600
# A copy of matinee is read back and compared; the peer puts, and then checks by reading.
GOAL_CPU, GOAL_PEAK_MIB = 1.0, 150


def run(here, rounds):
    long = sources.warm(sources.noise(here.cache, LONG_MIB))
    put = {MATINEE: [], RCLONE: []}
    scrub = {"to S3": [], "a folder": [], "cat": [], "b3sum": []}
    placed = []
    for number in range(rounds):
        put[MATINEE].append(our_copy(here, long, scrub))
        said(number, "1 GiB", MATINEE, put[MATINEE][-1])
        put[RCLONE].append(their_copy(here, long))
        said(number, "1 GiB", RCLONE, put[RCLONE][-1])
        scrub["cat"].append(rate(["cat", str(long)], LONG_MIB))
        if shutil.which("b3sum"):
            scrub["b3sum"].append(rate(["b3sum", "--num-threads", "1", str(long)], LONG_MIB))
        said(number, "read again", MATINEE, {way: seen[-1] for way, seen in scrub.items() if seen})
        placed.append(small(here))
        said(number, f"{SMALL} objects", MATINEE, placed[-1])
    keys = put[MATINEE][0]
    return {
        "put": {who: {key: measure.spread([one[key] for one in seen]) for key in keys} for who, seen in put.items()},
        "to": measure.ratios([one["cpu"] for one in put[MATINEE]], [one["cpu"] for one in put[RCLONE]]),
        "scrub": {way: measure.spread(seen) for way, seen in scrub.items() if seen},
        "placed": measure.spread(placed),
    }


def said(number, case, who, one):
    print(f"  {number + 1}: {case}, {who}: {one}", flush=True)


def s3(here):
    """An S3 server on the disk, which is no part of what is measured."""
    program = here.cache / "s3s" / "bin" / "s3s-fs"
    if not program.exists():
        command = ["cargo", "install", "s3s-fs", "--version", "0.14.1", "--features", "binary", "--locked"]
        subprocess.run([*command, "--quiet", "--root", str(here.cache / "s3s")], check=True)
    folder, port = here.folder("s3"), world.free_port()
    (folder / "buckets" / "films").mkdir(parents=True)
    command = [str(program), "--host", "127.0.0.1", "--port", str(port), "--access-key", ACCESS, "--secret-key", SECRET]
    return here.start([*command, str(folder / "buckets")], port, folder)


def section(service):
    return (
        f'[[store]]\nname = "far"\nkind = "s3"\nurl = "s3://films/copies"\nendpoint = "{service.url}"\n'
        f'access_key = "{ACCESS}"\nsecret_key = "{SECRET}"\ntakes = ["source"]\n'
    )


def disk(folder):
    folder.mkdir(exist_ok=True)
    return f'[[store]]\nname = "near"\nkind = "disk"\npath = "{folder}"\ntakes = ["source"]\n'


def our_copy(here, long, scrub):
    """A source that is there already gets its copies when the stores are named; the one at S3 is measured."""
    folder = here.folder("matinee")
    with s3(here) as service:
        with here.matinee(CONFIG, folder) as running:
            send(running, long, 1)
            stop(running)
            near = here.folder("near") / "store"
            with here.matinee(CONFIG + section(service), folder) as again:
                done = watched(again, "far", 1)
                far_s = scrubbed(here, folder, "far")
                stop(again)
            with here.matinee(CONFIG + "[copies]\nsource = 2\n" + section(service) + disk(near), folder) as both:
                watched(both, "near", 1)
                near_s = scrubbed(here, folder, "near")
            scrub["to S3"].append(LONG_MIB / far_s)
            scrub["a folder"].append(LONG_MIB / near_s)
            return done


def stop(running):
    """Ends a server and keeps its folder."""
    running.process.terminate()
    running.process.wait(25)
    running.folder = Path("/nonexistent")


def send(running, file, count):
    command = [sys.executable, "-m", "parts.sender", str(running.port), str(file), str(count)]
    measure.spent_json(command, cwd=world.ROOT / "benches")


def watched(running, store, objects):
    """From the start of the server until so many copies are there and proven."""
    begin, api = time.monotonic(), Api(running.port)
    while time.monotonic() < begin + READY_S:
        found = next((one for one in api.json("/v1/stores")["items"] if one["id"] == store), None)
        if found and found["objects"] >= objects and found["waiting_objects"] == 0:
            seconds = time.monotonic() - begin
            peak = measure.peak_mib(running.pid)
            return {"mib_s": LONG_MIB / seconds, "cpu": measure.own_cpu_s(running.pid), "peak": peak, "seconds": seconds}
        time.sleep(0.05)
    raise RuntimeError(f"{store} has not got its copies within {READY_S} s")


def scrubbed(here, folder, store):
    """Seconds of one pass through a store, as a command of its own."""
    command = [str(here.binary()), "stores", "scrub", store, "--json", "--data", str(folder / "data")]
    command += ["--config", str(folder / "matinee.toml")]
    begin = time.monotonic()
    printed = subprocess.run(command, check=True, capture_output=True, cwd=folder, env=clean()).stdout
    told = json.loads(printed.decode().strip().splitlines()[-1])
    if told["copies"] != 1:
        raise RuntimeError(f"one copy was to be read: {told}")
    return time.monotonic() - begin


def clean():
    return {name: value for name, value in os.environ.items() if not name.startswith("MATINEE_")}


def their_copy(here, long):
    """rclone puts the same file in parts of the same length, four at once, and then reads it back and compares."""
    with s3(here) as service:
        far = (
            f":s3,provider=Other,access_key_id={ACCESS},secret_access_key={SECRET},endpoint='{service.url}',"
            "force_path_style=true,chunk_size=8Mi,upload_cutoff=16Mi,upload_concurrency=4,no_check_bucket=true:films/copies"
        )
        folder = here.folder("rclone")
        os.link(long, folder / "long")
        begin = time.monotonic()
        options = ["--config", str(folder / "none"), "--quiet"]
        put_cpu, put_peak = measure.spent_with_peak(["rclone", "copy", *options, "--include", "long", str(folder), far])
        check = ["rclone", "check", *options, "--include", "long", "--download", "--one-way", str(folder), far]
        check_cpu, check_peak = measure.spent_with_peak(check)
        seconds = time.monotonic() - begin
        return {
            "mib_s": LONG_MIB / seconds,
            "cpu": put_cpu + check_cpu,
            "peak": max(put_peak, check_peak),
            "seconds": seconds,
        }


def rate(command, mib):
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return mib / (time.monotonic() - begin)


def small(here):
    """Small sources that are there already, and a folder that is named then: copies in a second, each proven."""
    folder, near = here.folder("matinee"), here.folder("near") / "store"
    with here.matinee(CONFIG, folder) as running:
        file = folder / "small"
        file.write_bytes(os.urandom(SMALL_BYTES))
        for _ in range(SMALL // 50):
            send(running, file, 50)
        stop(running)
        with here.matinee(CONFIG + disk(near), folder) as again:
            return SMALL / watched(again, "near", SMALL)["seconds"]
