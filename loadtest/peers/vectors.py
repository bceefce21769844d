"""Real vectors: `vectors.py COUNT TO [FOLDER]...` writes TO.rows.f32, of so many sentences, and TO.questions.f32, of 1,000 others.

The vectors of a smaller COUNT are the first of a larger one's. Sentences are those of the documentation within FOLDER (comments and README files of the crates that cargo has fetched, where
nothing is said), each once; vectors are those of all-MiniLM-L6-v2 in bf16, as little-endian numbers of 32 bits.
"""

import random
import re
import sys
from pathlib import Path

QUESTIONS = 1000
PIECE = 5000
COMMENT = re.compile(r"^\s*//[/!] ?(.*)$")
END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")


def paragraphs(path: Path):
    """The text of a file's documentation, without its code."""
    is_code, held = False, []
    for line in path.read_text(errors="ignore").splitlines():
        if path.suffix == ".rs":
            found = COMMENT.match(line)
            line = found.group(1) if found else ""
        if line.strip().startswith(("```", "~~~")):
            is_code = not is_code
            line = ""
        if is_code or not line.strip() or line.lstrip().startswith(("#", "|", "[", "<")):
            if held:
                yield " ".join(held)
            held = []
        else:
            held.append(line.strip().lstrip("*- "))
    if held:
        yield " ".join(held)


def sentences(folders: list[str]) -> list[str]:
    seen = {}
    for folder in folders:
        files = (path for path in Path(folder).expanduser().rglob("*") if path.suffix in (".rs", ".md") and path.is_file())
        for path in sorted(files):
            for paragraph in paragraphs(path):
                for one in END.split(paragraph):
                    letters = sum(c.isalpha() or c == " " for c in one)
                    if 24 <= len(one) <= 500 and letters > 0.7 * len(one):
                        seen.setdefault(one.lower(), one)
    return list(seen.values())


def main() -> None:
    count, to = int(sys.argv[1]), sys.argv[2]
    texts = sentences(sys.argv[3:] or ["~/.cargo/registry/src"])
    random.Random(1).shuffle(texts)
    print(f"{len(texts)} sentences", file=sys.stderr)
    if len(texts) < count + QUESTIONS:
        sys.exit(f"{count + QUESTIONS} are wanted: name more folders")
    import torch
    from encode import load

    model = load(torch.bfloat16)
    with torch.inference_mode():
        for name, part in (("questions", texts[:QUESTIONS]), ("rows", texts[QUESTIONS:QUESTIONS + count])):
            with open(f"{to}.{name}.f32", "wb") as file:
                for at in range(0, len(part), PIECE):
                    made = model.encode(part[at:at + PIECE], batch_size=64, normalize_embeddings=True)
                    made.astype("<f4").tofile(file)
                    file.flush()


if __name__ == "__main__":
    main()
