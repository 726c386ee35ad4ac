"""(b) What the whole flow costs, from the first byte to ready, beside bare ffmpeg with the same encoder settings."""

import json
import os
import subprocess

from . import measure, sources
from .api import Api

SECONDS = int(os.environ.get("BENCH_LADDER_S", "40"))
GOAL_CASCADE, GOAL_SEPARATE = 1.05, 0.75
# The caps of the ladder in kbit/s by short side; a source of less gets less.
CAPS = {1080: 5000, 720: 3000, 480: 1500, 360: 950, 240: 500}


def run(here, rounds):
    source = sources.warm(sources.full_hd(here.cache, SECONDS))
    ways = {"matinee": whole_flow, "cascade": cascade, "separate": separate}
    seen = {way: [] for way in ways}
    sizes = None
    for number in range(rounds):
        for way, measured in ways.items():
            one = measured(here, source, sizes)
            sizes = one.get("sizes", sizes)
            seen[way].append(one)
            print(f"  {number + 1}: {way} {one['cpu']:.2f} CPU s, {one['bytes']} bytes", flush=True)
    cpu = {way: [one["cpu"] for one in runs] for way, runs in seen.items()}
    return {
        "seconds": SECONDS,
        "renditions": [f"{width}x{height}" for width, height in sizes],
        "cpu": {way: measure.spread(values) for way, values in cpu.items()},
        "bytes": {way: runs[0]["bytes"] for way, runs in seen.items()},
        "to_cascade": measure.ratios(cpu["matinee"], cpu["cascade"]),
        "to_separate": measure.ratios(cpu["matinee"], cpu["separate"]),
    }


def whole_flow(here, source, _):
    """Server and every process that it started: upload, check, poster, chunks, sound, assembly."""
    with here.matinee() as server:
        before = measure.tree_cpu_s(server.pid)
        api = Api(server.port)
        video, _ = api.upload(source)
        # Asking costs the server something too, so rarely.
        state, _ = api.wait(video, lambda now: now["state"] == "ready", 1, 1800)
        cpu_s = measure.tree_cpu_s(server.pid) - before
    pictures = [one for one in state["renditions"] if one["medium"] == "video" and one["id"].startswith("h264-")]
    pictures.sort(key=lambda one: -one["height"])
    made = sum(one["bytes"] or 0 for one in pictures)
    return {"cpu": cpu_s, "bytes": made, "sizes": [(one["width"], one["height"]) for one in pictures]}


def cascade(here, source, sizes):
    """One ffmpeg that decodes once, and one for the sound."""
    return spent(*cascade_commands(here, source, sizes))


def cascade_graph(sizes):
    graph = "[0:v:0]setsar=1,format=yuv420p"
    for n, (width, height) in enumerate(sizes):
        if n:
            graph += f"[b{n - 1}]scale={width}:{height}:flags=bicubic,setsar=1"
        graph += f",split=2[v{n}][b{n}];" if n < len(sizes) - 1 else f"[v{n}]"
    return graph


def cascade_commands(here, source, sizes):
    folder, (rate, bits) = here.folder("cascade"), facts(source)
    graph = cascade_graph(sizes)
    command = ["-i", str(source), "-an", "-sn", "-dn", "-filter_complex", graph]
    for n, size in enumerate(sizes):
        command += ["-map", f"[v{n}]", *x264(sizes[0], size, rate, bits), str(folder / f"{n}.mp4")]
    return folder, [command, sound(source, folder)]


def separate(here, source, sizes):
    """One ffmpeg for each rendition, one after the other, and one for the sound."""
    return spent(*separate_commands(here, source, sizes))


def separate_commands(here, source, sizes):
    folder, (rate, bits) = here.folder("separate"), facts(source)
    commands = []
    for n, size in enumerate(sizes):
        scale = "" if n == 0 else f"scale={size[0]}:{size[1]}:flags=bicubic,"
        command = ["-i", str(source), "-an", "-sn", "-dn", "-vf", f"{scale}setsar=1,format=yuv420p"]
        commands.append([*command, *x264(sizes[0], size, rate, bits), str(folder / f"{n}.mp4")])
    return folder, [*commands, sound(source, folder)]


def spent(folder, commands):
    begin = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-y"]
    cpu_s = sum(measure.spent([*begin, *command])[0] for command in commands)
    pictures = [path.stat().st_size for path in folder.glob("[0-9]*.mp4")]
    # Each of the product's files holds the sound too.
    return {"cpu": cpu_s, "bytes": sum(pictures) + len(pictures) * (folder / "sound.mp4").stat().st_size}


def x264(top, size, rate, bits):
    """The same preset, quality, cap, key frames and threads as the product's."""
    share = size[0] * size[1] / (top[0] * top[1])
    cap = min(CAPS[min(size)], int(bits * 1.1 * share**0.75 / 1000))
    every = f"expr:not(mod(n,{2 * rate}))"
    return [
        *["-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-maxrate", f"{cap}k", "-bufsize", f"{2 * cap}k"],
        *["-profile:v", "high", "-g", "250", "-keyint_min", "250", "-force_key_frames", every, "-forced-idr", "1"],
        *["-flags", "+cgop", "-threads", "1", "-map_metadata", "-1", "-map_chapters", "-1"],
        *["-f", "mp4", "-movflags", "+cmaf+frag_keyframe+empty_moov+default_base_moof"],
    ]


def sound(source, folder):
    return [
        *["-i", str(source), "-map", "0:a:0", "-vn", "-sn", "-dn", "-af", "aresample=async=1:first_pts=0"],
        *["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000", "-map_metadata", "-1", "-map_chapters", "-1"],
        *["-f", "mp4", "-movflags", "+cmaf+empty_moov+default_base_moof", "-frag_duration", "2000000"],
        str(folder / "sound.mp4"),
    ]


def facts(source):
    """Frames per second and bit/s of the picture."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=avg_frame_rate,bit_rate"]
    printed = subprocess.run([*command, "-of", "json", str(source)], capture_output=True, check=True).stdout
    stream = json.loads(printed)["streams"][0]
    over, under = map(int, stream["avg_frame_rate"].split("/"))
    return round(over / under), int(stream["bit_rate"])
