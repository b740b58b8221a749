"""Who takes part, how each is called, and what is missing where one cannot."""

import json
import hashlib
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from .measure import Command
from .setting import Setting

HERE = Path(__file__).parent.parent / "contestants"


@dataclass
class Contestant:
    """`push(setting, host, model, tag)` gives the command that makes an image of a folder and sends it."""

    name: str
    makes: str
    push: Callable[[Setting, str, Path, str], Command]
    needs: list[str] = field(default_factory=list)
    steps: tuple[str, ...] = ("cold",)
    # A slow one takes part in fewer rounds: its ratio is far from the noise, and everybody waits for it.
    most_rounds: int | None = None

    def missing(self, setting: Setting) -> str | None:
        """What is not here of what it needs."""
        return next((need for need in self.needs if not setting.has(need)), None)


def script(name: str, *words) -> Command:
    return Command([str(HERE / name), *map(str, words)])


def modelcar_push(program: str, *flags: str):
    def push(_: Setting, host: str, model: Path, tag: str) -> Command:
        return Command([program, "build", "--quiet", "--push", *flags, "--tag", f"{host}/bench/modelcar:{tag}", str(model)])

    return push


def modelcar_from_v1(program: str):
    """For a runner that keeps nothing: the first version's manifest tells which files are in which layers."""

    def push(setting: Setting, host: str, model: Path, tag: str) -> Command:
        name = f"{host}/bench/modelcar-from"
        flags = [] if tag == "v1" else ["--cache-from", f"{name}:v1"]
        return Command([program, "build", "--quiet", "--push", *flags, "--tag", f"{name}:{tag}", str(model)])

    return push


def floor(setting: Setting, host: str, model: Path, _: str) -> Command:
    return script("floor.sh", host, "bench/floor", setting.blob_list(model))


def oras(_: Setting, host: str, model: Path, tag: str) -> Command:
    names = sorted(path.name for path in model.iterdir())
    return Command(["oras", "push", "--plain-http", "--no-tty", f"{host}/bench/oras:{tag}", *names], folder=model)


def naive(_: Setting, host: str, model: Path, _tag: str) -> Command:
    return script("naive.sh", host, "bench/naive", model)


def crane(_: Setting, host: str, model: Path, tag: str) -> Command:
    return script("crane.sh", f"{host}/bench/crane:{tag}", model)


def olot_skopeo(setting: Setting, host: str, model: Path, tag: str) -> Command:
    command = script("olot-skopeo.sh", f"{host}/bench/olot:{tag}", model, setting.base_layout(), setting.python)
    command.env["PYTHONPATH"] = setting.python_path
    return command


def oci_modelcar(setting: Setting, host: str, model: Path, tag: str) -> Command:
    command = script("oci-modelcar.sh", host, "bench/oci-modelcar", tag, model, setting.hub_url(), setting.python)
    command.env |= {"PYTHONPATH": setting.python_path, "NO_PROXY": "*"}
    return command


def buildah(_: Setting, host: str, model: Path, tag: str) -> Command:
    return script("buildah.sh", f"{host}/bench/buildah:{tag}", model)


IMAGE, BLOBS = "ModelCar image", "blobs"


def all_of(setting: Setting) -> list[Contestant]:
    """modelcar first, then other builds of it, then the floor and the peers from fast to slow."""
    every = ("cold", "unchanged", "known", "fresh", "unchanged, fresh")
    own = [Contestant(name, IMAGE, modelcar_push(program), [program], every) for name, program in setting.modelcars.items()]
    first = next(iter(setting.modelcars.items()))
    return own + [
        Contestant(f"{first[0]} --cache-from v1", IMAGE, modelcar_from_v1(first[1]), [first[1]], ("cold", "fresh")),
        Contestant("floor: curl, POST + PATCH + PUT", BLOBS, floor, ["curl", "xargs"]),
        Contestant("oras push, raw files", "artifact", oras, ["oras"], ("cold", "unchanged", "fresh")),
        Contestant("oci-modelcar, 4 workers", "image without a base", oci_modelcar, ["oci_modelcar"], ("cold", "unchanged", "fresh"), 2),
        Contestant("tar, openssl, curl -T in turn", BLOBS, naive, ["curl", "openssl"], ("cold",), 1),
        Contestant("olot + skopeo", IMAGE, olot_skopeo, ["olot", "skopeo"], ("cold", "fresh"), 1),
        Contestant("tar + crane append", IMAGE, crane, ["crane"], ("cold",), 1),
        Contestant("buildah, one COPY", IMAGE, buildah, ["buildah"], ("cold",), 1),
    ]


def write_base_layout(folder: Path) -> Path:
    """The least that olot takes for a base: an image with one empty layer."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content: dict | bytes, media_type: str) -> dict:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(data)}

    kind = "application/vnd.oci.image."
    layer = put(bytes(1024), f"{kind}layer.v1.tar")
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
    config |= {"created": "1970-01-01T00:00:00Z", "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "bench"}]}
    image = {"schemaVersion": 2, "mediaType": f"{kind}manifest.v1+json", "config": put(config, f"{kind}config.v1+json"), "layers": [layer]}
    entry = put(image, image["mediaType"]) | {"annotations": {"org.opencontainers.image.ref.name": "latest"}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def version_of(program: str) -> str:
    """What a program says of itself, as far as its version; the words differ."""
    for words in (["--version"], ["version"]):
        if shutil.which(program):
            said = subprocess.run([program, *words], capture_output=True, text=True, check=False)
            if said.returncode == 0 and said.stdout.strip():
                return " ".join(said.stdout.split("\n")[0].replace("Version:", "").split()[:3])
    return "not here"
