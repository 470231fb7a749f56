"""Of the corpus: 36 checkpoints. Of damaged contents every checksum agrees, so that no checksum saves the reader."""

import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import torch

from .scene import RESUME, TRAINING, WEIGHTS, Item, Scene, redone, retold, rewritten

NO_SAFETENSORS = (f"checkpoints/step-000000004/{WEIGHTS}", "is not a safetensors file")
ANOTHER_MODEL = ("checkpoints/step-000000004", "it was saved from another model")
NO_FILE = (f"checkpoints/step-000000004/{WEIGHTS}", "is not a regular file")


def resumed(change):
    """Make an item of a function that spoils a checkpoint: the run is resumed."""

    def make(scene: Scene):
        change(scene.run())
        return RESUME

    return make


def holding(data: bytes):
    """Have that in place of the weights."""
    return resumed(lambda checkpoint: rewritten(checkpoint, WEIGHTS, data))


def cut(length: int):
    """Have only the beginning of the weights."""
    return resumed(lambda checkpoint: rewritten(checkpoint, WEIGHTS, (checkpoint / WEIGHTS).read_bytes()[:length]))


def parts(checkpoint: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header of the weights, and what comes after it."""
    data = (checkpoint / WEIGHTS).read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def headed(header: bytes, rest: bytes = b"", length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header + rest


def with_header(change):
    """Have another header above the weights; it gets the table, and returns a table or bytes."""

    def spoil(checkpoint):
        header, rest = parts(checkpoint)
        changed = change(header)
        rewritten(
            checkpoint, WEIGHTS, headed(changed if isinstance(changed, bytes) else json.dumps(changed).encode(), rest)
        )

    return resumed(spoil)


def placed(change):
    """Have other offsets for the second tensor: change(start, stop) -> (start, stop)."""

    def moved(header):
        name = sorted((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"])[1]
        header[name]["data_offsets"] = change(*header[name]["data_offsets"])
        return header

    return with_header(moved)


def retyped(header):
    name = next(name for name in header if name != "__metadata__")
    header[name]["dtype"] = "F16"
    return header


def doubled(header):
    name = next(name for name in header if name != "__metadata__")
    return json.dumps(header).encode().replace(b"{", b"{" + json.dumps({name: header[name]}).encode()[1:-1] + b", ", 1)


def weights(change):
    """Have other weights; `change` works on the table of tensors."""
    return resumed(lambda checkpoint: redone(checkpoint, WEIGHTS, change))


def nan(tensors):
    tensors["layer.weight_hh_l0"][1, 1] = float("nan")


def extra(tensors):
    tensors["layer.weight_hh_l9"] = torch.zeros(2)


def renamed(tensors):
    tensors["layer.weight_hh_l9"] = tensors.pop("layer.weight_hh_l0")


def of_another(**changed):
    def make(scene):
        scene.take_over(**changed)
        return RESUME

    return make


def flipped(checkpoint):
    data = bytearray((checkpoint / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (checkpoint / WEIGHTS).write_bytes(data)


def without(name):
    return resumed(lambda checkpoint: (checkpoint / name).unlink())


def pickled() -> bytes:
    file = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, file)
    return file.getvalue()


class Trap:
    """Would leave a file behind if it were unpickled."""

    def __reduce__(self):
        return open, ("trapped", "w")


def bomb(checkpoint):
    """600 MB of zeros as a zip file of 3 MB."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("data.pkl", "w") as inside,
    ):
        for _ in range(600):
            inside.write(bytes(10**6))
    rewritten(checkpoint, WEIGHTS, file.getvalue())


def tar(checkpoint):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.add(checkpoint / WEIGHTS, "model")
    rewritten(checkpoint, WEIGHTS, file.getvalue())


def replaced(make):
    """Have something that is no file in place of the weights."""

    def spoil(checkpoint):
        (checkpoint / WEIGHTS).unlink()
        make(checkpoint / WEIGHTS)

    return resumed(spoil)


def unreadable(scene):
    (scene.run() / WEIGHTS).chmod(0)
    scene.before("nobody", may_write=".")
    return RESUME


def outside(manifest):
    manifest["files"]["../../../secret"] = manifest["files"][TRAINING]


def taken(scene):
    scene.run()
    scene.before("locked_elsewhere", run="run")
    return RESUME


def with_an_earlier_one(scene):
    flipped(scene.run(save_every=2))
    return RESUME


def short_of_random(checkpoint):
    def shorten(tensors):
        (name,) = (name for name in tensors if name.startswith("random."))
        tensors[name] = tensors[name][:-8].clone()

    redone(checkpoint, TRAINING, shorten)


CHECKPOINTS = (
    Item("an empty file", holding(b""), 5, NO_SAFETENSORS),
    Item("one byte", cut(1), 5, NO_SAFETENSORS),
    Item("a header of seven bytes", cut(7), 5, NO_SAFETENSORS),
    Item("a header longer than the file", holding(headed(b"{}", length=100)), 5, NO_SAFETENSORS),
    Item("a header of 2^63 bytes", holding(headed(b"{}", length=2**63)), 5, NO_SAFETENSORS),
    Item("a header that is not UTF-8", with_header(lambda header: b'{"\xff": 1}'), 5, NO_SAFETENSORS),
    Item("a header of invalid JSON", with_header(lambda header: b'{"a": '), 5, NO_SAFETENSORS),
    Item("a header of JSON 100,000 deep", with_header(lambda header: b"[" * 100_000), 5, NO_SAFETENSORS),
    Item("a header with a key twice", with_header(doubled), 5, NO_SAFETENSORS),
    Item("tensors that overlap", placed(lambda start, stop: (start - 4, stop)), 5, NO_SAFETENSORS),
    Item("a negative offset", placed(lambda start, stop: (-4, stop)), 5, NO_SAFETENSORS),
    Item("a gap between tensors", placed(lambda start, stop: (start + 4, stop)), 5, NO_SAFETENSORS),
    Item("a dtype that does not fit the shape", with_header(retyped), 5, NO_SAFETENSORS),
    Item("weights that are NaN", weights(nan), 5, ("'layer.weight_hh_l0'", "not finite", "take an earlier")),
    Item("a tensor missing", weights(lambda found: found.pop("layer.weight_hh_l0")), 5, ANOTHER_MODEL),
    Item("a tensor too many", weights(extra), 5, ANOTHER_MODEL),
    Item("a tensor renamed", weights(renamed), 5, ANOTHER_MODEL),
    Item("another number of units", of_another(hidden=5), 5, (*ANOTHER_MODEL, "has shape (20,), the model's")),
    Item("another cell", of_another(cell="gru"), 5, ANOTHER_MODEL),
    Item("a later schema", resumed(lambda c: retold(c, lambda m: m.update(schema=3))), 5, ("schema 3", "reads 2")),
    Item("a wrong checksum", resumed(flipped), 5, (WEIGHTS, "sha256 differs", "damaged")),
    Item("a manifest without tensors", without(WEIGHTS), 5, (WEIGHTS, "No such file")),
    Item("tensors without a manifest", without("manifest.json"), 5, ("manifest.json", "No such file")),
    Item("a pickle by torch.save", holding(pickled()), 5, NO_SAFETENSORS),
    Item("a pickle that runs code", holding(pickle.dumps(Trap())), 5, NO_SAFETENSORS),
    Item("a zip bomb", resumed(bomb), 5, NO_SAFETENSORS),
    Item("a tar file", resumed(tar), 5, NO_SAFETENSORS),
    Item("a folder in place of the file", replaced(Path.mkdir), 5, NO_FILE),
    Item("a pipe in place of the file", replaced(os.mkfifo), 5, NO_FILE),
    Item(
        "a link to itself", replaced(lambda path: path.symlink_to(path.name)), 5, (WEIGHTS, "cannot be read", "links")
    ),
    Item("a file that may not be read", unreadable, 5, (WEIGHTS, "cannot be read: Permission denied")),
    Item(
        "a manifest that names a file elsewhere", resumed(lambda c: retold(c, outside)), 5, ("manifest.json", "files")
    ),
    Item("a run that another process writes to", taken, 5, ("another process", "wait for it, or end it")),
    Item("the newest one corrupt", with_an_earlier_one, 0, (WEIGHTS, "going on from an earlier checkpoint")),
    Item("another optimizer's", of_another(optimizer="sgd"), 5, ("saved with the optimizer SGD", "is Adam")),
    Item("a random state of another size", resumed(short_of_random), 5, ("random states of the cpu",)),
)
