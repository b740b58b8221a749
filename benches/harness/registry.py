"""Registries on loopback: Debian's docker-registry, distribution 3, and the null registry beside this."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

# name: the program, and how its version is asked
KINDS = {
    "docker-registry": ["--version"],
    "distribution": ["--version"],
    "null_registry": None,
}
CONFIGURATION = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {data}}}, delete: {{enabled: true}}}}
http: {{addr: "{host}"}}
"""
TICKS = os.sysconf("SC_CLK_TCK")


def find(kind: str) -> str | None:
    return shutil.which(kind)


def version_of(kind: str) -> str:
    program = find(kind)
    if program is None:
        return "not here"
    if KINDS[kind] is None:
        return "a stand-in that discards what it gets"
    said = subprocess.run([program, *KINDS[kind]], capture_output=True, text=True, check=False)
    return " ".join((said.stdout + said.stderr).split()[1:])


class Registry:
    """A registry with an empty store. `with Registry(…) as registry:` ends it and removes what it stored."""

    def __init__(self, kind: str, folder: Path):
        self.kind, self.folder = kind, folder
        self.process = None
        self.host = f"127.0.0.1:{free_port()}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(self._words(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment())
        self._wait()

    def _words(self) -> list[str]:
        program = find(self.kind)
        if self.kind == "null_registry":
            return [program, self.host]
        file = self.folder / "config.yml"
        file.write_text(CONFIGURATION.format(data=self.folder / "data", host=self.host))
        return [program, "serve", str(file)]

    def _wait(self):
        host, port = self.host.split(":")
        for _ in range(300):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        log = (self.folder / "log").read_text()
        self.stop()
        raise RuntimeError(f"{self.kind} does not answer on {self.host}: {log[-1000:]}")

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def empty(self):
        """Another process and another store: nothing of the last run is left in either."""
        self.stop()
        self.start()

    def counters(self) -> tuple[int, float]:
        """Bytes that the process has read so far, which while it is pushed to are those sent to it, and its CPU seconds."""
        proc = Path(f"/proc/{self.process.pid}")
        read = int(next(line for line in (proc / "io").read_text().splitlines() if line.startswith("rchar:")).split()[1])
        fields = (proc / "stat").read_text().rpartition(")")[2].split()
        return read, (int(fields[11]) + int(fields[12])) / TICKS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment() -> dict[str, str]:
    """REGISTRY_… variables of the caller would change the configuration."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "OTEL_"))} | {"OTEL_TRACES_EXPORTER": "none"}
