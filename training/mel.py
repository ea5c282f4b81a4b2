# SPDX-License-Identifier: Apache-2.0
"""Log-mel frames of a batch of sounds, as the published preprocessor makes them (without dither)."""

import math

import torch

RATE, HOP, N_FFT, WINDOW, N_MELS = 16000, 160, 512, 400, 128


def mel_filters():
    def to_hz(m):
        return 200 * m / 3 if m < 15 else 1000 * math.exp((m - 15) * math.log(6.4) / 27)

    top = 15 + math.log(8000 / 1000) * 27 / math.log(6.4)
    hz = [to_hz(top * i / (N_MELS + 1)) for i in range(N_MELS + 2)]
    f = torch.arange(N_FFT // 2 + 1, dtype=torch.float64) * RATE / N_FFT
    rows = []
    for a, b, c in zip(hz, hz[1:], hz[2:]):
        rows.append(torch.minimum((f - a) / (b - a), (c - f) / (c - b)).clamp(min=0) * 2 / (c - a))
    return torch.stack(rows).float()


class Mel:
    def __init__(self, device):
        self.filters = mel_filters().to(device)
        w = torch.hann_window(WINDOW, periodic=False, dtype=torch.float64).float()
        side = (N_FFT - WINDOW) // 2
        self.window = torch.nn.functional.pad(w, (side, side)).to(device)

    def __call__(self, x, n):
        """x [B, N] samples with zeros behind the n of each: frames [B, T, 128] (zeros behind), frames of each."""
        y = torch.cat([x[:, :1], x[:, 1:] - 0.97 * x[:, :-1]], 1)
        y = y * (torch.arange(x.shape[1], device=x.device) < n[:, None])
        s = torch.stft(y, N_FFT, HOP, window=self.window, center=True, pad_mode="constant", return_complex=True)
        p = s.real.square() + s.imag.square()
        m = torch.log(torch.einsum("mf,bft->btm", self.filters, p) + 2.0**-24)
        v = torch.div(n, HOP, rounding_mode="floor")
        ok = (torch.arange(m.shape[1], device=x.device) < v[:, None])[..., None]
        mean = (m * ok).sum(1, keepdim=True) / v[:, None, None]
        var = ((m - mean).square() * ok).sum(1, keepdim=True) / (v[:, None, None] - 1)
        return torch.where(ok, (m - mean) / (var.sqrt() + 1e-5), 0.0), v + 1
