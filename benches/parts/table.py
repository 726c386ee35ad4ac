"""The published table: kept results become Markdown between two marks of README.md."""

import json
import re
import time

from . import encode, events, ladder, playable, queue, recordings, serving, stores, upload, workers

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def keep(here, name, result, rounds):
    """A part is measured in one run; another part may be of another run."""
    kept = {"result": result, "rounds": rounds, "day": time.strftime("%Y-%m-%d"), "conditions": here.conditions()}
    folder = here.cache / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(kept, indent=1))


def text(here, names, readme):
    """The whole table: what was measured on this machine, else what the README has."""
    published, lines = sections(readme), []
    for name in names:
        path = here.cache / "results" / f"{name}.json"
        lines.append(f"<!-- bench:{name} -->")
        if not path.exists():
            lines += [published.get(name, f"*{name}: not measured yet.*"), ""]
            continue
        kept = json.loads(path.read_text())
        lines += WRITERS[name](kept["result"])
        facts = "; ".join(f"{key} {value}" for key, value in kept["conditions"].items())
        lines += ["", f"<sub>{kept['day']}, {kept['rounds']} rounds, interleaved. {facts}.</sub>", ""]
    return "\n".join(lines).strip() + "\n"


def sections(readme):
    """The parts of the published table by their names."""
    table = readme.partition(BEGIN)[2].partition(END)[0]
    pieces = re.split(r"<!-- bench:(\w+) -->", table)
    return {name: piece.strip() for name, piece in zip(pieces[1::2], pieces[2::2], strict=True)}


def into_readme(path, table):
    readme = path.read_text()
    head, _, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise RuntimeError(f"{path} has no marks for the table")
    path.write_text(f"{head}{BEGIN}\n{table}{END}{tail}")


def span(spread, digits=2):
    """Median with the smallest and the largest value."""
    return f"{spread['median']:.{digits}f} ({spread['min']:.{digits}f}–{spread['max']:.{digits}f})"


def verdict(value, goal, unit=""):
    return f"≤ {goal}{unit}: {'reached' if value <= goal else '**missed**'}"


def of_playable(rows):
    lines = [
        "**From the last byte to playable**, ms after the final 204, median (min–max). *Stamped* is the server's own time.",
        "",
        "| Source, H.264 High with B-frames and AAC | Size | Stamped | Seen by a poll | First segment received | Goal, ms |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        place = "index in front" if row["front"] else "index at the end"
        lines.append(
            f"| {row['seconds']} s, {place} | {row['bytes'] / 1e6:.0f} MB | {span(row['stamped'], 0)} "
            f"| {span(row['asked'], 0)} | {span(row['segment'], 0)} | {verdict(row['asked']['median'], playable.GOAL_MS)} |"
        )
    return lines


def of_ladder(result):
    cpu, made = result["cpu"], result["bytes"]
    rows = [
        ("matinee, upload to ready", "matinee", ""),
        ("one bare ffmpeg, decoding once, and one for the sound", "cascade", ("to_cascade", ladder.GOAL_CASCADE)),
        ("one bare ffmpeg per rendition, and one for the sound", "separate", ("to_separate", ladder.GOAL_SEPARATE)),
    ]
    lines = [
        f"**The ladder**, {result['seconds']} s of 1080p to {', '.join(result['renditions'])} and AAC: "
        "CPU seconds of all processes, x264 `veryfast`, same quality and caps.",
        "",
        "| | CPU s | Bytes, each size with sound | matinee to it | Goal |",
        "|---|---|---|---|---|",
    ]
    for label, name, goal in rows:
        ratio = f"{span(result[goal[0]])} | {verdict(result[goal[0]]['median'], goal[1])}" if goal else "1 | "
        lines.append(f"| {label} | {span(cpu[name], 1)} | {made[name] / 1e6:.1f} MB | {ratio} |")
    return lines


ENCODERS = {
    "matinee": "matinee, upload to ready",
    "cascade": "one bare ffmpeg, decoding once",
    "chunks": "the same in the chunks of matinee's plan",
    "separate": "one bare ffmpeg per rendition",
    "peertube": "PeerTube's arguments, one ffmpeg per rendition",
    "django": "django-video-transcoding's arguments: split, 4 sizes at `slow` and 30 frames/s, HLS",
}


def of_encode(result):
    goals = {"cascade": encode.GOAL_CASCADE, "peertube": encode.GOAL_PEERTUBE}
    lines = [
        f"**The encoding engine**, {result['seconds']} s of 1080p to 1080, 720 and 480 and AAC. Quality is SSIM to the source in the "
        "same size; bytes are of the pictures alone. matinee's memory is that of all its processes together, with 2 chunks at a "
        "time; that of the others is of their largest process, one at a time.",
        "",
        "| | CPU s | Memory, MiB | MB and SSIM at 1080 | at 720 | at 480 | matinee to it, CPU | Goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way, label in ENCODERS.items():
        made = result["quality"].get(way)
        seen = [f"{one['bytes'] / 1e6:.2f}, {one['ssim']:.4f}" for one in made] if made else [""] * 3
        ratio = result["to"][way]
        goal = verdict(ratio["median"], goals[way]) if way in goals else ""
        to = "1" if way == "matinee" else span(ratio)
        lines.append(
            f"| {label} | {span(result['cpu'][way], 1)} | {span(result['memory'][way], 0)} | {' | '.join(seen)} | {to} | {goal} |"
        )
    kills, first = result["kills"], result["playable"]["median"]
    each = kills["wasted_cpu_s"] / max(kills["kills"], 1)
    ready = "; ".join(f"{name} {span(seconds, 1)} s" for name, seconds in result["ready_s"].items())
    lines += [
        "",
        "| | | Goal |",
        "|---|---|---|",
        f"| Cutting into chunks, CPU to one pass | {span(result['chunked'])} | {verdict(result['chunked']['median'], encode.GOAL_CHUNKED)} |",
        f"| CPU until a compatible source is playable, to the ladder's | {first * 100:.2f} % | {verdict(first * 100, encode.GOAL_PLAYABLE * 100, ' %')} |",
        f"| Seconds from the last byte: playable | {span(result['playable_s'])} | |",
        f"| Seconds from the last byte to each rendition | {ready} | |",
        f"| Work done again after `kill -9` of server and encoders, CPU s for each of {kills['kills']} kills | {each:.1f} "
        f"| at most a chunk in each of 2 slots ({kills['allowed_cpu_s'] / max(kills['kills'], 1):.1f}): "
        f"{'reached' if kills['wasted_cpu_s'] <= kills['allowed_cpu_s'] else '**missed**'} |",
        f"| What the sandbox adds to a start of ffprobe, CPU ms | {span(result['sandbox_ms'], 1)} "
        f"| {verdict(result['sandbox_ms']['median'], encode.GOAL_SANDBOX_MS)} |",
    ]
    return lines


def of_workers(result):
    lines = [
        f"**More workers**: how many times sooner {result['seconds']} s of 720p are encoded in all sizes than with one worker. *Seen*: runners of one "
        f"slot, each pinned to one core of this machine, which the server needs, too. *On paper*: the {result['jobs']} jobs of the run with one worker, "
        "each as long as it took there, begun in the same order. A shorter film has fewer chunks than workers need to end together.",
        "",
        "| Workers | Seconds, seen | Times sooner, seen | On paper | Goal |",
        "|---|---|---|---|---|",
    ]
    for count in workers.ON_PAPER:
        seen = result["real"].get(str(count)) or result["real"].get(count)
        took = result["real_s"].get(str(count)) or result["real_s"].get(count)
        paper = result["paper"].get(str(count)) or result["paper"].get(count)
        goal = f"≥ {workers.GOAL}: {'reached' if paper >= workers.GOAL else '**missed**'} on paper" if count == 4 else ""
        cells = f"{span(took, 1)} | {span(seen)}" if seen else "no such machine here | "
        lines.append(f"| {count} | {cells} | {paper:.2f} | {goal} |")
    return lines


def of_upload(result):
    lines = [
        "**Uploads** (tus, the same disk). matinee has every byte and row on the disk, hashed, before it answers; the others "
        "sync nothing. Ratios are of matinee to the row.",
        "",
        "| | Server CPU s/GiB | MiB/s | Peak memory, MiB | For each upload, MiB | matinee to it, CPU | Goal |",
        "|---|---|---|---|---|---|---|",
    ]
    goals = {upload.PEER: upload.GOAL, upload.FLOOR: upload.GOAL_FLOOR}
    for row in result["large"]:
        for server, one in row["servers"].items():
            to, ratio = row["to"][server], goals.get(server)
            goal = verdict(to["median"], ratio) if ratio else ""
            if server == upload.MATINEE:
                goal = f"CPU {verdict(one['cpu']['median'], upload.GOAL_CPU_S)}; memory {verdict(one['each']['median'], upload.GOAL_MEMORY_MIB)}"
            lines.append(
                f"| {row['case']}, {server} | {span(one['cpu'])} | {span(one['mib_s'], 0)} | {span(one['peak'], 0)} "
                f"| {span(one['each'], 1)} | {'1' if server == upload.MATINEE else span(to)} | {goal} |"
            )
    disk = result["disk"]
    lines.append(f"| 1 GiB, {upload.DISK} | {span(disk['cpu'])} | {span(disk['mib_s'], 0)} | | | | |")
    few, many = map(str, upload.SMALL_CONNECTIONS)
    lines += [
        "",
        f"**Small uploads**, {upload.SMALL_BYTES} bytes each, a POST and a PATCH; and {upload.IDLE} requests that have stopped "
        "after their first byte.",
        "",
        f"| | Files/s, {few} connections | Files/s, {many} connections | CPU ms/file | KiB for each that has stopped | Goal |",
        "|---|---|---|---|---|---|",
    ]
    for server, counts in result["small"].items():
        per_s = counts[many]["per_s"]
        goal = "" if server != upload.MATINEE else f"≥ {upload.GOAL_SMALL} files/s: {'reached' if per_s['median'] >= upload.GOAL_SMALL else '**missed**'}"
        lines.append(
            f"| {server} | {span(counts[few]['per_s'], 0)} | {span(per_s, 0)} | {span(counts[many]['cpu_ms'])} "
            f"| {span(result['idle'][server], 0)} | {goal} |"
        )
    if upload.RUSTUS not in result["small"]:
        lines.append(f"| {upload.RUSTUS} | not measured | not measured | | | |")
    return lines


def of_queue(rows):
    lines = [
        "**The queue**: microseconds of one claim of a job, median of 200, and what nine of ten do not exceed; beside rows that wait, "
        "whose time has not come, or that are done. The peer is a table without them.",
        "",
        "| Database | Waiting | Not yet | Done | A claim, µs | Nine of ten, µs | To the empty table | Goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    empty = {row["database"]: row["median_us"]["median"] for row in rows if not row["waiting"] + row["later"] + row["done"]}
    for row in rows:
        ratio = row["median_us"]["median"] / empty[row["database"]]
        goal = verdict(ratio, queue.GOAL) if row["done"] else ""
        lines.append(
            f"| {row['database']} | {row['waiting']:,} | {row['later']:,} | {row['done']:,} | {span(row['median_us'], 0)} "
            f"| {span(row['p90_us'], 0)} | {ratio:.2f} | {goal} |"
        )
    return lines


def of_stores(result):
    ours, theirs = result["put"][stores.MATINEE], result["put"][stores.RCLONE]
    lines = [
        f"**Copies**: {stores.LONG_MIB} MiB to S3 (s3s-fs on the same machine, not counted) in parts of 8 MiB, four at once, then read back "
        "and compared; matinee from its start on, rclone with `copy` and `check --download`.",
        "",
        "| | MiB/s | CPU s | Peak memory, MiB | matinee to it, CPU | Goal |",
        "|---|---|---|---|---|---|",
        f"| matinee | {span(ours['mib_s'], 0)} | {span(ours['cpu'])} | {span(ours['peak'], 0)} | 1 "
        f"| {verdict(ours['peak']['median'], stores.GOAL_PEAK_MIB)} MiB |",
        f"| rclone | {span(theirs['mib_s'], 0)} | {span(theirs['cpu'])} | {span(theirs['peak'], 0)} | {span(result['to'])} "
        f"| {verdict(result['to']['median'], stores.GOAL_CPU)} |",
        "",
        "**Read again** (`matinee stores scrub`, its start included), MiB/s: "
        + ", ".join(f"{way} {span(seen, 0)}" for way, seen in result["scrub"].items())
        + f". **Placed**: {stores.SMALL} objects of {stores.SMALL_BYTES} bytes into a folder, each synced and read back: "
        f"{span(result['placed'], 0)} in a second.",
    ]
    return lines


def of_recordings(result):
    return [
        f"**Recordings**: {recordings.COUNT} of {result['mib']} MiB at once by tus, each archived to S3 (s3s-fs) and handed to a stand-in of Bunny Stream, "
        "one job after the other, with the configuration of `examples/recording-pipeline`. What the process had in memory at most.",
        "",
        "| After the uploads, MiB | In the end, MiB | CPU s/GiB | Seconds | Goal |",
        "|---|---|---|---|---|",
        f"| {span(result['upload_mib'], 0)} | {span(result['peak_mib'], 0)} | {span(result['cpu_s_gib'])} | {span(result['seconds'], 0)} "
        f"| {verdict(result['peak_mib']['median'], recordings.GOAL_PEAK_MIB)} MiB |",
    ]


def of_serving(rows):
    names = {
        "stored": "matinee, stored size",
        "source": "matinee, out of the source",
        "nginx sendfile": "nginx, `sendfile on`",
        "nginx buffers": "nginx, `sendfile off`",
    }
    lines = [
        f"**Serving**, {serving.CONNECTIONS} kept connections; the ratio is to the better nginx, server and client together.",
        "",
        "| Answer, read by the client in | | CPU s/GB, server + client | Server alone | Server µs/request | Requests/s | CPU to nginx | Goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for name, label in names.items():
            one, cell = row["all"][name], f"{row['bytes'] / 1e3:.0f} KB, {row['read']}"
            own = row["ratio"].get(name)
            goal = f"{span(own['sum'])} | {verdict(own['sum']['median'], serving.GOAL)}" if own else " | "
            goal = "1 | " if name == row["nginx"] else goal
            lines.append(
                f"| {cell} | {label} | {span(one['sum'], 3)} | {span(one['server'], 3)} | {span(one['server_us'], 0)} "
                f"| {span(one['per_s'], 0)} | {goal} |"
            )
    return lines


def of_events(result):
    lines = [
        f"**Telling others**: {result['events']} events to a webhook on this machine (a connection each), and to one Redis that was away. "
        "CPU seconds are the server's own.",
        "",
        "| | Events a second | CPU s for 1,000 | Goal |",
        "|---|---|---|---|",
        f"| to a webhook | {span(result['webhook'], 0)} | {span(result['webhook_cpu'])} | |",
        f"| to a broker | {span(result['broker'], 0)} | {span(result['broker_cpu'])} | |",
        "",
        f"From the answer that made an event to the broker's having it: {span(result['lag'], 1)} ms "
        f"({verdict(result['lag']['median'], events.GOAL_LAG_MS)} ms).",
    ]
    return lines


WRITERS = {
    "playable": of_playable,
    "ladder": of_ladder,
    "upload": of_upload,
    "serving": of_serving,
    "encode": of_encode,
    "workers": of_workers,
    "queue": of_queue,
    "stores": of_stores,
    "events": of_events,
    "recordings": of_recordings,
}
