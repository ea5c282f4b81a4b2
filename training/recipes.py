# SPDX-License-Identifier: Apache-2.0
"""What is trained when. Each stage: steps, peak learning rate (cosine down to lr_end of it), share of steps for each kind, what
its loss is ("frames": characters where the renderer put them, "ctc", "lm": the answer and 0.3 CTC), and the batches.

cpu: batches of 32, for two cores and some hours. gpu: batches of 512, each seen three times with other noise, for one large
GPU and 16 cores that draw and speak for it."""


def stages(batch, scale, lr, gpu=False, shards=40):
    pool = batch * (4 if gpu else 16)
    lines = {"batch": batch, "pool": pool, "reuse": 3 if gpu else 1}
    speech = {"batch": max(16, batch // 2), "pool": pool // 2 if gpu else pool, "shards": shards, "reuse": 3 if gpu else 1}
    scenes = {"batch": max(16, batch // 2), "pool": pool, "reuse": 3 if gpu else 1}
    n = lambda x: int(x * scale)
    return [
        {
            "name": "lines-easy",
            "steps": n(2000),
            "lr": lr,
            "lr_end": 0.6,
            "mix": {"lines": 1},
            "mode": {"lines": [[0.6, "frames"], [1, "ctc"]]},
            "data": {"lines": {**lines, "longest": 30, "wide_px": 384, "ease": 0.85}},
        },
        {
            "name": "lines-encoder",
            "steps": n(2500),
            "lr": lr,
            "lr_end": 0.3,
            "mix": {"lines": 1},
            "mode": {"lines": "ctc"},
            "data": {"lines": {**lines, "longest": 40, "wide_px": 512, "ease": 0.1}},
        },
        {
            "name": "speech-short",
            "steps": n(2500),
            "lr": lr,
            "lr_end": 0.5,
            "mix": {"speech": 1},
            "mode": {"speech": "ctc"},
            "data": {"speech": {**speech, "short": 1.0, "longest_s": 4}},
        },
        {
            "name": "speech-encoder",
            "steps": n(3500),
            "lr": lr,
            "lr_end": 0.3,
            "mix": {"speech": 1},
            "mode": {"speech": "ctc"},
            "data": {"speech": {**speech, "short": 0.2, "longest_s": 8}},
        },
        {
            "name": "joint",
            "steps": n(24000),
            "lr": lr,
            "lr_end": 0.02,
            "mix": {"lines": 0.5, "speech": 0.35, "scenes": 0.15},
            "mode": {},
            "data": {
                "lines": {**lines, "longest": 110, "wide_px": 2304, "ease": 0.1},
                "speech": {**speech, "short": 0.1, "longest_s": 12},
                "scenes": scenes,
            },
        },
    ]


RECIPES = {
    "cpu": stages(32, 1.0, 1.5e-3),
    "gpu": stages(512, 0.5, 2.5e-3, gpu=True, shards=120),
    "smoke": stages(4, 0.002, 1e-3, shards=1),
}  # a minute, to see that all of it runs
