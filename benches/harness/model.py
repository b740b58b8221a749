"""The models that are measured: seeded, so that every run and every machine has the same bytes.

A weight is a bf16 number drawn from about N(0, 0.02), as in a real checkpoint: one of its two bytes hardly compresses, the other somewhat.
"""

import hashlib
import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

MB = 10**6
BLOCK = 1 << 20


def _high_bytes() -> bytes:
    """256 evenly spread values → the sign and upper exponent bits of bf16 numbers around 0.02: most are 0x3c and 0xbc."""
    shares = [(0x3C, 66), (0x3B, 27), (0x3D, 20), (0x3A, 15)]
    table = bytes(value for value, share in shares for _ in range(share))
    return table + bytes(value | 0x80 for value in table)


HIGH_BYTES = _high_bytes()


def weights(seed: str, size: int):
    """Yields `size` bytes in blocks. SHAKE is the generator because its output is a standard, not one Python's."""
    for number, start in enumerate(range(0, size, BLOCK)):
        length = min(BLOCK, size - start)
        block = bytearray(hashlib.shake_128(f"{seed}/{number}".encode()).digest(length))
        block[1::2] = block[1::2].translate(HIGH_BYTES)
        yield bytes(block)


def safetensors_header(name: str, size: int) -> bytes:
    """The header of a file with one bf16 matrix that makes the file about `size` bytes long, padded to 8 as the format wants."""
    rows = size // 8192
    header = json.dumps({tensor_in(name): {"dtype": "BF16", "shape": [rows, 4096], "data_offsets": [0, rows * 8192]}}).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header


def tensor_in(name: str) -> str:
    """What the one tensor of this shard is called: an index names it, and a checkpoint with a wrong index is refused."""
    return f"layer.{name.split('-')[1]}.weight"


def write_shard(path: Path, seed: str, size: int) -> None:
    with open(path, "wb") as file:
        file.write(safetensors_header(path.name, size))
        for block in weights(seed, size // 8192 * 8192):
            file.write(block)


def sizes_of(total: int) -> list[int]:
    """One shard of three quarters and five of a twentieth each."""
    return [total * 3 // 4] + [total // 20] * 5


def _write_small(folder: Path, shards: list[str], total: int) -> None:
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "hidden_size": 4096}
    names = {tensor_in(name): name for name in shards}
    words = hashlib.shake_128(b"tokenizer").hexdigest(9 * MB // 4)
    vocabulary = {words[at : at + 12]: at // 12 for at in range(0, len(words), 12)}
    files = {
        "config.json": config,
        "generation_config.json": {"eos_token_id": 2},
        "model.safetensors.index.json": {"metadata": {"total_size": total}, "weight_map": names},
        "special_tokens_map.json": {"eos_token": "</s>"},
        "tokenizer.json": {"version": "1.0", "model": {"type": "BPE", "vocab": vocabulary, "merges": []}},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


def make(folder: Path, seed: str, sizes: list[int]) -> None:
    """A model of these shards, written by as many processes as there are cores."""
    folder.mkdir(parents=True)
    names = [f"model-{number + 1:05}-of-{len(sizes):05}.safetensors" for number in range(len(sizes))]
    _write_small(folder, names, sum(sizes))
    with ProcessPoolExecutor() as pool:
        jobs = [pool.submit(write_shard, folder / name, f"{seed}/{name}", size) for name, size in zip(names, sizes)]
        for job in jobs:
            job.result()


def next_version(old: Path, new: Path, shard: int) -> None:
    """The same model with one shard written anew; the others are hard links, so it costs one shard of disk."""
    new.mkdir()
    for path in sorted(old.iterdir()):
        os.link(path, new / path.name)
    changed = sorted(new.glob("*.safetensors"))[shard]
    size = changed.stat().st_size
    changed.unlink()
    write_shard(changed, f"{new.name}/{changed.name}", size)


def touch(folder: Path) -> None:
    """What a fresh checkout does to every file: another time."""
    for path in folder.iterdir():
        os.utime(path)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
