"""How fast a GPU turns JPEGs into features in files, and which stage alone would be the slowest.

    python benchmarks/extract_gpu.py --backbone vgg16 [--images 20000] [--engine inductor]

Images are made up: 500 x 400 JPEGs of about 47 KB, a few hundred pictures, each file with a comment
of its own so that no two have the same bytes. ``--weights`` as in extract.py. Rows of the table are

- featx: ``featx extract`` in a process of its own. Its rate runs from the first batch to the last
  block that is committed; seconds are the whole process', start and certificate counted.
- read, decode, forward, write: each of its stages alone, on data in memory, with as many threads as
  in the run. Read is from the page cache and has the digests in it, decode the resize.
- script: what people write. DataLoader with a worker for each core, Pillow, the weights'
  transforms, fp32, `np.concatenate`, `np.save`; on ``--peers`` images, its rate after its first
  batch.

``--device cpu`` runs the same on a processor, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

LAYERS = {"vgg16": "features", "resnet50": "layer4", "mobilenet_v2": "features"}
PICTURES, SIZE, QUALITY = 200, (400, 500), 80
CHUNK = 16


def make_images(folder: Path, n: int) -> list[Path]:
    import io

    from PIL import Image

    draw, pictures = np.random.default_rng(0), []
    for _ in range(min(n, PICTURES)):
        coarse = Image.fromarray(draw.integers(0, 256, (25, 31, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(SIZE[::-1], Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(smooth + draw.normal(0, 9, smooth.shape), 0, 255).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(noisy).save(out, "JPEG", quality=QUALITY)
        pictures.append(out.getvalue())
    paths = []
    for i in range(n):
        comment, data = b"%012d" % i, pictures[i % PICTURES]
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        paths.append(folder / f"{i:07}.jpg")
        paths[-1].write_bytes(data[:2] + segment + data[2:])
    return paths


def rate(do: Callable[[Any], int], jobs: Sequence[Any], n_threads: int) -> float:
    """Images a second; what ``do`` gives is how many a job had."""
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(do, jobs[: 2 * n_threads]))  # the first of each thread sets things up
        start = time.perf_counter()
        n = sum(pool.map(do, jobs))
        return n / (time.perf_counter() - start)


def stages(options: argparse.Namespace) -> None:
    """Run each stage alone, as the run that ``--provenance`` is of had them."""
    from featx.backbones import BackboneRequest, load_backbone
    from featx.embedding.reading import workers
    from featx.forward.decoders import make_decoder
    from featx.forward.devices import each_device
    from featx.forward.group import EngineGroup
    from featx.forward.openvino_engine import OpenVINOEngine
    from featx.forward.torch_engine import TorchEngine
    from featx.images import digest
    from featx.store import StoreWriter

    made = json.loads(options.provenance)
    backbone = load_backbone(
        BackboneRequest(options.backbone, weights=str(options.weights or "random"))
    )
    devices, size = each_device(options.device), made["batch_size"]
    paths = sorted(options.folder.iterdir())[: options.images]
    chunks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]

    def read(chunk: list[Path]) -> int:
        for path in chunk:
            digest(path.read_bytes())
        return len(chunk)

    found = {"read": rate(read, chunks, workers())}

    decoder = make_decoder(made["decoder"], backbone.preprocess, devices)
    payloads = [[path.read_bytes() for path in chunk] for chunk in chunks[:256]]
    repeats = max(1, len(chunks) // len(payloads))
    found["decode"] = rate(lambda chunk: len(decoder(chunk)), payloads * repeats, workers())

    if made["engine"] == "openvino":
        engine: Any = OpenVINOEngine(backbone, made["precision"], size)
    else:
        compiled = made["engine"] == "inductor"
        engines = [
            TorchEngine(backbone, device, made["precision"], size, compiled=compiled)
            for device in devices
        ]
        engine = engines[0] if len(engines) == 1 else EngineGroup(engines)
    shape = (size, *backbone.preprocess.image_size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    batches = range(max(4 * engine.lanes, options.images // size))
    found["forward"] = rate(lambda _: len(engine.batch(images)[0]), batches, engine.lanes)

    (maps,) = engine.batch(images)
    rows = maps.reshape(size, -1).astype(np.float16)
    (recipe, map_shape, dim), *_ = backbone.recipes()
    with tempfile.TemporaryDirectory(dir=options.folder.parent) as cache:
        writer = StoreWriter(Path(cache), recipe, map_shape, dim, provenance={})
        start, n = time.perf_counter(), 0
        for n in range(0, options.images, size):
            keys = [(b"%016d" % i, 0) for i in range(n, n + size)]
            writer.extend(keys, rows)
        writer.close()
        found["write"] = (n + size) / (time.perf_counter() - start)
    print(json.dumps(found))


def script(options: argparse.Namespace) -> None:
    import torch
    import torchvision
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision.models.feature_extraction import create_feature_extractor

    paths = sorted(options.folder.iterdir())[: options.peers]
    transforms = torchvision.models.get_model_weights(options.backbone).DEFAULT.transforms()

    class Images(Dataset):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, i: int) -> torch.Tensor:
            return transforms(Image.open(paths[i]).convert("RGB"))

    device = options.device.replace(":all", "")
    model = torchvision.models.get_model(options.backbone, weights=None).eval().to(device)
    extractor = create_feature_extractor(model, {LAYERS[options.backbone]: "out"})
    parts, begun = [], 0.0
    loader = DataLoader(Images(), 64, num_workers=os.cpu_count() or 1, pin_memory=device != "cpu")
    with torch.inference_mode():
        for x in loader:
            parts.append(torch.flatten(extractor(x.to(device))["out"], 1).cpu().numpy())
            begun = begun or time.perf_counter()
    with tempfile.TemporaryDirectory(dir=options.folder.parent) as folder:
        np.save(Path(folder, "features.npy"), np.concatenate(parts))
    rest = sum(map(len, parts[1:]))
    print(json.dumps({"rate": rest / (time.perf_counter() - begun)}))


def child(options: argparse.Namespace, folder: Path, *more: str) -> dict[str, Any]:
    words = ["--backbone", options.backbone, "--device", options.device, "--folder", str(folder)]
    words += ["--images", str(options.images), "--peers", str(options.peers)]
    words += ["--weights", str(options.weights)] if options.weights else []
    done = subprocess.run(
        [sys.executable, __file__, *words, *more], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def featx(options: argparse.Namespace, folder: Path, cache: Path) -> dict[str, Any]:
    words = [str(folder), "--backbone", options.backbone]
    words += ["--weights", str(options.weights or "random")]
    words += ["--device", options.device, "--engine", options.engine, "--cache", str(cache)]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "featx", "extract", *words, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout) | {"seconds": time.perf_counter() - start}


def table(options: argparse.Namespace) -> None:
    from featx.forward.devices import choose_device, describe
    from featx.store import FeatureStore

    with tempfile.TemporaryDirectory(dir=options.at) as at:
        folder = Path(at, "images")
        folder.mkdir()
        n_bytes = [path.stat().st_size for path in make_images(folder, options.images)]
        value = featx(options, folder, Path(at, "cache"))
        made = FeatureStore.open(Path(value["store"])).runs[-1]["provenance"]
        alone = child(options, folder, "--child", "stages", "--provenance", json.dumps(made))
        peer = child(options, folder, "--child", "script")["rate"]
    steady = value["rows"] / value["timing"]["run_s"]
    device = describe(choose_device(options.device))
    print(f"{device}; {machine('torch', 'torchvision')}")
    print(f"{options.images} images of {np.mean(n_bytes):.0f} bytes")
    words = f"{made['engine']} {made['precision']}, batch {made['batch_size']}, {made['decoder']}"
    print(f"{words}; {value['seconds']:.1f} s in all; {value['where_time_goes']}\n")
    print(f"| {options.backbone} | images a second | of featx |\n|---|---|---|")
    slowest = min(alone.values())
    for name, per_s in {"featx": steady, **alone, "script": peer}.items():
        print(f"| {name} | {per_s:.0f} | {steady / per_s:.2f} |")
    print(f"\n{100 * steady / slowest:.0f} % of the slowest stage alone, {steady / peer:.1f} times")
    print("the script's rate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", choices=LAYERS, default="vgg16")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--engine", default="inductor", help="of featx: auto, inductor, torch")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--peers", type=int, default=4_000, help="images for the script")
    parser.add_argument("--at", type=Path, help="folder on the disk to be measured")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--provenance", help=argparse.SUPPRESS)
    options = parser.parse_args()
    {"stages": stages, "script": script, None: table}[options.child](options)


if __name__ == "__main__":
    main()
