"""Writes the PyTorch checkpoints that PyTorchFileTests reads.

    python3 tests/CoFrGeNet.Tests/Weights/golden/pytorch.py tests/CoFrGeNet.Tests/Weights/golden

Seen with Python 3.11 and torch 1.13.0 (Debian's python3-torch). Expected values are formulas, repeated in the test.
"""

import collections
import pathlib
import sys

import torch


def nested():
    base = torch.arange(24, dtype=torch.float32)
    model = collections.OrderedDict()
    model["plain.weight"] = base.reshape(4, 6)
    model["transposed.weight"] = base.reshape(4, 6).t()
    model["part"] = base[5:11]
    model["every.second"] = base[1::2]
    model["permuted"] = base.reshape(2, 3, 4).permute(2, 0, 1)
    model["parameter"] = torch.nn.Parameter(torch.tensor([1.5, -2.0]))
    model["scalar"] = torch.tensor(7.25)
    model["empty"] = torch.zeros(0, 3)
    for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool):
        model[f"types.{str(dtype).split('.')[1]}"] = torch.tensor([0, 1, 1, 0]).to(dtype)
    return {
        "model": model,
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.5, "betas": (0.9, 0.95), "params": [0, 1]}]},
        "iteration": 70000,
        "large": 2**40,
        "negative": -3,
        "name": "checkpoint ü",
        "done": True,
        "nothing": None,
    }


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    torch.save(nested(), folder / "nested.pt")
    state = torch.nn.Linear(3, 2).state_dict()
    state["weight"].copy_(torch.arange(6.0).reshape(2, 3))
    state["bias"].copy_(torch.tensor([10.0, 20.0]))
    torch.save(state, folder / "state_dict.pt", pickle_protocol=4)
    torch.save(state, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"model": state, "config": pathlib.PurePosixPath("x")}, folder / "object.pt")
