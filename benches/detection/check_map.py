#!/usr/bin/env python3
"""Compares the precisions in a `boxes.json` that `nested-bench detect` wrote with those of other implementations.

  benches/detection/check_map.py target/detect/boxes.json

COCO's figures (101 points, overlap 0.5 and 0.5 to 0.95) come from pycocotools, which the script installs into a virtual
environment of its own; PASCAL VOC's (overlap 0.5, all points) from a transcription of the development kit's VOCevaldet.m
into numpy, below. All must agree to 1e-6 per cent. Difficult objects are COCO's crowds.
"""
import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import venv

TOLERANCE = 1e-6
PACKAGES = ["numpy==2.4.6", "pycocotools==2.0.11"]


def environment():
    """Runs this script again with the packages, unless they are there."""
    try:
        import pycocotools  # noqa: F401
    except ImportError:
        folder = pathlib.Path(__file__).resolve().parents[2] / "target" / "check-map-venv"
        python = folder / "bin" / "python"
        if os.environ.get("CHECK_MAP_VENV"):
            sys.exit("pycocotools is not in its virtual environment")
        if not python.exists():
            venv.create(folder, with_pip=True)
        subprocess.check_call([python, "-m", "pip", "install", "--quiet", *PACKAGES])
        os.environ["CHECK_MAP_VENV"] = "1"
        os.execv(python, [str(python), *sys.argv])


def corner_and_size(frame):
    top, left, bottom, right = frame
    return [left, top, right - left, bottom - top]


def coco_figures(data, found):
    """AP at [.5:.95] and at .5, in per cent."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images = 1 + max(entry["image"] for entry in data["truth"] + found["boxes"])
    if not found["boxes"]:
        return 0.0, 0.0  # which pycocotools does not take
    truth = COCO()
    truth.dataset = {
        "images": [{"id": image} for image in range(images)],
        "categories": [{"id": index + 1} for index in range(len(data["classes"]))],
        "annotations": [
            {
                "id": index + 1,
                "image_id": entry["image"],
                "category_id": entry["class"] + 1,
                "bbox": corner_and_size(entry["frame"]),
                # Any area within COCO's bounds for "all".
                "area": 1.0,
                "iscrowd": int(entry["difficult"]),
            }
            for index, entry in enumerate(data["truth"])
        ],
    }
    truth.createIndex()
    boxes = [
        {
            "image_id": box["image"],
            "category_id": box["class"] + 1,
            "bbox": corner_and_size(box["frame"]),
            "score": box["score"],
        }
        for box in found["boxes"]
    ]
    evaluation = COCOeval(truth, truth.loadRes(boxes), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return 100 * evaluation.stats[0], 100 * evaluation.stats[1]


def voc_figure(data, found):
    """Mean of VOCevaldet.m's average precision over the classes, in per cent."""
    import numpy as np

    precisions = []
    for number in range(len(data["classes"])):
        objects = {}
        for entry in data["truth"]:
            if entry["class"] == number:
                objects.setdefault(entry["image"], []).append(entry)
        wanted = sum(not entry["difficult"] for entries in objects.values() for entry in entries)
        if wanted == 0:
            continue
        boxes = [box for box in found["boxes"] if box["class"] == number]
        boxes.sort(key=lambda box: -box["score"])
        taken, right, wrong = set(), np.zeros(len(boxes)), np.zeros(len(boxes))
        for rank, box in enumerate(boxes):
            best, best_overlap = None, -1.0
            for entry in objects.get(box["image"], []):
                overlap = iou(box["frame"], entry["frame"])
                if overlap > best_overlap:
                    best, best_overlap = entry, overlap
            if best_overlap < 0.5:
                wrong[rank] = 1
            elif not best["difficult"]:
                (wrong if id(best) in taken else right)[rank] = 1
                taken.add(id(best))
        right, wrong = np.cumsum(right), np.cumsum(wrong)
        recall = np.concatenate([[0], right / wanted, [1]])
        precision = np.concatenate([[0], right / np.maximum(right + wrong, 1), [0]])
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
        precisions.append(np.sum((recall[steps] - recall[steps - 1]) * precision[steps]))
    return 100 * np.mean(precisions)


def iou(a, b):
    height = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0)
    width = max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    shared = height * width
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    environment()
    data = json.loads(pathlib.Path(sys.argv[1]).read_text())
    worst = 0.0
    for found in data["found"]:
        ours = found["precision"]
        with contextlib.redirect_stdout(io.StringIO()):
            mean, half = coco_figures(data, found)
        rows = [("VOC 0.5", ours["map50"], voc_figure(data, found))]
        rows += [("COCO 0.5", ours["map50_coco"], half), ("COCO 0.5:0.95", ours["map5095"], mean)]
        for what, here, there in rows:
            worst = max(worst, abs(here - there))
            print(f"{found['name']:14} {what:14} {here:12.8f} {there:12.8f} {here - there:+.1e}")
    print(f"greatest difference {worst:.1e}")
    if worst > TOLERANCE:
        sys.exit(f"more than {TOLERANCE}")


if __name__ == "__main__":
    main()
