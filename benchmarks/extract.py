"""How fast images become features in files, beside what people write or use today.

    python benchmarks/extract.py FOLDER --backbone vgg16 [--weights FILE]

FOLDER holds a folder of images for each class. Each row is a process of its own, one after the
other; its seconds run from the start of the process to features on disk, libraries imported,
network loaded and converted. ``--weights`` is a torch state dict of the whole torchvision model or
of its features; without it weights are random, which cost the same. Peers are

- torchvision: the usual script. DataLoader with two workers, Pillow, the weights' transforms,
  fp32, batches of 32, `create_feature_extractor`, `np.concatenate`, `np.save`.
- timm: the same with timm's model, `forward_features` and its transforms.
- thingsvision: its extractor, as its documentation shows it. ``--thingsvision PYTHON`` names an
  interpreter that has it.

``--peers N`` runs peers on N images only; what follows the first batch is scaled to all images, and
marked. *bare* is the engine of the featx row on images that are in memory already: steady state is
what featx reaches of it between the first batch and the last block.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

LAYERS = {"vgg16": "features", "resnet50": "layer4", "mobilenet_v2": "features"}
"""Where featx cuts by default."""
BATCH = 32


def images_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))


def featx_command(options: argparse.Namespace, cache: Path, *more: str) -> list[str]:
    weights = ["--weights", str(options.weights or "random")]
    where = ["--backbone", options.backbone, *weights, "--cache", str(cache), "--json"]
    return [sys.executable, "-m", "featx", "extract", str(options.folder), *where, *more]


# The peers: each gives batches of features, in a process of its own.


def torchvision_script(options: argparse.Namespace, paths: list[Path]) -> Iterator[np.ndarray]:
    import torch
    import torchvision
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision.models.feature_extraction import create_feature_extractor

    transforms = torchvision.models.get_model_weights(options.backbone).DEFAULT.transforms()

    class Images(Dataset):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, i: int) -> torch.Tensor:
            return transforms(Image.open(paths[i]).convert("RGB"))

    model = torchvision.models.get_model(options.backbone, weights=None).eval()
    load_into(model, options.weights)
    extractor = create_feature_extractor(model, {LAYERS[options.backbone]: "out"})
    with torch.inference_mode():
        for x in DataLoader(Images(), BATCH, num_workers=2):
            yield torch.flatten(extractor(x)["out"], 1).numpy()


def timm_script(options: argparse.Namespace, paths: list[Path]) -> Iterator[np.ndarray]:
    import timm
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    name = {"mobilenet_v2": "mobilenetv2_100"}.get(options.backbone, options.backbone)
    model = timm.create_model(name, pretrained=False, num_classes=0).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))

    class Images(Dataset):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, i: int) -> torch.Tensor:
            return transform(Image.open(paths[i]).convert("RGB"))

    with torch.inference_mode():
        for x in DataLoader(Images(), BATCH, num_workers=2):
            yield model.forward_features(x).flatten(1).numpy()


def thingsvision_script(options: argparse.Namespace, paths: list[Path]) -> Iterator[np.ndarray]:
    from thingsvision import get_extractor
    from thingsvision.utils.data import DataLoader, ImageDataset

    extractor = get_extractor(
        model_name=options.backbone, source="torchvision", device="cpu", pretrained=False
    )
    with tempfile.TemporaryDirectory() as out:
        folder = Path(out, "images")
        folder.mkdir()
        for i, path in enumerate(paths):
            (folder / f"{i:06}{path.suffix}").symlink_to(path.resolve())
        dataset = ImageDataset(
            root=str(folder), out_path=out, backend="pt", transforms=extractor.get_transformations()
        )
        batches = DataLoader(dataset=dataset, batch_size=BATCH, backend="pt")
        yield np.empty((0,))  # it gives everything at once
        yield extractor.extract_features(
            batches=batches,
            module_name=LAYERS[options.backbone],
            flatten_acts=True,
            output_type="ndarray",
        )


PEERS: dict[str, Callable[[argparse.Namespace, list[Path]], Iterator[np.ndarray]]] = {
    "torchvision": torchvision_script,
    "timm": timm_script,
    "thingsvision": thingsvision_script,
}


def load_into(model: Any, weights: Path | None) -> None:
    if weights is not None:
        import torch

        state = torch.load(weights, weights_only=True)
        whole = model.state_dict()
        prefix = "" if any(key in whole for key in state) else "features."
        model.load_state_dict({prefix + key: value for key, value in state.items()}, strict=False)


def peer(options: argparse.Namespace) -> None:
    """Run a peer to the end; print when its first batch was there, and how many rows it had."""
    paths = images_of(options.folder)
    if options.peers:  # spread over the classes, as sizes may differ between them
        paths = paths[:: max(1, len(paths) // options.peers)][: options.peers]
    batches = PEERS[options.child](options, paths)
    first = next(batches)
    begun, before = time.time(), len(first)
    parts = [part for part in (first, *batches) if part.size]
    features = np.concatenate(parts)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "features.npy"), features)
    print(json.dumps({"begun": begun, "before": before, "rows": len(features)}))


def bare(options: argparse.Namespace) -> None:
    """Run the engine of the last featx row on images in memory, 8 seconds after a warm-up."""
    from concurrent.futures import ThreadPoolExecutor

    from featx.backbones import BackboneRequest, load_backbone
    from featx.forward import OpenVINOEngine, TorchEngine

    made = json.loads(options.provenance)
    weights = str(options.weights or "random")
    backbone = load_backbone(BackboneRequest(options.backbone, weights=weights))
    size = made["batch_size"]
    engine: Any = (
        OpenVINOEngine(backbone, made["precision"], size)
        if made["engine"] == "openvino"
        else TorchEngine(backbone, "cpu", made["precision"], size)
    )
    height, width = backbone.preprocess.image_size
    shape = (size, height, width, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def run(_: int) -> int:
        n, end = 0, time.perf_counter() + 8
        while time.perf_counter() < end:
            engine.batch(images)
            n += size
        return n

    with ThreadPoolExecutor(engine.lanes) as pool:
        list(pool.map(lambda _: engine.batch(images), range(2 * engine.lanes)))
        start = time.perf_counter()
        n = sum(pool.map(run, range(engine.lanes)))
    print(json.dumps({"images_per_second": n / (time.perf_counter() - start)}))


def timed(command: list[str]) -> tuple[float, float, dict[str, Any]]:
    """Run a command; give its seconds, when it began, and the JSON that it printed last."""
    begun = time.time()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return time.time() - begun, begun, json.loads(done.stdout.strip().splitlines()[-1])


def run_featx(options: argparse.Namespace, *more: str) -> dict[str, Any]:
    from featx.store import FeatureStore

    with tempfile.TemporaryDirectory() as cache:
        seconds, _, value = timed(featx_command(options, Path(cache), *more))
        runs = FeatureStore.open(Path(value["store"])).runs
    made = runs[-1]["provenance"]
    child = [sys.executable, __file__, str(options.folder), "--backbone", options.backbone]
    child += ["--weights", str(options.weights)] if options.weights else []
    _, _, forward = timed([*child, "--child", "bare", "--provenance", json.dumps(made)])
    timing = value["timing"]
    return {
        "seconds": seconds,
        "rows": value["rows"],
        "made": made,
        "where": value["where_time_goes"],
        "start_s": seconds - timing["run_s"],
        "steady": value["rows"] / timing["run_s"],
        "bare": forward["images_per_second"],
    }


def run_peer(options: argparse.Namespace, name: str, n: int) -> dict[str, Any] | None:
    python = options.thingsvision if name == "thingsvision" else sys.executable
    if python is None:
        return None
    child = [python, __file__, str(options.folder), "--backbone", options.backbone]
    child += ["--weights", str(options.weights)] if options.weights else []
    part = options.peers if name != "torchvision" or options.part else 0
    child += ["--peers", str(part)] if part else []
    seconds, started, value = timed([*child, "--child", name])
    first_s, before, rows = value["begun"] - started, value["before"], value["rows"]
    rest_s = (seconds - first_s) * (n - before) / (rows - before)
    return {"seconds": first_s + rest_s, "scaled": rows < n}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", choices=LAYERS, default="vgg16")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--peers", type=int, default=0, metavar="N", help="images for peers")
    parser.add_argument("--part", action="store_true", help="torchvision on N images too")
    parser.add_argument("--rounds", type=int, default=1, help="of the featx rows")
    parser.add_argument("--thingsvision", metavar="PYTHON")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--provenance", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        os.environ.setdefault("PYTHONWARNINGS", "ignore")
        (bare if options.child == "bare" else peer)(options)
        return
    table(options)


def table(options: argparse.Namespace) -> None:
    n = len(images_of(options.folder))
    rows: list[tuple[str, dict[str, Any]]] = []
    for name, more in (("featx", ()), ("featx --precision fp32", ("--precision", "fp32"))):
        for _ in range(options.rounds):
            rows.append((name, run_featx(options, *more)))
            print(f"  {name}: {rows[-1][1]}", flush=True)
    for name in PEERS:
        done = run_peer(options, name, n)
        if done is not None:
            rows.append((name, done))
            print(f"  {name}: {done}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    made_on = machine("torch", "torchvision", "openvino", "timm", "pillow")
    print(f"\n{made_on}; largest process {peak} MiB; {n} images\n")
    print("| " + options.backbone + " | seconds | times featx | times featx fp32 | notes |")
    print("|---|---|---|---|---|")
    best = {
        name: float(np.median([row["seconds"] for other, row in rows if other == name]))
        for name, _ in rows
    }
    for name, row in rows:
        ratios = [best[name] / best[base] for base in ("featx", "featx --precision fp32")]
        cells = [name, f"{row['seconds']:.1f}", *(f"{ratio:.2f}" for ratio in ratios), notes(row)]
        print("| " + " | ".join(cells) + " |")


def notes(row: dict[str, Any]) -> str:
    if "bare" not in row:
        return "scaled from a part" if row["scaled"] else ""
    made = row["made"]
    return (
        f"{made['engine']} {made['precision']}, batch {made['batch_size']}; start "
        f"{row['start_s']:.1f} s; steady {row['steady']:.1f}/s of bare {row['bare']:.1f}/s: "
        f"{100 * row['steady'] / row['bare']:.0f} %; {row['where']}"
    )


if __name__ == "__main__":
    main()
