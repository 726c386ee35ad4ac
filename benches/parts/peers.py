"""What other platforms make ffmpeg do for the same ladder: their own arguments, run by us one after the other."""

import re
import subprocess

from . import measure
from .ladder import CAPS, sound

BEGIN = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-y"]
# The default preset of django-video-transcoding: name, profile, size, kbit/s.
DJANGO = [("high", 1920, 1080, 5000), ("high", 1280, 720, 3000), ("main", 854, 480, 1500), ("main", 640, 360, 800)]


def peertube(here, source, sizes, rate):
    """PeerTube: one ffmpeg for each size, each decodes and scales the source; its preset and B-frames, our caps."""
    folder, commands = here.folder("peertube"), []
    for n, (width, height) in enumerate(sizes):
        cap = CAPS[min(width, height)]
        commands.append([
            *["-i", str(source), "-map", "0:v:0", "-an", "-vf", f"scale=w=-2:h={height}", "-r", str(rate)],
            *["-c:v", "libx264", "-preset", "veryfast", "-b_strategy", "1", "-bf", "16", "-pix_fmt", "yuv420p"],
            *["-maxrate", f"{cap}k", "-bufsize", f"{2 * cap}k", "-g", str(2 * rate), "-max_muxing_queue_size", "1024"],
            *["-map_metadata", "-1", "-movflags", "faststart", str(folder / f"{n}.mp4")],
        ])
    return folder, [*commands, sound(source, folder)]


def django(here, source, _sizes, _rate):
    """django-video-transcoding: split by stream copy, all sizes in one ffmpeg at 30 frames a second, then HLS."""
    folder = here.folder("django")
    split = [
        *["-i", str(source), "-map", "0:v", "-c:v", "copy", "-f", "stream_segment", "-segment_format", "mkv"],
        *["-avoid_negative_ts", "disabled", "-copyts", "-segment_list", str(folder / "list.m3u8")],
        *["-segment_list_type", "m3u8", "-segment_time", "60", str(folder / "part-%05d.mkv")],
        *["-map", "0:a", "-c:a", "copy", "-f", "matroska", "-copyts", str(folder / "sound.mkv")],
    ]
    names = [f"[s{n}]" for n in range(len(DJANGO))]
    graph = f"[0:v]split={len(DJANGO)}" + "".join(f"[i{n}]" for n in range(len(DJANGO)))
    graph += "".join(f";[i{n}]scale=w={w}:h={h}{names[n]}" for n, (_, w, h, _) in enumerate(DJANGO))
    whole = ["-i", str(folder / "part-00000.mkv"), "-filter_complex", graph]
    for name in names:
        whole += ["-map", name]
    whole += ["-c:v", "libx264", "-force_key_frames", "expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+4.8))"]
    for n, (profile, _, _, cap) in enumerate(DJANGO):
        whole += [f"-crf:v:{n}", "23", f"-preset:v:{n}", "slow", f"-maxrate:v:{n}", f"{cap}k"]
        whole += [f"-bufsize:v:{n}", f"{2 * cap}k", f"-profile:v:{n}", profile, f"-g:v:{n}", "48", f"-r:v:{n}", "30"]
    whole += ["-pix_fmt", "yuv420p", "-f", "mpegts", "-muxdelay", "0", "-copyts", str(folder / "whole.ts")]
    hls = ["-i", str(folder / "whole.ts"), "-i", str(folder / "sound.mkv"), "-map", "0:v", "-map", "1:a", "-c:v", "copy"]
    streams = " ".join([f"v:{n},agroup:a" for n in range(len(DJANGO))] + ["a:0,agroup:a"])
    hls += ["-c:a", "aac", "-b:a", "192k", "-ac", "2", "-ar", "48000", "-f", "hls", "-hls_time", "4.8"]
    hls += ["-hls_playlist_type", "vod", "-var_stream_map", streams, "-hls_segment_filename", str(folder / "%v-%d.ts")]
    return folder, [split, whole, [*hls, str(folder / "%v.m3u8")]]


def run(folder, commands):
    """CPU seconds and the largest resident memory of one process."""
    cpu_s, peak_mib = 0.0, 0.0
    for command in commands:
        one, mib = measure.spent_with_peak([*BEGIN, *command], cwd=folder)
        cpu_s, peak_mib = cpu_s + one, max(peak_mib, mib)
    return cpu_s, peak_mib


def ssim(made, stream, source, rate):
    """SSIM of one video stream to the source in its size and at its rate, from 0 to 1."""
    asked = ["-v", "error", "-select_streams", f"v:{stream}", "-show_entries", "stream=width,height", "-of", "csv=p=0"]
    printed = subprocess.run(["ffprobe", *asked, str(made)], capture_output=True, check=True).stdout.decode()
    width, height = printed.split()[0].split(",")[:2]
    graph = f"[1:v:0]fps={rate},scale={width}:{height}:flags=bicubic,setsar=1[r];[0:v:{stream}]fps={rate},setsar=1[m];[m][r]ssim"
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-i", str(made), "-i", str(source)]
    said = subprocess.run([*command, "-lavfi", graph, "-f", "null", "-"], capture_output=True, check=True).stderr
    return float(re.search(rb"SSIM.* All:([0-9.]+)", said)[1])


def picture_bytes(made, stream):
    """Bytes of the packets of one video stream: no container, no sound."""
    command = ["ffprobe", "-v", "error", "-select_streams", f"v:{stream}", "-show_entries", "packet=size", "-of", "csv=p=0"]
    printed = subprocess.run([*command, str(made)], capture_output=True, check=True).stdout
    return sum(int(line.strip(b",")) for line in printed.split())
