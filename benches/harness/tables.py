"""What is shown of the results."""

from . import stats
from .parts import SEED, Results
from .stats import number, ratio

OWN = "modelcar"
FROM = "modelcar --cache-from v1"
FLOOR = "floor: curl, POST + PATCH + PUT"
MIB, MB = 2**20, 10**6
HEADS = {
    "cold": "Cold: everything is built and sent",
    "unchanged": "The same again on the same machine",
    "known": "Version 2, one shard changed, on the same machine: digests are remembered",
    "fresh": "Version 2, one shard changed: fresh checkout on a fresh machine",
    "unchanged, fresh": "The same again: fresh checkout on a fresh machine",
}


class Tables:
    def __init__(self, results: Results, sizes: dict[str, int], is_markdown: bool):
        self.results, self.sizes = results, sizes
        self.lay_out = stats.markdown if is_markdown else stats.text
        self.head = "### {}\n" if is_markdown else "{}\n"

    def median(self, part: str, name: str, step: str, field: str):
        return stats.median(getattr(use, field) for use in self.results.uses.get((part, name, step), []))

    def pushes(self, part: str, title: str, steps) -> list[str]:
        tables = [self._push_table(part, f"{title}. {HEADS[step]}", step) for step in steps if self.results.names(part, step)]
        return tables + self._absent(part)

    def _push_table(self, part: str, title: str, step: str) -> str:
        own = self.median(part, OWN, step, "seconds")
        head = ["", "runs", "seconds", "of modelcar's", "CPU s", "registry CPU s", "MiB of memory", "MB sent", "MB written", "MB of scratch"]
        rows = []
        for name in self.results.names(part, step):
            def of(field, name=name):
                return self.median(part, name, step, field)

            rows.append([
                name, str(len(self.results.uses[part, name, step])), number(of("seconds")), times(of("seconds"), own), number(of("cpu")),
                number(of("registry_cpu")), number(of("memory") / MIB, 0), number(of("sent") / MB, 1), number(of("written") / MB, 0),
                number(of("scratch") / MB, 0),
            ])
        return self.head.format(title) + "\n" + self.lay_out(head, sorted(rows, key=lambda row: float(row[2])))

    def null_sink(self, part: str) -> list[str]:
        steps = dict.fromkeys(step for of, _, step in self.results.uses if of == part)
        rows = []
        for step in steps:
            size = self.sizes["one" if step == "one blob" else "even"]
            for name in self.results.names(part, step):
                seconds, cpu = self.median(part, name, step, "seconds"), self.median(part, name, step, "cpu")
                memory = number(self.median(part, name, step, "memory") / MIB, 0)
                rows.append([f"{name}: {step}", number(seconds), number(size / seconds / 1e9), number(cpu / size * 1e9), memory])
        if not rows:
            return []
        title = self.head.format("Into a sink that discards what it gets: the client alone")
        return [title + "\n" + self.lay_out(["", "seconds", "GB/s", "CPU s per GB", "MiB of memory"], rows), *self._absent(part)]

    def pulls(self, part: str) -> list[str]:
        steps = dict.fromkeys(step for of, _, step in self.results.uses if of == part and step != SEED)
        rows = []
        for step in steps:
            own = self.median(part, OWN, step, "seconds")
            for name in self.results.names(part, step):
                seconds, cpu = self.median(part, name, step, "seconds"), self.median(part, name, step, "cpu")
                memory = number(self.median(part, name, step, "memory") / MIB, 0)
                rows.append([f"{step}: {name}", number(seconds), times(seconds, own), number(cpu), memory])
        if not rows:
            return []
        title = self.head.format(f"An image of {self.sizes['v1'] / 1e9:.1f} GB out of docker-registry")
        return [title + "\n" + self.lay_out(["", "seconds", "of modelcar's", "CPU s", "MiB of memory"], rows), *self._absent(part)]

    def _absent(self, part: str) -> list[str]:
        names = [f"{name} ({why})" for (of, name), why in self.results.absent.items() if of == part]
        return [f"Left out of {part}: {'; '.join(names)}."] if names else []

    def aims(self) -> list[str]:
        """What was aimed at, beside what this run gave."""
        rows = []
        for title, aim, value in self._aims():
            if value is not None:
                rows.append([title, aim, number(value)])
        return [self.head.format("What was aimed at") + "\n" + self.lay_out(["", "aim", "this run"], rows)] if rows else []

    def _aims(self):
        def seconds(name, step, part="cold"):
            return self.median(part, name, step, "seconds")

        def sink(step, field):
            return self.median("null sink", OWN, step, field)

        for part in ("cold", "even shards", "distribution 3"):
            yield f"{part}: modelcar, of the floor's time", "≤ 1.1", ratio(seconds(OWN, "cold", part), seconds(FLOOR, "cold", part))
        for name, aim in (("oras push, raw files", 1.2), ("oci-modelcar, 4 workers", 1.6), ("olot + skopeo", 2.3), ("tar + crane append", 3.5),
                          ("buildah, one COPY", 7)):
            yield f"cold: {name}, of modelcar's time", f"≥ {aim}", ratio(seconds(name, "cold"), seconds(OWN, "cold"))
        yield "version 2, fresh machine, version 1 named or signed: seconds", "≤ 1.5", seconds(FROM, "fresh")
        yield "version 2, fresh machine, version 1 not believed: seconds", "≤ 1.5", seconds(OWN, "fresh")
        yield "version 2, digests remembered: seconds", "≤ 0.7", seconds(OWN, "known")
        yield "unchanged, digests remembered: seconds", "≤ 0.2", seconds(OWN, "unchanged")
        one, even = self.sizes.get("one", 0) / 1e9, self.sizes.get("even", 0) / 1e9
        yield "sink, one blob: GB/s", "≥ 1.4", ratio(one, sink("one blob", "seconds"))
        yield "sink, four blobs: GB/s", "≥ 1.8", ratio(even, sink("20 blobs, 4 at a time", "seconds"))
        yield "sink, four blobs: CPU s per GB", "≤ 1.1", ratio(sink("20 blobs, 4 at a time", "cpu"), even)
        for parallel, most in ((4, 25), (8, 40)):
            yield f"sink, {parallel} blobs: MiB of memory", f"≤ {most}", ratio(sink(f"20 blobs, {parallel} at a time", "memory"), MIB)
        yield "cold: MB of scratch", "0", ratio(self.median("cold", OWN, "cold", "scratch"), MB)


def times(value, own) -> str:
    found = ratio(value, own)
    return "–" if found is None else f"{found:.2f} ×"
