"""hnswlib, called directly: `nearest.py ROWS QUESTIONS DIMENSION`, both files of raw little-endian numbers of 32 bits.

It answers each line that it reads, a JSON object, with a line:
    {"do": "build", "m": 16, "ef": 128, "threads": 1}   {"cpu_s": ...}
    {"do": "search", "ef": [32, 64], "rounds": 3}       {"points": [{"ef": 32, "recall": ..., "per_cpu_s": ...}, ...]}

Recall is that of ten, against all comparisons; searches go one after the other on one thread, and the best round counts.
"""

import json
import sys
import time
from importlib.metadata import version

import hnswlib
import numpy

K = 10


def nearest(rows: numpy.ndarray, questions: numpy.ndarray) -> list[set[int]]:
    """By comparing all: what is true."""
    found = []
    for at in range(0, len(questions), 50):
        far = -(questions[at:at + 50] @ rows.T)
        found += [set(map(int, best)) for best in numpy.argpartition(far, K, axis=1)[:, :K]]
    return found


def cpu(work):
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def main() -> None:
    dimension = int(sys.argv[3])
    rows, questions = (numpy.fromfile(name, "<f4").reshape(-1, dimension) for name in sys.argv[1:3])
    rows /= numpy.linalg.norm(rows, axis=1, keepdims=True)
    questions /= numpy.linalg.norm(questions, axis=1, keepdims=True)
    truth = nearest(rows, questions)
    index = hnswlib.Index("cosine", dimension)
    say = lambda answer: print(json.dumps(answer), flush=True)
    say({"is": f"hnswlib {version('hnswlib')}", "threads": 1})
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "build":
            index.init_index(len(rows), M=asked["m"], ef_construction=asked["ef"], random_seed=100)
            index.set_num_threads(asked["threads"])
            seconds, _ = cpu(lambda: index.add_items(rows, num_threads=asked["threads"]))
            say({"cpu_s": seconds})
            continue
        points = []
        for ef in asked["ef"]:
            index.set_ef(ef)
            rounds = [cpu(lambda: index.knn_query(questions, K, num_threads=1)) for _ in range(asked["rounds"])]
            hits = sum(len(set(map(int, ids)) & true) for ids, true in zip(rounds[0][1][0], truth))
            points.append({"ef": ef, "recall": hits / (K * len(questions)),
                           "per_cpu_s": len(questions) / min(seconds for seconds, _ in rounds)})
        say({"points": points})


if __name__ == "__main__":
    main()
