"""Checkpoints that are not as they were written: damaged, or forged with every checksum right."""

import copy
import hashlib
import json
import random
from typing import NamedTuple

import torch
from safetensors.torch import load, save

MANIFEST = "manifest.json"
DAMAGED, FORGED = "damaged", "forged"
VALUES = (
    *(None, True, False, -1, 0, 1, 2, 10**9, 10**30, -0.5, 1.5, 1e308, "", "x", "cpu", "\ud800", "two\nlines"),
    *([], [1], {}, {"a": 1}, {"$tensor": "nothing"}, {"$tensor": "random.cpu"}, {"$tensor": []}, {"$tuple": []}),
    *({"$tuple": [1, {"$tensor": "averaged"}]}, {"$tuple": 3}, {"$items": [[1, 2]]}, {"$items": [[[], 2]]}),
    *({"$items": 1}, {"$float": "nan"}, {"$float": "inf"}, {"$float": "x"}, {"$float": 10**400}, {"$float": []}),
)
"""What each entry of a manifest is replaced by."""


class Mutation(NamedTuple):
    """The files of one checkpoint; a name that is missing is a file that is missing."""

    name: str
    kind: str
    files: dict[str, bytes]


def mutations(files, other):
    """Yield every mutation of a checkpoint; `other` has the files of another one of the same run."""
    yield from truncations(files)
    yield from flips(files)
    yield from exchanges(files, other)
    yield from texts(files)
    yield from entries(files)
    yield from tensors(files)


def truncations(files):
    """Each file at each length."""
    for name, data in files.items():
        for length in range(len(data)):
            yield Mutation(f"{name} cut to {length}", DAMAGED, {**files, name: data[:length]})


def flips(files, count=700):
    """Bits anywhere, and runs of bytes."""
    draw = random.Random(0)
    for name, data in files.items():
        for _ in range(count):
            at, bit = draw.randrange(len(data)), draw.randrange(8)
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            yield Mutation(f"{name} with bit {bit} of byte {at} flipped", DAMAGED, {**files, name: bytes(changed)})
        for _ in range(count // 10):
            at, length = draw.randrange(len(data)), draw.choice((1, 8, 512))
            for what, run in (("zeros", bytes(length)), ("noise", draw.randbytes(length))):
                changed = data[:at] + run + data[at + length :]
                yield Mutation(f"{name} with {length} bytes of {what} at {at}", DAMAGED, {**files, name: changed})


def exchanges(files, other):
    """Files of another checkpoint, files in each other's place, missing, doubled, emptied."""
    for name, data in files.items():
        yield Mutation(f"{name} of another checkpoint", DAMAGED, {**files, name: other[name]})
        yield Mutation(f"{name} missing", DAMAGED, {k: v for k, v in files.items() if k != name})
        yield Mutation(f"{name} twice over", DAMAGED, {**files, name: data + data})
        yield Mutation(f"{name} with a byte more", DAMAGED, {**files, name: data + b"\0"})
        yield Mutation(f"all but {name} of another checkpoint", DAMAGED, {**other, name: data})
        yield Mutation(f"{name} and a copy", DAMAGED, {**files, f"copy-{name}": data})
        for second, content in files.items():
            yield Mutation(f"{second} in the place of {name}", DAMAGED, {**files, name: content})
            yield forged(f"{second} as {name}", {**files, name: content})
            yield forged(f"{name} of another checkpoint, {second} too", {**files, name: other[name], second: content})
    yield Mutation("another checkpoint whole", DAMAGED, other)


def texts(files):
    """Manifests that are written in another way."""
    data = files[MANIFEST]
    manifest = json.loads(data)
    deep = b"[" * 900 + b"]" * 900
    for name, text in {
        "without spaces": json.dumps(manifest, separators=(",", ":")).encode(),
        "in another order": json.dumps(dict(reversed(manifest.items()))).encode(),
        "with a byte-order mark": b"\xef\xbb\xbf" + data,
        "in UTF-16": data.decode().encode("utf-16"),
        "with a key twice": data.replace(b'"step":', b'"step": 1, "step":', 1),
        "with NaN": data.replace(b'"step":', b'"a": NaN, "step":', 1),
        "with 1e999": data.replace(b'"step":', b'"a": 1e999, "step":', 1),
        "with a number of 5000 digits": data.replace(b'"step":', b'"a": ' + b"9" * 5000 + b', "step":', 1),
        "900 deep": data.replace(b'"step":', b'"a": ' + deep + b', "step":', 1),
        "100000 deep": b"[" * 100_000 + b"]" * 100_000,
        "not UTF-8": data.replace(b'"step":', b'"\xff": 1, "step":', 1),
        "of 20 MB": data + b" " * 20_000_000,
        "a list": b"[]",
        "null": b"null",
        "a number": b"7",
    }.items():
        yield Mutation(f"the manifest {name}", DAMAGED, {**files, MANIFEST: text})
    for depth in range(50, 1000, 50):
        nested = 1
        for _ in range(depth):
            nested = [nested]
        changed = copy.deepcopy(manifest)
        changed["training"]["best"] = nested
        yield from attempted(f"the best {depth} deep", changed, files)
        changed = {**manifest, "more": nested}
        yield from attempted(f"a manifest {depth} deep", changed, files)


def entries(files):
    """Each entry of the manifest: another value, none, one more; the checksum is made anew."""
    manifest = json.loads(files[MANIFEST])
    for path in paths(manifest):
        if path == ("sha256",):
            continue
        for value in VALUES:
            changed = copy.deepcopy(manifest)
            inside(changed, path[:-1])[path[-1]] = value
            yield from attempted(f"{'.'.join(map(str, path))} = {str(value)[:30]!r}", changed, files)
        changed = copy.deepcopy(manifest)
        del inside(changed, path[:-1])[path[-1]]
        yield from attempted(f"{'.'.join(map(str, path))} removed", changed, files)
        value = inside(manifest, path)
        if isinstance(value, list | dict) and value:
            changed = copy.deepcopy(manifest)
            more = inside(changed, path)
            if isinstance(more, list):
                more.append(copy.deepcopy(more[0]))
            else:
                more["more"] = copy.deepcopy(next(iter(more.values())))
            yield from attempted(f"{'.'.join(map(str, path))} with one more", changed, files)


def tensors(files):
    """Each tensor of other shape, dtype or content, missing, doubled; the checksums are made anew."""
    for name, data in files.items():
        if name == MANIFEST:
            continue
        found = load(data)
        for key, tensor in found.items():
            for what, other in variants(tensor):
                yield forged(f"{key} in {name} {what}", {**files, name: save({**found, key: other})})
            rest = {k: v for k, v in found.items() if k != key}
            yield forged(f"{key} in {name} missing", {**files, name: save(rest)})
            yield forged(f"{key} in {name} renamed", {**files, name: save({**rest, f"{key}x": tensor})})
            yield forged(f"{key} in {name} twice", {**files, name: save({**found, "more": tensor.clone()})})
            for second, other in found.items():
                if key < second:
                    swapped = {**found, key: other.clone(), second: tensor.clone()}
                    yield forged(f"{key} and {second} in {name} swapped", {**files, name: save(swapped)})


def variants(tensor):
    """Yield tensors that are not as they should be."""
    yield "flattened to one more dimension", tensor.reshape(-1, 1).clone()
    yield "in a dimension more", tensor.unsqueeze(0).clone()
    yield "flat", tensor.flatten().clone()
    yield "empty", tensor.flatten()[:0].clone()
    yield "one element short", tensor.flatten()[1:].clone()
    yield "twice as long", torch.cat([tensor.flatten()] * 2)
    if tensor.ndim == 2:
        yield "transposed", tensor.t().contiguous()
    for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.complex64):
        if dtype != tensor.dtype:
            yield f"as {dtype}", tensor.to(dtype)
    if tensor.is_floating_point():
        yield "of NaN", torch.full_like(tensor, float("nan"))
        yield "of infinity", torch.full_like(tensor, float("inf"))
        yield "of huge numbers", torch.full_like(tensor, 1e38)
    else:
        yield "of zeros", torch.zeros_like(tensor)
        yield "of ones", torch.ones_like(tensor)
        yield "of the largest", torch.full_like(tensor, torch.iinfo(tensor.dtype).max)


def attempted(name, manifest, files):
    """Forge a manifest, if JSON holds it."""
    try:
        text = json.dumps(manifest)
    except (RecursionError, ValueError):
        return
    if not isinstance(manifest, dict):
        return
    yield forged(name, {**files, MANIFEST: text.encode()}, sizes=False)


def forged(name, files, sizes=True):
    """Make the checksums agree with the files."""
    try:
        manifest = json.loads(files[MANIFEST])
    except ValueError:
        return Mutation(name, DAMAGED, files)
    if sizes:
        for file, about in manifest["files"].items():
            about.update(sha256=hashlib.sha256(files[file]).hexdigest(), bytes=len(files[file]))
    manifest.pop("sha256", None)
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    manifest["sha256"] = hashlib.sha256(text).hexdigest()
    return Mutation(name, FORGED, {**files, MANIFEST: json.dumps(manifest).encode()})


def paths(value, path=()):
    """Yield the path of everything inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


def inside(value, path):
    for key in path:
        value = value[key]
    return value
