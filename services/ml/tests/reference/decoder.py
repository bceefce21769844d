"""Tiny random decoders of every architecture, and what transformers says they answer.

    decoder.py OUT     makes OUT/<model>/{config.json, model*.safetensors, tokenizer.json, ...} and
                       OUT/<model>/expected.json: token ids of prompts, the logits after each, and 64 ids that
                       greedy decoding goes on with; and OUT/<model>/said.json: texts that follow chats.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

VOCAB = 384
GREEDY = 64
# More than there are special tokens, so that some texts end by themselves.
ENDS = [1, 6, *range(60, 68)]
SIZES = dict(
    vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=512, bos_token_id=0, eos_token_id=1, pad_token_id=2,
)
LLAMA3 = dict(
    rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=64,
)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=128)

MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig(
        **SIZES, num_hidden_layers=3, tie_word_embeddings=True, rope_parameters=LLAMA3)),
    "llama-biased": (LlamaForCausalLM, LlamaConfig(
        **SIZES, num_hidden_layers=2, attention_bias=True, mlp_bias=True, head_dim=24,
        rope_parameters=dict(rope_type="linear", rope_theta=5000.0, factor=2.0))),
    "mistral": (MistralForCausalLM, MistralConfig(
        **SIZES, num_hidden_layers=3, head_dim=32, sliding_window=16)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(
        **SIZES, num_hidden_layers=4, use_sliding_window=True, sliding_window=12, max_window_layers=2)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(
        **SIZES, num_hidden_layers=4, head_dim=32, tie_word_embeddings=True)),
    "qwen3-yarn": (Qwen3ForCausalLM, Qwen3Config(
        **SIZES, num_hidden_layers=2, head_dim=32, rope_parameters=YARN)),
}

CHAT = """{{- bos_token }}{% for message in messages %}
{{ '<|' + message.role + '|>' + message['content'] | trim }}<|end|>
{% endfor %}
{% if add_generation_prompt %}<|assistant|>{% endif %}"""


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of VOCAB tokens, so that every text can be written, and torn between any two bytes."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|begin|>", "<|eos|>", "<|pad|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    text = ["the quick brown fox jumps over the lazy dog and then the other one", "größer über 東京 naïve 🙂"] * 20
    bpe.train_from_iterator(text, trainer)
    assert bpe.get_vocab_size() <= VOCAB
    made = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<|begin|>", eos_token="<|eos|>", pad_token="<|pad|>")
    made.chat_template = CHAT
    return made


def randomise(model: torch.nn.Module) -> None:
    """Weights large enough for logits to differ clearly, and biases and norms that do something."""
    for name, weights in model.named_parameters():
        if "norm" in name:
            weights.normal_(1.0, 0.2)
        elif name.endswith("bias"):
            weights.normal_(0.0, 0.2)
        else:
            weights.normal_(0.0, 0.15)


def greedy(model, prompt: list[int]) -> tuple[list[int], float]:
    """Every step reads the whole sequence anew: nothing hangs on anybody's cache."""
    ids, gap = list(prompt), float("inf")
    for _ in range(GREEDY):
        best = model(torch.tensor([ids])).logits[0, -1].topk(2)
        gap = min(gap, float(best.values[0] - best.values[1]))
        ids.append(int(best.indices[0]))
    return ids[len(prompt):], gap


CHATS = [
    [{"role": "user", "content": "  the quick brown fox "}],
    [{"role": "system", "content": "größer über 東京"}, {"role": "user", "content": "naïve 🙂"}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
]


def said(model, words) -> list[dict]:
    """What a chat goes on with up to its end, or for 64 tokens: as ids and as text."""
    made = []
    for messages in CHATS:
        prompt = words.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        ids, gap = greedy(model, prompt)
        ends = [n for n, token in enumerate(ids) if token in ENDS]
        ids = ids[:ends[0] + 1] if ends else ids
        # What ends a text is not shown, special or not.
        text = words.decode(ids[:-1] if ends else ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        made.append(dict(messages=messages, prompt=len(prompt), ids=ids, ended=bool(ends), text=text, gap=gap))
    return made


def make(out: Path, name: str, kind, config) -> None:
    config._attn_implementation = "sdpa"
    model = kind(config).eval()
    randomise(model)
    folder = out / name
    # One of them in numbered parts.
    model.save_pretrained(folder, max_shard_size="150KB" if name == "llama" else "5GB")
    words = tokenizer()
    words.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ENDS, "bos_token_id": 0}))
    cases = []
    for length in (1, 7, 40):
        prompt = torch.randint(7, VOCAB, (length,)).tolist()
        ids, gap = greedy(model, prompt)
        logits = model(torch.tensor([prompt])).logits[0]
        cases.append(dict(prompt=prompt, logits=logits.tolist(), greedy=ids, gap=gap))
    (folder / "expected.json").write_text(json.dumps(cases))
    (folder / "said.json").write_text(json.dumps(said(model, words)))


def main() -> None:
    out = Path(sys.argv[1])
    torch.manual_seed(7)
    torch.set_num_threads(1)
    with torch.no_grad():
        for name, (kind, config) in MODELS.items():
            make(out, name, kind, config)


if __name__ == "__main__":
    main()
