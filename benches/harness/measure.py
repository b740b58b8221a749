"""Runs a command and tells what it and all its children cost."""

import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

# Seldom enough to take no core from the work, often enough to see a buffer that stays.
INTERVAL = 0.05


@dataclass
class Command:
    """What to run: its words, and what it wants in the environment beside the usual."""

    words: list[str]
    env: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None


@dataclass
class Use:
    """What a run cost. Bytes and seconds; `memory` is the most that the processes held together at one look, or one of them ever."""

    seconds: float
    cpu: float
    memory: int
    written: int
    scratch: int
    sent: int | None = None
    registry_cpu: float | None = None


class Failed(Exception):
    """A command that ended badly; its last words."""


class Watch(threading.Thread):
    """Looks at a process and its children, and at the folder they may write to, until it is told to stop."""

    def __init__(self, pid: int, scratch: Path):
        super().__init__(daemon=True)
        self.pid, self.scratch_folder = pid, scratch
        self.memory = self.scratch = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(INTERVAL):
            self.look()

    def look(self):
        sizes = [memory_of(pid) for pid in family(self.pid)]
        self.memory = max(self.memory, sum(now for now, _ in sizes), *(most for _, most in sizes), 0)
        self.scratch = max(self.scratch, disk_use(self.scratch_folder))


def family(pid: int) -> list[int]:
    """The process and its children, and theirs."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                found += map(int, Path(f"/proc/{parent}/task/{task}/children").read_text().split())
        except OSError:
            continue  # it has just ended
    return found


def memory_of(pid: int) -> tuple[int, int]:
    """Resident bytes now and at most."""
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return tuple(int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    except (OSError, KeyError):
        return 0, 0  # ended, or a zombie


def disk_use(folder: Path) -> int:
    """Bytes on disk below the folder. A file with another name elsewhere (a hard link to the model) is not the command's own."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                stat = os.lstat(os.path.join(root, name))
            except OSError:
                continue
            total += stat.st_blocks * 512 if stat.st_nlink == 1 else 0
    return total


def environment(scratch: Path, extra: dict[str, str]) -> dict[str, str]:
    """Nothing of the caller's but PATH: a credential file or a proxy would be another test."""
    for name in ("home", "tmp"):
        (scratch / name).mkdir(parents=True, exist_ok=True)
    base = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(scratch / "home"), "TMPDIR": str(scratch / "tmp")}
    return base | {"SCRATCH": str(scratch)} | extra


def run(command: Command, scratch: Path, registry=None) -> Use:
    """Runs to the end. The kernel counts CPU time and writes of the whole family when it is waited for; the rest is sampled."""
    env = environment(scratch, command.env)
    before = registry.counters() if registry else None
    with tempfile.TemporaryFile() as log:
        began = time.monotonic()
        process = subprocess.Popen(command.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=command.folder)
        watch = Watch(process.pid, scratch)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        watch.ended.set()
        watch.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            log.seek(0)
            raise Failed(log.read().decode(errors="replace")[-2000:].strip() or f"exit code {process.returncode}")
    use = Use(seconds, usage.ru_utime + usage.ru_stime, watch.memory, usage.ru_oublock * 512, watch.scratch)
    if registry:
        received, cpu = registry.counters()
        use.sent, use.registry_cpu = received - before[0], cpu - before[1]
    return use
