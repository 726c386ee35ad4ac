"""(e) What a claim of a job costs beside many other rows, on both databases; the peer is the empty table."""

import json
import subprocess

from . import measure, world

TEST = "claims_are_measured"
# A claim beside 100,000 waiting and 1,000,000 done rows to one beside none.
GOAL = 1.5


def run(here, rounds):
    command = ["cargo", "test", "--release", "-p", "matinee-io", "--lib", "--", "--ignored", "--nocapture", TEST]
    seen = {}
    for number in range(rounds):
        ran = subprocess.run(command, cwd=world.ROOT, capture_output=True, text=True)
        lines = [line for line in (ran.stdout + ran.stderr).splitlines() if line.startswith("measured ")]
        if ran.returncode or not lines:
            raise RuntimeError(f"{' '.join(command)}: {ran.stderr[-2000:]}")
        for line in lines:
            told = json.loads(line.removeprefix("measured "))
            key = (told["database"], told["waiting"], told["later"], told["done"])
            seen.setdefault(key, []).append(told)
        print(f"  {number + 1}: {len(lines)} cases", flush=True)
    return [row(key, told) for key, told in seen.items()]


def row(key, told):
    database, waiting, later, done = key
    spread = {name: measure.spread([one[name] for one in told]) for name in ("median_us", "p90_us")}
    return {"database": database, "waiting": waiting, "later": later, "done": done, **spread}
