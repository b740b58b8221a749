"""Writes language models with the libraries that define their formats, and tells what those read back, one JSON object a line.

Usage: llm_samples.py FOLDER
Needs PyPI `safetensors`, `gguf` and `numpy`. Values are random but fixed; all files are small.
"""

import json
import os
import sys

import gguf
import numpy as np
from gguf.constants import GGMLQuantizationType as Type
from safetensors import safe_open
from safetensors.numpy import save_file

random = np.random.default_rng(7)

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "max_position_embeddings": 4096,
    "vocab_size": 300,
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "torch_dtype": "float16",
}


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)


def safetensors_facts(paths):
    """Counts elements and names the types, through the library's own reader."""
    elements, tensors = {}, 0
    for path in paths:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():
                part = file.get_slice(name)
                dtype = part.get_dtype()
                elements[dtype] = elements.get(dtype, 0) + int(np.prod(part.get_shape(), dtype=np.int64))
                tensors += 1
    names = {"F16": "float16", "F32": "float32", "F64": "float64", "I64": "int64", "U8": "uint8", "BOOL": "bool"}
    types = sorted((names[dtype], count) for dtype, count in elements.items())
    return {
        "parameters": str(sum(elements.values())),
        "parameter-types": ", ".join(f"{name} {count}" for name, count in types),
        "tensors": str(tensors),
    }


def huggingface(root):
    folder = os.path.join(root, "sharded")
    os.makedirs(folder)
    shards = [
        {"embed.weight": (300, 64), "layers.0.q.weight": (64, 64), 'odd "name" ä\n': (3,)},
        {"layers.1.q.weight": (64, 64), "empty": (0, 5), "scalar": ()},
        {"head.weight": (64, 300)},
    ]
    weight_map, paths = {}, []
    dtypes = [np.float16, np.float32, np.int64, np.uint8, np.bool_, np.float64]
    for number, shapes in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        at = lambda index: dtypes[(number + index) % len(dtypes)]
        tensors = {key: random.integers(0, 2, shape).astype(at(i)) for i, (key, shape) in enumerate(shapes.items())}
        paths.append(os.path.join(folder, name))
        save_file(tensors, paths[-1], metadata={"format": "pt"})
        weight_map.update({key: name for key in shapes})
    index = {"metadata": {"total_size": sum(map(os.path.getsize, paths))}, "weight_map": weight_map}
    write(folder, "model.safetensors.index.json", json.dumps(index, indent=2))
    write(folder, "config.json", json.dumps(CONFIG, indent=2))
    write(folder, "tokenizer.json", json.dumps({"model": {"vocab": {"a": 0}}}))
    write(folder, "tokenizer_config.json", json.dumps({"tokenizer_class": "LlamaTokenizer", "chat_template": "{{ m }}"}))
    write(folder, "README.md", "---\nlicense: mit\nlanguage:\n- en\n---\n# Tiny\n")
    facts = safetensors_facts(paths) | {"architecture": "LlamaForCausalLM", "context-length": "4096", "licence": "mit"}
    return {"path": folder, "format": "huggingface", "files": len(os.listdir(folder)), "facts": facts}


def one_safetensors(root):
    path = os.path.join(root, "one.safetensors")
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.ones(5, np.float16)}, path, metadata={"author": "me"})
    return {"path": path, "format": "safetensors", "files": 1, "facts": safetensors_facts([path]) | {"metadata-author": "me"}}


def add_llama(writer):
    writer.add_name("Tiny")
    writer.add_license("apache-2.0")
    writer.add_context_length(2048)
    writer.add_embedding_length(256)
    writer.add_block_count(3)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([f"token {number}" for number in range(300)] + ["ä", ""])
    writer.add_token_scores([0.5] * 302)
    writer.add_chat_template("{{ messages }}")
    writer.add_array("general.languages", ["en", "de"])


def add_tensors(writer):
    """One tensor of every type; of quantised ones only the bytes count."""
    for kind in Type:
        if kind.name in ("F32", "F16", "F64", "I8", "I16", "I32", "I64"):
            dtype = {"F": "float", "I": "int"}[kind.name[0]] + kind.name[1:]
            writer.add_tensor(f"blk.{kind.name}.weight", random.integers(0, 9, (3, 7)).astype(dtype))
            continue
        block, size = gguf.GGML_QUANT_SIZES[kind]
        data = random.integers(0, 255, (4, 2 * size), dtype=np.uint8)
        writer.add_tensor(f"blk.{kind.name}.weight", data, raw_dtype=kind)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_facts(paths):
    elements, tensors = {}, {}
    for path in paths:
        for tensor in gguf.GGUFReader(path).tensors:
            name = tensor.tensor_type.name
            elements[name] = elements.get(name, 0) + int(tensor.n_elements)
            tensors[name] = tensors.get(name, 0) + 1
    field = lambda key: str(gguf.GGUFReader(paths[0]).get_field(key).contents())
    listed = lambda counts: ", ".join(f"{name} {counts[name]}" for name in sorted(counts))
    return {
        "architecture": field("general.architecture"),
        "name": field("general.name"),
        "parameters": str(sum(elements.values())),
        "parameter-types": listed(elements),
        "tensor-types": listed(tensors),
        "context-length": field("llama.context_length"),
        "layers": field("llama.block_count"),
        "hidden-size": field("llama.embedding_length"),
        "attention-heads": field("llama.attention.head_count"),
        "kv-heads": field("llama.attention.head_count_kv"),
        "quantization": "Q4_K_M",
        "vocabulary": "302",
        "tokenizer": "gpt2, llama-bpe",
        "chat-template": "in the file",
        "licence": field("general.license"),
    }


def one_gguf(root, name, **options):
    path = os.path.join(root, name)
    writer = gguf.GGUFWriter(path, "llama", **options)
    add_llama(writer)
    add_tensors(writer)
    finish(writer)
    return {"path": path, "format": "gguf", "files": 1, "facts": gguf_facts([path])}


def split_gguf(root):
    folder = os.path.join(root, "split")
    os.makedirs(folder)
    writer = gguf.GGUFWriter(os.path.join(folder, "tiny.gguf"), "llama", split_max_tensors=10)
    add_llama(writer)
    add_tensors(writer)
    finish(writer)
    paths = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    assert len(paths) > 2, paths
    # Only the first part is given: the others come along.
    return {"path": paths[0], "format": "gguf", "files": len(paths), "facts": gguf_facts(paths)}


def main(root):
    big = gguf.GGUFEndian.BIG
    samples = [
        huggingface(root),
        one_safetensors(root),
        one_gguf(root, "little.gguf"),
        one_gguf(root, "big.gguf", endianess=big),
        split_gguf(root),
    ]
    for sample in samples:
        print(json.dumps(sample))


main(sys.argv[1])
