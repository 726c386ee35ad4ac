"""Inputs, made once by ffmpeg and kept in the cache: from BENCH_MEDIA (default ../shared/media) or drawn."""

import os
import subprocess
from pathlib import Path

from .world import ROOT

CLIP = "bbb-480p-30s.mp4"
MIB = 1 << 20


def _made(path, make):
    """Makes a file once; a half-made one never has the name."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name("part-" + path.name)
        make(part)
        part.rename(path)
    return path


def _ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)], check=True)


def _input():
    """A real film where there is one; else a drawn picture with sound."""
    clip = Path(os.environ.get("BENCH_MEDIA") or ROOT.parent / "shared" / "media") / CLIP
    if clip.exists():
        return "bbb", ["-stream_loop", "-1", "-i", clip]
    drawn = "testsrc2=size=854x480:rate=24,noise=alls=6:allf=t"
    return "drawn", ["-f", "lavfi", "-i", drawn, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]


X264 = ["-c:v", "libx264", "-profile:v", "high", "-pix_fmt", "yuv420p", "-bf", "2", "-sc_threshold", "0"]
AAC = ["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000"]


def compatible(cache, seconds, faststart):
    """H.264 High with B-frames and AAC stereo in 480p, a key frame every 2 s: playable as it is."""
    kind, film = _input()
    unit = _made(
        cache / "sources" / f"{kind}-480p-unit.mp4",
        lambda to: _ffmpeg(*film, "-t", 30, *X264, "-preset", "veryfast", "-g", 48, *AAC, to),
    )
    flags = ["-movflags", "+faststart"] if faststart else []
    repeat = ["-stream_loop", -(-seconds // 30) - 1, "-i", unit, "-t", seconds, "-c", "copy"]
    name = f"{kind}-480p-{seconds}s-{'front' if faststart else 'end'}.mp4"
    return _made(cache / "sources" / name, lambda to: _ffmpeg(*repeat, *flags, to))


def full_hd(cache, seconds):
    """The film scaled to 1080p at 8 Mbit/s: what the ladder bench encodes."""
    return _scaled(cache, seconds, (1920, 1080), 8)


def hd(cache, seconds):
    """The film scaled to 720p at 4 Mbit/s: a longer one in the same time."""
    return _scaled(cache, seconds, (1280, 720), 4)


def _scaled(cache, seconds, size, mbit):
    kind, film = _input()
    width, height = size
    scale = ["-t", seconds, "-vf", f"scale={width}:{height}:flags=lanczos,setsar=1"]
    rate = ["-b:v", f"{mbit}M", "-maxrate", f"{mbit * 3 // 2}M", "-bufsize", f"{mbit * 2}M", "-g", 48]
    name = f"{kind}-{height}p-{seconds}s.mp4"
    return _made(
        cache / "sources" / name,
        lambda to: _ffmpeg(*film, *scale, *X264, "-preset", "veryfast", *rate, *AAC, "-movflags", "+faststart", to),
    )


def five_mbit(cache):
    """24 s of 1080p30 at 5 Mbit/s with a key frame every 4 s: segments of about 2.5 MB."""
    kind, film = _input()
    picture = "scale=1920:1080:flags=bicubic,setsar=1,noise=alls=14:allf=t+u,fps=30"
    rate = ["-b:v", "5M", "-maxrate", "5M", "-bufsize", "5M", "-g", 120, "-keyint_min", 120]
    name = f"{kind}-1080p-5mbit.mp4"
    return _made(
        cache / "sources" / name,
        lambda to: _ffmpeg(
            *film, "-t", 24, "-vf", picture, *X264, "-preset", "superfast", *rate, *AAC, "-movflags", "+faststart", to
        ),
    )


def noise(cache, mib):
    """Bytes that are no video."""

    def write(to):
        with open(to, "wb") as file:
            for _ in range(mib):
                file.write(os.urandom(MIB))

    return _made(cache / "sources" / f"noise-{mib}.bin", write)


def warm(path):
    """Brings a file into the page cache."""
    with open(path, "rb") as file:
        while file.read(4 * MIB):
            pass
    return path
