"""(a) From the final 204 to playable, for a compatible source of two lengths, with its index in front and at the end."""

import time

from . import measure, sources
from .api import Api, moment

CASES = [(30, True), (30, False), (600, True), (600, False)]
GOAL_MS = 500


def run(here, rounds):
    files = {case: sources.warm(sources.compatible(here.cache, *case)) for case in CASES}
    rows = {case: {"asked": [], "stamped": [], "segment": []} for case in CASES}
    with here.matinee() as server:
        once(server, files[CASES[0]])
        for number in range(rounds):
            for case in CASES:
                for name, value in once(server, files[case]).items():
                    rows[case][name].append(value)
                print(f"  {number + 1}: {case} {rows[case]['asked'][-1]:.0f} ms", flush=True)
    return [
        {
            "seconds": seconds,
            "front": front,
            "bytes": files[seconds, front].stat().st_size,
            **{name: measure.spread(values) for name, values in rows[seconds, front].items()},
        }
        for seconds, front in CASES
    ]


def once(server, file):
    """Milliseconds after the 204: until a poll says playable, by the server's own stamp, until a first segment came."""
    api = Api(server.port)
    video, answered = api.upload(file)
    state, seen = api.wait(video, lambda now: now["playable"], 0.002, 60)
    hls = api.json(f"/v1/videos/{video}/playback")["hls"]
    _, init, segments = api.tracks(hls)[-1]
    api.ask("GET", init)
    api.ask("GET", segments[0])
    played = time.time()
    # The ladder of this one must not compete with the next.
    api.ask("DELETE", f"/v1/videos/{video}")
    stamped = moment(state["playable_at"]) - answered
    return {"asked": (seen - answered) * 1e3, "stamped": stamped * 1e3, "segment": (played - answered) * 1e3}
