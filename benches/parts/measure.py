"""Processor seconds, memory and medians. All of it from /proc and wait4; nothing is sampled."""

import json
import os
import statistics
import subprocess
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat behind the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def own_cpu_s(pid):
    """User and system seconds of a process, without its children."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) * TICK_S


def _tree(pid):
    """The fields of a process and of its living descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = _stat(entry)
            except (FileNotFoundError, ProcessLookupError):
                pass
    wanted = {pid}
    grew = True
    while grew:
        more = {child for child, fields in parents.items() if int(fields[1]) in wanted} - wanted
        wanted |= more
        grew = bool(more)
    return [parents[one] for one in wanted & parents.keys()]


def tree_cpu_s(pid):
    """Seconds of a process, of its living descendants, and of all that were waited for."""
    return sum(sum(int(field) for field in fields[11:15]) for fields in _tree(pid)) * TICK_S


def tree_resident_mib(pid):
    """What a process and its living descendants have in memory, in MiB; pages that they share count for each."""
    return sum(int(fields[21]) for fields in _tree(pid)) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def forget_peak(pid):
    """Begins the peak of the resident memory anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mib(pid):
    """VmHWM in MiB."""
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM")


def spent(command, **options):
    """Runs a command to its end: (processor seconds with its children, what it printed)."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, **options)
    printed = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {printed[-2000:]!r}")
    return used.ru_utime + used.ru_stime, printed


def spent_with_peak(command, **options):
    """Runs a command to its end: (processor seconds with its children, its largest resident memory in MiB)."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, **options)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}: {said[-2000:]!r}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def spent_json(command, **options):
    """The same for a command whose last line is JSON."""
    cpu_s, printed = spent(command, **options)
    return cpu_s, json.loads(printed.decode().strip().splitlines()[-1])


def spread(values):
    """Median, smallest, largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def ratios(ours, theirs):
    """The ratio of each round, so that a slow minute of the machine counts on both sides."""
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])
