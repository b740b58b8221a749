"""What all parts share: the options, the models, and what is made only once and only if wanted."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import model
from .hub import Hub

ROOT = Path(__file__).parent.parent.parent
# Python packages rather than programs
PACKAGES = ("oci_modelcar", "olot")


class Setting:
    def __init__(self, options, work: Path):
        self.options, self.work = options, work
        self.modelcars = {"modelcar": options.modelcar} | dict(words.split("=", 1) for words in options.also)
        self.storage = Path(options.storage or work)
        self.scratch = work / "scratch"
        self.python = str(ROOT / ".venv/bin/python")
        self.python_path = ":".join(str(ROOT / ".peers/python" / name) for name in ("bench", "huggingface-hub"))
        self.models: dict[str, Path] = {}
        self._digests: dict[Path, str] = {}
        self._hub: Hub | None = None

    def say(self, words: str):
        """Progress goes to standard error: standard output is the tables."""
        print(words, file=sys.stderr, flush=True)

    def has(self, need: str) -> bool:
        if need not in PACKAGES:
            return shutil.which(need) is not None
        words = [self.python, "-c", f"import {need}"]
        try:
            return subprocess.run(words, env={"PYTHONPATH": self.python_path}, capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    def make_models(self):
        """v1, two next versions of it with another shard changed in each, and a model of even shards."""
        total = self.options.size
        self.say(f"bench: making models of {total / model.MB:,.0f} MB in {self.work}")
        folder = self.work / "models"
        v1 = folder / "v1"
        model.make(v1, "v1", model.sizes_of(total))
        for name, shard in (("v2", 3), ("v2-known", 4)):
            model.next_version(v1, folder / name, shard)
        model.make(folder / "even", "even", [total // 20] * 20)
        one = folder / "one"
        one.mkdir()
        largest = max(v1.iterdir(), key=lambda path: path.stat().st_size)
        (one / "model.safetensors").hardlink_to(largest)
        self.models = {path.name: path for path in folder.iterdir()}
        # what is still being written would slow the first contestant
        os.sync()

    def digest(self, path: Path) -> str:
        """The file's SHA-256 in hexadecimal."""
        if path not in self._digests:
            with open(path, "rb") as file:
                self._digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._digests[path]

    def blob_list(self, folder: Path) -> Path:
        """The folder's files with their digests, the largest first, for the floor."""
        file = self.work / f"{folder.name}.blobs"
        if not file.exists():
            paths = sorted(folder.iterdir(), key=lambda path: -path.stat().st_size)
            file.write_text("".join(f"sha256:{self.digest(path)} {path}\n" for path in paths))
        return file

    def base_layout(self) -> Path:
        from .contestants import write_base_layout

        folder = self.work / "base"
        return folder if folder.exists() else write_base_layout(folder)

    def hub_url(self) -> str:
        if self._hub is None:
            folders = list(self.models.values())
            for folder in folders:
                for path in folder.iterdir():
                    self.digest(path)
            self._hub = Hub(folders, self._digests)
        return self._hub.url

    def prepare(self):
        """All that must not be made while somebody is measured; it also brings the models into the page cache."""
        for folder in self.models.values():
            self.blob_list(folder)

    def close(self):
        if self._hub is not None:
            self._hub.stop()

    def fresh_scratch(self) -> Path:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        return self.scratch
