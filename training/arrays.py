# SPDX-License-Identifier: Apache-2.0
"""From arrays to tensors, and weights to files and back."""

from pathlib import Path

import torch


def tensors(batch, device):
    """The arrays of a batch on the device; everything else is left as it is."""
    out = {}
    for k, v in batch.items():
        if hasattr(v, "dtype"):
            t = torch.from_numpy(v)
            v = t.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else t
        out[k] = v
    return out


def patches(image):
    """u8 [B, H, W, 3] to [B, H/16, W/16, 768] in dy, dx, channel order."""
    b, h, w, _ = image.shape
    x = image.view(b, h // 16, 16, w // 16, 16, 3).permute(0, 1, 3, 2, 4, 5).reshape(b, h // 16, w // 16, 768)
    return x.float() / 127.5 - 1


def save_parts(model, folder, cap_bytes=14 << 20):
    """The weights alone, in files that are small enough to be carried about."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    part, size, n = {}, 0, 0
    for k, v in [*model.state_dict().items(), (None, None)]:
        more = 0 if v is None else v.numel() * v.element_size()
        if part and (k is None or size + more > cap_bytes):
            torch.save(part, folder / f"weights-{n}.pt")
            part, size, n = {}, 0, n + 1
        if k is not None:
            part[k], size = v.detach().cpu().clone(), size + more


def load_weights(path):
    """Of a checkpoint, or of a folder of parts."""
    path = Path(path)
    if path.is_dir():
        return {
            k: v for p in sorted(path.glob("weights-*.pt")) for k, v in torch.load(p, map_location="cpu", weights_only=True).items()
        }
    return torch.load(path, map_location="cpu", weights_only=True)["model"]
