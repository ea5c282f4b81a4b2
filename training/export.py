# SPDX-License-Identifier: Apache-2.0
"""A checkpoint of training to a folder in the published layout (safetensors, F32), which every loader of lfm2 accepts.

usage: export.py CHECKPOINT|random OUT [CALIBRATION]"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

import text
from arrays import load_weights
from model import HERE, Model, load_config


def exported(model):
    """The tensors of the published layout: everything but the helpers of training."""
    return {
        k: v.detach().float().contiguous() if v.is_floating_point() else v
        for k, v in model.state_dict().items()
        if not k.startswith("aux.")
    }


def export(model, out, confidence=None):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    save_file(exported(model), str(out / "model.safetensors"), metadata={"format": "pt"})
    cfg = dict(model.cfg)
    tok = json.loads((HERE / "model" / "tokenizer.json").read_text())
    cfg["image_token_id"] = tok["model"]["vocab"]["<image>"]
    if confidence:
        cfg["lfm2_confidence"] = confidence
    (out / "config.json").write_text(json.dumps(cfg, indent=1) + "\n")
    for f in ("processor_config.json", "chat_template.jinja", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(HERE / "model" / f, out)
    (out / "generation_config.json").write_text(
        json.dumps({"bos_token_id": 1, "eos_token_id": 7, "pad_token_id": 0, "do_sample": False}) + "\n"
    )


def load(path):
    """A model with the weights of a checkpoint; "random" gives fresh ones."""
    torch.manual_seed(1)
    m = Model(load_config(), len(text.CHARS))
    if path != "random":
        m.load_state_dict(load_weights(path))
    return m.eval()


if __name__ == "__main__":
    fit = json.loads(Path(sys.argv[3]).read_text()) if len(sys.argv) > 3 else None
    export(load(sys.argv[1]), sys.argv[2], fit)
