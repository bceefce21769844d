"""Makes tiny random encoders with their tokenizers, and says what transformers makes of some texts with them.

Usage: encoders.py FOLDER. Each model gets a folder of its own with `expected.json` beside its files.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast
from transformers import AutoModelForSequenceClassification as Sequences
from transformers import AutoModelForTokenClassification as TokenClasses

CORPUS = [
    "The quick brown fox jumps over the lazy dog.",
    "Der schnelle braune Fuchs springt über den faulen Hund.",
    "敏捷的棕色狐狸跳过了懒狗。",
    "🦊 jumps over 🐶 and 🎉 follows.",
]
TEXTS = CORPUS + ["", " ", "fox", "dog fox " * 9, "word " * 400]
PAIRS = [("Who jumps?", CORPUS[0]), ("", ""), ("fox " * 300, "dog " * 2), ("fox " * 2, "dog " * 300),
         ("fox " * 300, "dog " * 301)]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
NAMES = {"unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
MAX = 64


def wordpiece():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special))
    cls, sep = made.token_to_id("[CLS]"), made.token_to_id("[SEP]")
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)])
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
                                   sep_token="[SEP]", mask_token="[MASK]")


def byte_level():
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet))
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(tokenizer_object=made, **NAMES)


def unigram():
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(" {2,}", " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=150, special_tokens=SPECIAL, unk_token="<unk>"))
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=made, **NAMES)


def bert(words, **more):
    return dict(model_type="bert", vocab_size=words, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
                intermediate_size=48, max_position_embeddings=MAX, pad_token_id=0, **more)


def roberta(kind, words, **more):
    return dict(model_type=kind, vocab_size=words, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                intermediate_size=64, max_position_embeddings=MAX + 2, type_vocab_size=1, pad_token_id=1,
                bos_token_id=0, eos_token_id=2, layer_norm_eps=1e-5, **more)


def distilbert(words, **more):
    return dict(model_type="distilbert", vocab_size=words, dim=32, n_layers=2, n_heads=4, hidden_dim=64,
                max_position_embeddings=MAX, pad_token_id=0, **more)


def make(folder, name, kind, tokenizer, config):
    """A model with weights far from zero, so that an error in any part is seen."""
    model_type = config.pop("model_type")
    torch.manual_seed(len(name))
    model = kind.from_config(AutoConfig.for_model(model_type, **config), attn_implementation="eager").eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0.05 if weight.dim() == 1 else 0.0, 0.2)
    for part in model.modules():
        if isinstance(part, torch.nn.LayerNorm):
            torch.nn.init.normal_(part.weight, 1.0, 0.2)
    place = folder / name
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return model, place


def vectors(folder, name, tokenizer, config):
    model, place = make(folder, name, AutoModel, tokenizer, config)
    cases = []
    for text in TEXTS:
        inputs = tokenizer(text, truncation=True, max_length=MAX, return_tensors="pt", return_token_type_ids=True)
        hidden = run(model, inputs).last_hidden_state[0]
        cases.append({"text": text, "ids": inputs["input_ids"][0].tolist(), "hidden": hidden.tolist()})
    write(place, cases)


def classes(folder, name, kind, tokenizer, config):
    model, place = make(folder, name, kind, tokenizer, config)
    cases = []
    for text in TEXTS:
        inputs = tokenizer(text, truncation=True, max_length=MAX, return_tensors="pt", return_token_type_ids=True,
                           return_offsets_mapping=True)
        places = inputs.pop("offset_mapping")[0].tolist()
        logits = run(model, inputs).logits[0]
        cases.append({"text": text, "logits": logits.tolist(), "places": places})
    write(place, cases)


def relevance(folder, name, tokenizer, config):
    model, place = make(folder, name, Sequences, tokenizer, config)
    cases = []
    for query, passage in PAIRS:
        inputs = tokenizer(query, passage, truncation=True, max_length=MAX, return_tensors="pt",
                           return_token_type_ids=True)
        logit = run(model, inputs).logits[0][0].item()
        case = {"query": query, "passage": passage, "logit": logit, "ids": inputs["input_ids"][0].tolist()}
        cases.append(case)
    write(place, cases)


def run(model, inputs):
    if model.config.model_type == "distilbert":
        inputs.pop("token_type_ids", None)
    with torch.inference_mode():
        return model(**inputs)


def write(place, cases):
    (place / "expected.json").write_text(json.dumps(cases))


def main():
    folder = Path(sys.argv[1])
    words, pieces, letters = wordpiece(), unigram(), byte_level()
    count = {"words": len(words), "pieces": len(pieces), "letters": len(letters)}
    five = {"id2label": {i: f"class-{i}" for i in range(5)}, "label2id": {f"class-{i}": i for i in range(5)}}
    one = {"id2label": {0: "relevance"}, "label2id": {"relevance": 0}}
    vectors(folder, "bert", words, bert(count["words"]))
    vectors(folder, "bert-tanh", words, bert(count["words"], hidden_act="gelu_new"))
    vectors(folder, "roberta", letters, roberta("roberta", count["letters"]))
    vectors(folder, "xlm-roberta", pieces, roberta("xlm-roberta", count["pieces"]))
    vectors(folder, "distilbert", words, distilbert(count["words"]))
    classes(folder, "bert-classes", Sequences, words, bert(count["words"], **five))
    several = {"problem_type": "multi_label_classification", **five}
    classes(folder, "roberta-classes", Sequences, letters, roberta("roberta", count["letters"], **several))
    classes(folder, "distilbert-classes", Sequences, words, distilbert(count["words"], **five))
    classes(folder, "bert-tokens", TokenClasses, words, bert(count["words"], **five))
    classes(folder, "roberta-tokens", TokenClasses, letters, roberta("roberta", count["letters"], **five))
    relevance(folder, "bert-relevance", words, bert(count["words"], **one))
    relevance(folder, "xlm-roberta-relevance", pieces, roberta("xlm-roberta", count["pieces"], **one))


main()
