"""transformers with the model of `models.py writer`: `write.py FOLDER`. It answers each line that it reads, a JSON object:
{"texts": 8, "prompt": 32, "written": 64} with {"seconds": ...}, from the prompts to the last token.
"""

import json
import sys
import time

import torch
import transformers
from transformers import Qwen3ForCausalLM


def seconds(model, texts: int, prompt: int, written: int) -> float:
    ids = torch.randint(0, model.config.vocab_size, (texts, prompt))
    start = time.perf_counter()
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=written, min_new_tokens=written, do_sample=False,
        eos_token_id=0, pad_token_id=0)
    assert out.shape == (texts, prompt + written)
    return time.perf_counter() - start


def main() -> None:
    model = Qwen3ForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16, attn_implementation="sdpa").eval()
    print(json.dumps({"is": f"transformers {transformers.__version__}, torch {torch.__version__}",
                      "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        with torch.inference_mode():
            print(json.dumps({"seconds": seconds(model, **asked)}), flush=True)


if __name__ == "__main__":
    main()
