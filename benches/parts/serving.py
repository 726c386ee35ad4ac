"""(d) What a served segment costs, beside nginx with the same bytes as files; server and client are both counted."""

import json
import shutil
import subprocess
from urllib.parse import urlsplit

from . import measure, sources
from .api import Api

CONNECTIONS, SECONDS = 16, 2
BIG_READ = 256 << 10
GOAL = 1.0
# Which client reads which size; wrk reads 8 KiB at a time.
CELLS = [("2.5 MB", "8 KiB"), ("2.5 MB", "256 KiB"), ("64 KB", "8 KiB"), ("1 KB", "8 KiB")]
SERVERS = ["stored", "source", "nginx sendfile", "nginx buffers"]

WRK_SCRIPT = """
local requests, at = {}, 0
init = function(args)
    for path in io.lines(args[1]) do requests[#requests + 1] = wrk.format("GET", path) end
end
request = function()
    at = at % #requests + 1
    return requests[at]
end
done = function(summary)
    local wrong = summary.errors
    if wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout > 0 then
        io.write('{"error": "wrk saw errors"}\\n')
        return
    end
    io.write(string.format('{"requests": %d, "bytes": %.0f, "seconds": %f}\\n',
        summary.requests, summary.bytes, summary.duration / 1e6))
end
"""


def run(here, rounds):
    reader = here.client()
    script = here.scratch / "paths.lua"
    script.write_text(WRK_SCRIPT)
    with here.matinee() as matinee:
        paths = publish(Api(matinee.port), sources.five_mbit(here.cache))
        root, sizes = here.folder("static"), {}
        for size in {size for size, _ in CELLS}:
            sizes[size] = lay_out(Api(matinee.port), paths, size, root)
        with here.nginx(root, True) as sendfile, here.nginx(root, False) as buffers:
            ports = {"stored": matinee, "source": matinee, "nginx sendfile": sendfile, "nginx buffers": buffers}
            seen = {(cell, name): [] for cell in CELLS for name in SERVERS}
            for number in range(rounds):
                for size, read in CELLS:
                    for name in SERVERS:
                        listed = root / f"{size} {name}.txt"
                        command = command_of(read, reader, script, ports[name].port, listed)
                        seen[(size, read), name].append(once(ports[name].pid, command))
                line = [f"{seen[CELLS[0], name][-1]['sum']:.3f}" for name in SERVERS]
                print(f"  {number + 1}: CPU s/GB, 2.5 MB, 8 KiB: {dict(zip(SERVERS, line))}", flush=True)
    return [row(cell, sizes[cell[0]], seen) for cell in CELLS]


def publish(api, source):
    """Uploads, waits for all sizes; the paths of both generations: {(generation, kind): [path]}."""
    video, _ = api.upload(source)
    api.wait(video, lambda now: now["playable"], 0.05, 60)
    address = api.json(f"/v1/videos/{video}/playback")["hls"]
    paths = {}
    for name in ("source", "stored"):
        tracks = api.tracks(address)
        pictures = max(tracks, key=lambda track: sum(length(api, path) for path in track[2]))
        sound = min(tracks, key=lambda track: sum(length(api, path) for path in track[2]))
        # The rest at the end is shorter than the others.
        paths[name] = {"2.5 MB": pictures[2][:-1], "64 KB": sound[2][:-1], "1 KB": [pictures[1]]}
        if name == "source":
            api.wait(video, lambda now: now["state"] == "ready", 1, 1800)
            address = api.json(f"/v1/videos/{video}/playback")["hls"]
    return paths


def length(api, path):
    return len(api.ask("GET", path)[1])


def lay_out(api, paths, size, root):
    """Writes nginx's copy of the stored bytes and the four lists of paths; the mean length of an answer."""
    files = []
    for number, path in enumerate(paths["stored"][size]):
        file = root / f"{size.replace(' ', '')}-{number}.m4s"
        file.write_bytes(api.ask("GET", path)[1])
        files.append(file)
    for name in SERVERS:
        listed = paths[name][size] if name in paths else [f"/{file.name}" for file in files]
        (root / f"{size} {name}.txt").write_text("".join(urlsplit(path).path + "\n" for path in listed))
    return sum(file.stat().st_size for file in files) / len(files)


def command_of(read, reader, script, port, listed):
    if read == "8 KiB":
        wrk = shutil.which("wrk")
        if not wrk:
            raise RuntimeError("wrk is missing: apt-get install wrk")
        count = ["-t", "2", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "-s", str(script)]
        return [wrk, *count, f"http://127.0.0.1:{port}/", "--", str(listed)]
    return [str(reader), f"127.0.0.1:{port}", str(CONNECTIONS), str(SECONDS), str(BIG_READ), str(listed)]


def once(pid, command):
    before = measure.tree_cpu_s(pid)
    client_s, counted = measure.spent_json(command, stderr=subprocess.STDOUT)
    server_s = measure.tree_cpu_s(pid) - before
    if "error" in counted or not counted["requests"]:
        raise RuntimeError(f"{' '.join(command)}: {json.dumps(counted)}")
    gb = counted["bytes"] / 1e9
    return {
        "server": server_s / gb,
        "client": client_s / gb,
        "sum": (server_s + client_s) / gb,
        "per_s": counted["requests"] / counted["seconds"],
        "gb_s": gb / counted["seconds"],
        "server_us": server_s * 1e6 / counted["requests"],
    }


def row(cell, bytes_each, seen):
    """One line of the table; nginx is the better of its two ways, by the median of the sum."""
    median = {name: measure.spread([one["sum"] for one in seen[cell, name]])["median"] for name in SERVERS}
    nginx = min(SERVERS[2:], key=median.get)
    whole = {
        name: {key: measure.spread([one[key] for one in seen[cell, name]]) for key in seen[cell, name][0]}
        for name in SERVERS
    }
    ratio = {
        name: {
            key: measure.ratios([one[key] for one in seen[cell, name]], [one[key] for one in seen[cell, nginx]])
            for key in ("sum", "server", "per_s")
        }
        for name in SERVERS[:2]
    }
    return {"size": cell[0], "read": cell[1], "bytes": bytes_each, "nginx": nginx, "all": whole, "ratio": ratio}
