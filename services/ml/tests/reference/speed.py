"""How fast transformers writes in the shape of Qwen3-0.6B with random weights, and how fast this service does.

    speed.py make FOLDER               makes FOLDER/{config.json, model.safetensors} (1.2 GB; keep it out of the checkout)
    speed.py run FOLDER PROGRAM [N]    N rounds, in each transformers and PROGRAM (the example `write`) one after the
                                       other, at 1 and at 8 sequences; prints the median of each
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

PROMPT = 32
WRITTEN = 64
LONG = 512


def make(folder: Path) -> None:
    torch.manual_seed(1)
    config = Qwen3Config(
        vocab_size=151936, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16,
        num_key_value_heads=8, head_dim=128, max_position_embeddings=40960, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="default", rope_theta=1e6), dtype=torch.bfloat16)
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


def seconds(model, batch: int, prompt: int, written: int) -> float:
    ids = torch.randint(0, 151936, (batch, prompt))
    start = time.perf_counter()
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=written, min_new_tokens=written, do_sample=False,
        eos_token_id=0, pad_token_id=0)
    assert out.shape == (batch, prompt + written)
    return time.perf_counter() - start


def theirs(model, batch: int) -> float:
    """Tokens per second after the prompt."""
    first = seconds(model, batch, PROMPT, 1)
    return batch * WRITTEN / (seconds(model, batch, PROMPT, WRITTEN + 1) - first)


def run(folder: Path, program: str, rounds: int) -> None:
    model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa").eval()
    found: dict[str, list[float]] = {}
    with torch.inference_mode():
        theirs(model, 1)
        for _ in range(rounds):
            for batch in (1, 8):
                found.setdefault(f"transformers, {batch} at once", []).append(theirs(model, batch))
            found.setdefault("transformers, prompt", []).append(LONG / seconds(model, 1, LONG, 1))
            # It says {"1": tokens per second, "8": ..., "prompt": ...}.
            out = subprocess.run([program, folder], check=True, capture_output=True, text=True).stdout
            for what, rate in json.loads(out.splitlines()[-1]).items():
                name = "prompt" if what == "prompt" else f"{what} at once"
                found.setdefault(f"this service, {name}", []).append(rate)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, tokens/s, median of {rounds}:")
    for name, rates in sorted(found.items()):
        print(f"  {name}: {statistics.median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f})")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        run(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 3)
