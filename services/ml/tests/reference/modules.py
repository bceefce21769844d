"""TorchScript modules and what Python makes of them: one folder for each, and the inputs and outputs as safetensors.

Called with a folder. Writes <folder>/<name>/model.pt and, where the module answers, cases.safetensors with tensors named
<case>.in.<n> and <case>.out.<way>, where a way is as the service writes it: `output`, `0`, `scores`, `0.scores`.
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file


class Plus(torch.nn.Module):
    """Twice the first, and the second: of any number format."""

    def forward(self, a, b):
        return a + a + b


class Mlp(torch.nn.Module):
    """Layers with weights."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.Linear(32, 4))

    def forward(self, x):
        return torch.softmax(self.layers(x), -1)


class Compare(torch.nn.Module):
    """True and false come out, and a view that is no copy."""

    def forward(self, x):
        return x > 0, x.t(), x[:, 1]


class Nested(torch.nn.Module):
    """Tuples, dicts and lists in each other, with plain numbers among them."""

    def forward(self, x):
        mean = x.mean()
        return {"scores": [x * 2, x.to(torch.int32)], "sum": [x.sum()]}, (mean, 7, 0.5, True)


class Raises(torch.nn.Module):
    """Refuses positive numbers."""

    def forward(self, x):
        if bool((x.sum() > 0).item()):
            raise ValueError("only negative numbers are wanted")
        return x


class Eats(torch.nn.Module):
    """Wants as many bytes as it is told: in one piece, or in pieces of 64 MB that it fills and keeps."""

    def forward(self, bytes, piece):
        kept = []
        left = int(bytes.item())
        step = int(piece.item())
        while left > 0:
            kept.append(torch.ones([min(step, left)], dtype=torch.uint8))
            left -= step
        return torch.tensor(len(kept))


class Endless(torch.nn.Module):
    """A view of one number that claims to be many."""

    def forward(self, x):
        return x.sum().expand([1 << 20, 1 << 20])


class Odd(torch.nn.Module):
    """A number format that no task has."""

    def forward(self, x):
        return torch.complex(x, x)


class Slow(torch.nn.Module):
    """Takes a while, as often as it is told."""

    def forward(self, times):
        x = torch.ones([256, 256])
        for _ in range(int(times.item())):
            x = torch.tanh(x @ x)
        return x.sum()


def flat(way, value):
    if isinstance(value, torch.Tensor):
        return {way or "output": value}
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (tuple, list)):
        items = enumerate(value)
    else:
        return {}
    return {k: v for key, item in items for k, v in flat(f"{way}.{key}" if way else str(key), item).items()}


def cases_of_plus():
    torch.manual_seed(2)
    kinds = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
    for kind in kinds:
        yield str(kind)[6:], [torch.randint(0, 20, (3, 4)).to(kind), torch.randint(0, 20, (3, 4)).to(kind)]
    for kind in [torch.float16, torch.bfloat16, torch.float32, torch.float64]:
        yield str(kind)[6:], [torch.randn(2, 3, 4).to(kind), torch.randn(4).to(kind)]
    yield "numbers", [torch.tensor(2.5), torch.tensor(1)]
    yield "empty", [torch.zeros(0, 3), torch.zeros(0, 3)]


def main(folder):
    torch.manual_seed(1)
    x = torch.randn(3, 16)
    modules = {
        "plus": (torch.jit.script(Plus()), dict(cases_of_plus())),
        "mlp": (torch.jit.trace(Mlp().eval(), x), {"three": [x], "one": [torch.randn(1, 16)]}),
        "compare": (torch.jit.trace(Compare().eval(), torch.randn(2, 3)), {"a": [torch.randn(4, 3)]}),
        "nested": (torch.jit.script(Nested()), {"a": [torch.randn(2, 2)]}),
        "raises": (torch.jit.script(Raises()), {"fits": [torch.tensor([-1.0, -2.0])]}),
        "eats": (torch.jit.script(Eats()), {"little": [torch.tensor(1 << 20), torch.tensor(1 << 20)]}),
        "endless": (torch.jit.script(Endless()), {}),
        "odd": (torch.jit.script(Odd()), {}),
        "slow": (torch.jit.script(Slow()), {}),
    }
    for name, (module, cases) in modules.items():
        place = pathlib.Path(folder) / name
        place.mkdir(parents=True, exist_ok=True)
        module.save(str(place / "model.pt"))
        tensors = {}
        for case, inputs in cases.items():
            tensors |= {f"{case}.in.{n}": tensor for n, tensor in enumerate(inputs)}
            for way, tensor in flat("", module(*inputs)).items():
                tensors[f"{case}.out.{way}"] = tensor.detach().clone().contiguous()
        if tensors:
            save_file(tensors, str(place / "cases.safetensors"))


main(sys.argv[1])
