"""The parts of a run. Each fills `Results` and knows nothing of tables."""

import shutil
import subprocess
import time
from collections import defaultdict
from pathlib import Path

from . import contestants, model
from .contestants import Contestant, Command, modelcar_push
from .measure import Failed, Use, run
from .registry import Registry, find
from .setting import Setting
from .stats import rotated

# the model of each step of a round, and whether the machine is fresh then: no cache, and every file just checked out
STEPS = {
    "cold": ("v1", False),
    "unchanged": ("v1", False),
    "known": ("v2-known", False),
    "fresh": ("v2", True),
    "unchanged, fresh": ("v1", True),
}


# Seconds: the contestant before has touched the files, and modelcar's cache remembers none that changed in the last two.
SETTLED = 2.5

# what is measured and shown nowhere: it puts the image there that is pulled
SEED = "seed"


class Results:
    """Every run's use by part, contestant and step; and why a contestant is not there."""

    def __init__(self):
        self.uses: dict[tuple[str, str, str], list[Use]] = defaultdict(list)
        self.absent: dict[tuple[str, str], str] = {}

    def add(self, part: str, name: str, step: str, use: Use):
        self.uses[part, name, step].append(use)

    def names(self, part: str, step: str) -> list[str]:
        return [name for (of, name, at) in self.uses if of == part and at == step]


def measured(setting: Setting, results: Results, part: str, name: str, step: str, command: Command, registry=None) -> bool:
    """Runs and notes it. Who fails is out of this part: a benchmark shows, it does not stop."""
    try:
        use = run(command, setting.scratch, registry)
    except (Failed, OSError) as error:
        results.absent[part, name] = f"failed at {step}: {str(error).splitlines()[-1] if str(error) else error!r}"
        setting.say(f"bench: {part}: {name}: {error}")
        return False
    results.add(part, name, step, use)
    setting.say(f"bench: {part}: {name}: {step}: {use.seconds:.2f} s, {use.cpu:.2f} CPU s, {use.memory / 2**20:.0f} MiB")
    return True


def pushes(setting: Setting, results: Results, part: str, kind: str, names: dict[str, str], who: list[Contestant], steps: tuple[str, ...]):
    """Rounds of all contestants: each begins with an empty registry. `names` gives another model for one of `STEPS`."""
    if find(kind) is None:
        results.absent[part, kind] = "not here"
        return
    for contestant in list(who):
        if missing := contestant.missing(setting):
            results.absent[part, contestant.name] = f"{missing} is not here"
            who = [other for other in who if other is not contestant]
    with Registry(kind, setting.storage / "registry") as registry:
        for number in range(setting.options.runs):
            for contestant in rotated(who, number):
                takes_part = setting.options.all or contestant.most_rounds is None or number < contestant.most_rounds
                if takes_part and (part, contestant.name) not in results.absent:
                    registry.empty()
                    push_round(setting, results, part, registry, contestant, names, steps)


def push_round(setting, results, part, registry, contestant: Contestant, names: dict[str, str], steps: tuple[str, ...]):
    setting.fresh_scratch()
    time.sleep(SETTLED)
    for step in (step for step in STEPS if step in steps and step in contestant.steps):
        name, is_fresh = STEPS[step]
        folder = setting.models[names.get(name, name)]
        if is_fresh:
            setting.fresh_scratch()
            model.touch(folder)
        shutil.rmtree(setting.scratch / "tmp", ignore_errors=True)
        command = contestant.push(setting, registry.host, folder, name)
        if not measured(setting, results, part, contestant.name, step, command, registry):
            return


def null_sink(setting: Setting, results: Results):
    """The client alone: one blob, and several at a time, into a sink; curl beside it."""
    part, kind = "null sink", "null_registry"
    if find(kind) is None:
        results.absent[part, kind] = "not here: `make bench` builds it"
        return
    runs = []
    for name, program in setting.modelcars.items():
        runs.append((name, "one blob", "one", modelcar_push(program)))
        for parallel in (1, 4, 8) if has_flag(program, "--parallel") else (None,):
            flags = ("--parallel", str(parallel)) if parallel else ()
            runs.append((name, f"20 blobs, {parallel or 4} at a time", "even", modelcar_push(program, *flags)))
    for step, folder in (("one blob", "one"), ("20 blobs, 4 at a time", "even")):
        runs.append(("curl, nothing hashed", step, folder, contestants.floor))
    with Registry(kind, setting.storage / "registry") as registry:
        for number in range(setting.options.runs):
            for name, step, folder, push in rotated(runs, number):
                registry.empty()
                setting.fresh_scratch()
                measured(setting, results, part, name, step, push(setting, registry.host, setting.models[folder], "v1"), registry)


def has_flag(program: str, flag: str) -> bool:
    said = subprocess.run([program, "build", "--help"], capture_output=True, text=True, check=False)
    return flag in said.stdout


def pulls(setting: Setting, results: Results):
    """An image of v1 out of a registry: into a layout, into another registry, and into another repository of the same one."""
    part, kind = "pull", "docker-registry"
    if find(kind) is None or shutil.which(setting.options.modelcar) is None:
        results.absent[part, kind] = "not here"
        return
    with Registry(kind, setting.storage / "registry") as source, Registry(kind, setting.storage / "other") as target:
        setting.fresh_scratch()
        seed = modelcar_push(setting.options.modelcar)(setting, source.host, setting.models["v1"], "v1")
        if not measured(setting, results, part, "modelcar", SEED, seed):
            return
        for number in range(min(setting.options.runs, 3)):
            for step in ("to a layout", "files only", "to another registry", "to another repository"):
                for name, commands in rotated(list(pullers(setting).items()), number):
                    pull_once(setting, results, source, target, name, step, commands, number)


def pull_once(setting, results, source, target, name, step, commands, number: int):
    words = commands(f"{source.host}/bench/modelcar:v1", setting.scratch / "out", target.host, f"{source.host}/bench/copy-{number}").get(step)
    if words is None or ("pull", name) in results.absent:
        return
    if shutil.which(words[0]) is None:
        results.absent["pull", name] = f"{words[0]} is not here"
        return
    setting.fresh_scratch()
    into = source
    if step == "to another registry":
        target.empty()
        into = target
    measured(setting, results, "pull", name, step, Command(words), into)


def pullers(setting: Setting):
    """For each name: from (reference, folder, host of another registry, start of a repository of the same) to the words of each step."""

    def own(name: str, program: str):
        return lambda ref, out, other, same: {
            "to a layout": [program, "pull", "--quiet", ref, str(out)],
            "files only": [program, "extract", "--quiet", ref, str(out)],
            "to another registry": [program, "copy", "--quiet", ref, f"{other}/bench/copy:v1"],
            "to another repository": [program, "copy", "--quiet", ref, f"{same}-{name}:v1"],
        }

    def skopeo(ref: str, out: Path, other: str, same: str):
        words = ["skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]
        return {
            "to a layout": [*words, f"docker://{ref}", f"oci:{out}:v1"],
            "to another registry": [*words, "--dest-tls-verify=false", f"docker://{ref}", f"docker://{other}/bench/copy:v1"],
            "to another repository": [*words, "--dest-tls-verify=false", f"docker://{ref}", f"docker://{same}-skopeo:v1"],
        }

    def crane(ref: str, out: Path, other: str, same: str):
        return {
            "to a layout": ["crane", "pull", "--insecure", "--format=oci", ref, str(out)],
            "to another registry": ["crane", "copy", "--insecure", ref, f"{other}/bench/copy:v1"],
            "to another repository": ["crane", "copy", "--insecure", ref, f"{same}-crane:v1"],
        }

    owns = {name: own(name, program) for name, program in setting.modelcars.items()}
    return owns | {"skopeo copy": skopeo, "crane pull, copy": crane}
