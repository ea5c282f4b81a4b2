# SPDX-License-Identifier: Apache-2.0
"""The LFM2 see/hear model in PyTorch. Parameters carry the names and shapes of the published checkpoints, so that the
state dictionary is the export; heads that are needed in training only live under `aux`."""

import json
import math
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

HERE = Path(__file__).parent


def load_config(vocab_size=None):
    cfg = json.loads((HERE / "model" / "config.json").read_text())
    if vocab_size is not None:
        cfg["text_config"]["vocab_size"] = vocab_size
    return cfg


# ---- Backbone ----


class RMSNorm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight
        return y.to(x.dtype)


class ShortConv(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, k = c["hidden_size"], c["conv_L_cache"]
        self.in_proj, self.out_proj = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.conv = nn.Conv1d(d, d, k, groups=d, bias=False)
        self.k = k

    def forward(self, x, rope, state):
        b, c, v = self.in_proj(x).chunk(3, -1)
        u = b * v
        past = u.new_zeros(u.shape[0], self.k - 1, u.shape[2]) if state is None else state
        u = torch.cat([past, u], 1)
        w, t = self.conv.weight[:, 0].to(u.dtype), x.shape[1]
        y = sum(w[:, j] * u[:, j : j + t] for j in range(self.k))
        return self.out_proj(c * y), u[:, -(self.k - 1) :]


def rotate(x, rope):
    cos, sin = rope
    a, b = x.float().chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.h, self.kv = c["num_attention_heads"], c["num_key_value_heads"]
        self.d = d // self.h
        self.q_proj = nn.Linear(d, self.h * self.d, bias=False)
        self.k_proj = nn.Linear(d, self.kv * self.d, bias=False)
        self.v_proj = nn.Linear(d, self.kv * self.d, bias=False)
        self.out_proj = nn.Linear(self.h * self.d, d, bias=False)
        self.q_layernorm, self.k_layernorm = RMSNorm(self.d, c["norm_eps"]), RMSNorm(self.d, c["norm_eps"])

    def forward(self, x, rope, state):
        b, t, _ = x.shape
        q = rotate(self.q_layernorm(self.q_proj(x).view(b, t, self.h, self.d)).transpose(1, 2), rope)
        k = rotate(self.k_layernorm(self.k_proj(x).view(b, t, self.kv, self.d)).transpose(1, 2), rope)
        v = self.v_proj(x).view(b, t, self.kv, self.d).transpose(1, 2)
        if state is not None:
            k, v = torch.cat([state[0], k], 2), torch.cat([state[1], v], 2)
        n = self.h // self.kv
        o = F.scaled_dot_product_attention(q, k.repeat_interleave(n, 1), v.repeat_interleave(n, 1), is_causal=state is None)
        return self.out_proj(o.transpose(1, 2).reshape(b, t, -1)), (k, v)


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, f = c["hidden_size"], c["intermediate_size"]
        self.w1, self.w3, self.w2 = nn.Linear(d, f, bias=False), nn.Linear(d, f, bias=False), nn.Linear(f, d, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class BackboneLayer(nn.Module):
    def __init__(self, c, kind):
        super().__init__()
        self.name = "conv" if kind == "conv" else "self_attn"
        setattr(self, self.name, ShortConv(c) if kind == "conv" else Attention(c))
        self.operator_norm, self.ffn_norm = (RMSNorm(c["hidden_size"], c["norm_eps"]) for _ in range(2))
        self.feed_forward = FeedForward(c)

    def forward(self, x, rope, state):
        o, state = getattr(self, self.name)(self.operator_norm(x), rope, state)
        x = x + o
        return x + self.feed_forward(self.ffn_norm(x)), state


class Backbone(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(BackboneLayer(c, k) for k in c["layer_types"])
        self.embedding_norm = RMSNorm(c["hidden_size"], c["norm_eps"])
        m = c["hidden_size"] // c["num_attention_heads"] // 2
        self.register_buffer("inv_freq", c["rope_parameters"]["rope_theta"] ** (-torch.arange(m) / m), persistent=False)

    def forward(self, x, states=None, start=0):
        """Embeddings [B, T, d] to the final hidden states; states: of an earlier call that ended at position start."""
        pos = torch.arange(start, start + x.shape[1], device=x.device, dtype=torch.float32)
        ang = pos[:, None] * self.inv_freq[None]
        rope, out = (ang.cos(), ang.sin()), []
        for i, layer in enumerate(self.layers):
            x, s = layer(x, rope, None if states is None else states[i])
            out.append(s)
        return self.embedding_norm(x), out

    def logits(self, h):
        return F.linear(h, self.embed_tokens.weight)


# ---- Vision ----


def triangle_weights(n_in, n_out):
    """Rows of weights [n_out, n_in]: bilinear with antialiasing, as tables of positions and images are scaled."""
    s = max(1.0, n_in / n_out)
    c = (torch.arange(n_out, dtype=torch.float64) + 0.5) * n_in / n_out
    j = torch.arange(n_in, dtype=torch.float64)
    w = (1 - ((c[:, None] - j[None] - 0.5) / s).abs()).clamp(min=0)
    return (w / w.sum(1, keepdim=True)).float()


def waves(side, d):
    """A table of positions to begin with, [side * side, d]: waves along x, along y, and a little noise. A step to the side is then
    the same turn everywhere, also in a table that was scaled."""
    n = d // 3
    w = math.pi * 0.8 * torch.exp(-torch.arange(n // 2) * (math.log(side * 1.6) / (n // 2 - 1)))
    ang = torch.arange(side, dtype=torch.float32)[:, None] * w[None]
    axis = torch.cat([ang.sin(), ang.cos()], 1)
    table = torch.randn(side, side, d) * 0.1
    table[:, :, :n] += 0.7 * axis[None]
    table[:, :, n : 2 * n] += 0.7 * axis[:, None]
    return table.view(side * side, d)


class VisionAttention(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(d, d) for _ in range(4))
        self.h = h

    def forward(self, x, mask):
        b, n, d = x.shape
        q, k, v = (p(x).view(b, n, self.h, d // self.h).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out_proj(o.transpose(1, 2).reshape(b, n, d))


class VisionLayer(nn.Module):
    def __init__(self, v):
        super().__init__()
        d, eps = v["hidden_size"], v["layer_norm_eps"]
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(d, eps), nn.LayerNorm(d, eps)
        self.self_attn = VisionAttention(d, v["num_attention_heads"])
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(d, v["intermediate_size"]), nn.Linear(v["intermediate_size"], d)

    def forward(self, x, mask):
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.layer_norm2(x)), approximate="tanh"))


class VisionTower(nn.Module):
    """Images of several sizes in one grid: x [B, R, C, 768] with rows r >= rows[b] and columns c >= cols[b] empty."""

    def __init__(self, v):
        super().__init__()
        d = v["hidden_size"]
        self.side = int(round(v["num_patches"] ** 0.5))
        self.embeddings = nn.Module()
        self.embeddings.patch_embedding = nn.Linear(3 * v["patch_size"] ** 2, d)
        self.embeddings.position_embedding = nn.Embedding(v["num_patches"], d)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(VisionLayer(v) for _ in range(v["num_hidden_layers"]))
        self.post_layernorm = nn.LayerNorm(d, v["layer_norm_eps"])
        self.weights = {}

    def axis(self, sizes, cap, device):
        """[B, cap, side] weights of an axis of the position table; rows beyond an image's size are zero."""
        out = torch.zeros(len(sizes), cap, self.side)
        for n in set(sizes):
            if n not in self.weights:
                self.weights[n] = triangle_weights(self.side, n)
            rows = [i for i, m in enumerate(sizes) if m == n]
            out[rows, :n] = self.weights[n]
        return out.to(device, non_blocking=True)

    def forward(self, x, rows, cols):
        b, r, c, _ = x.shape
        same_r, same_c = len(set(rows)) == 1, len(set(cols)) == 1
        table = self.embeddings.position_embedding.weight.float().view(self.side, self.side, -1)
        ah, aw = self.axis(rows[:1] if same_r else rows, r, x.device), self.axis(cols[:1] if same_c else cols, c, x.device)
        with torch.autocast(x.device.type, enabled=False):
            th = torch.einsum("brs,std->brtd", ah, table)
            pos = (
                torch.einsum("bct,brtd->brcd", aw.expand(b, -1, -1), th.expand(b, -1, -1, -1))
                if not (same_r and same_c)
                else torch.einsum("bct,brtd->brcd", aw, th)
            )
        h = self.embeddings.patch_embedding(x)
        h = h + pos.to(h.dtype)
        mask = None
        if not (same_r and same_c and rows[0] == r and cols[0] == c):
            ok = (ah.sum(-1) > 0).expand(b, r)[:, :, None] & (aw.sum(-1) > 0).expand(b, c)[:, None, :]
            mask = ok.reshape(b, 1, 1, r * c)
        h = h.reshape(b, r * c, -1)
        for layer in self.encoder.layers:
            h = layer(h, mask)
        return self.post_layernorm(h).view(b, r, c, -1)


class Projector(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        f, d = cfg["downsample_factor"], cfg["vision_config"]["hidden_size"]
        self.f = f
        self.linear_1 = nn.Linear(f * f * d, cfg["projector_hidden_size"])
        self.linear_2 = nn.Linear(cfg["projector_hidden_size"], cfg["text_config"]["hidden_size"])

    def forward(self, x):
        """Features [B, R, C, d] to embeddings [B, R/2, C/2, width of the backbone]."""
        b, r, c, d = x.shape
        f = self.f
        z = x.view(b, r // f, f, c // f, f, d).permute(0, 1, 3, 2, 4, 5).reshape(b, r // f, c // f, f * f * d)
        return self.linear_2(F.gelu(self.linear_1(z)))


# ---- Sound ----


def half(n):
    return torch.div(n + 1, 2, rounding_mode="floor")


class Subsampling(nn.Module):
    def __init__(self, e):
        super().__init__()
        c, freq = e["subsampling_conv_channels"], e["feat_in"]
        for _ in range(3):
            freq = (freq + 1) // 2
        dw = lambda: nn.Conv2d(c, c, 3, 2, 1, groups=c)
        self.conv = nn.Sequential(
            nn.Conv2d(1, c, 3, 2, 1), nn.ReLU(), dw(), nn.Conv2d(c, c, 1), nn.ReLU(), dw(), nn.Conv2d(c, c, 1), nn.ReLU()
        )
        self.out = nn.Linear(c * freq, e["d_model"])
        for m in self.conv:
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="linear" if m.groups > 1 else "relu")
                nn.init.zeros_(m.bias)

    def forward(self, mel, n):
        """mel [B, T, M], n frames of each: [B, ceil(T/8), d], n."""
        x = mel[:, None]
        for i, m in enumerate(self.conv):
            x = m(x)
            if i in (1, 4, 7):
                n = half(n)
                x = x * (torch.arange(x.shape[2], device=x.device) < n[:, None])[:, None, :, None]
        return self.out(x.transpose(1, 2).flatten(2)), n


class RelAttention(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.h, self.d = h, d // h
        self.linear_q, self.linear_k, self.linear_v, self.linear_out = (nn.Linear(d, d) for _ in range(4))
        self.linear_pos = nn.Linear(d, d, bias=False)
        self.pos_bias_u, self.pos_bias_v = nn.Parameter(torch.zeros(h, self.d)), nn.Parameter(torch.zeros(h, self.d))

    def forward(self, x, pos, mask):
        b, n, _ = x.shape
        q, k, v = (f(x).view(b, n, self.h, self.d) for f in (self.linear_q, self.linear_k, self.linear_v))
        p = self.linear_pos(pos).view(2 * n - 1, self.h, self.d)
        bd = torch.einsum("bihd,rhd->bhir", q + self.pos_bias_v.to(q.dtype), p)
        bd = F.pad(bd, (1, 0)).view(b, self.h, 2 * n, n)[:, :, 1:].reshape(b, self.h, n, 2 * n - 1)[..., :n]
        bias = (bd / math.sqrt(self.d)).masked_fill(~mask[:, None, None, :], float("-inf"))
        q = (q + self.pos_bias_u.to(q.dtype)).transpose(1, 2)
        o = F.scaled_dot_product_attention(q, k.transpose(1, 2), v.transpose(1, 2), attn_mask=bias.to(q.dtype))
        return self.linear_out(o.transpose(1, 2).reshape(b, n, -1))


class MaskedBatchNorm(nn.Module):
    """Batch norm over the valid frames only."""

    def __init__(self, d, eps=1e-5, momentum=0.02):
        super().__init__()
        self.weight, self.bias, self.eps, self.momentum = nn.Parameter(torch.ones(d)), nn.Parameter(torch.zeros(d)), eps, momentum
        self.register_buffer("running_mean", torch.zeros(d))
        self.register_buffer("running_var", torch.ones(d))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long))

    def forward(self, x, mask):
        mean, var = self.running_mean, self.running_var
        if self.training:
            y, w = x.float(), mask[..., None].float()
            n = w.sum()
            mean = (y * w).sum((0, 1)) / n
            var = ((y - mean).pow(2) * w).sum((0, 1)) / n
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var * n / (n - 1), self.momentum)
                self.num_batches_tracked += 1
        return ((x.float() - mean) * (torch.rsqrt(var + self.eps) * self.weight) + self.bias).to(x.dtype)


class ConvModule(nn.Module):
    def __init__(self, d, k):
        super().__init__()
        self.pointwise_conv1, self.pointwise_conv2 = nn.Conv1d(d, 2 * d, 1), nn.Conv1d(d, d, 1)
        self.depthwise_conv = nn.Conv1d(d, d, k, padding=k // 2, groups=d)
        self.batch_norm = MaskedBatchNorm(d)

    def forward(self, x, mask):
        x = F.glu(F.linear(x, self.pointwise_conv1.weight[..., 0], self.pointwise_conv1.bias), -1) * mask[..., None]
        x = F.silu(self.batch_norm(self.depthwise_conv(x.mT).mT, mask))
        return F.linear(x, self.pointwise_conv2.weight[..., 0], self.pointwise_conv2.bias)


class ConformerFF(nn.Module):
    def __init__(self, d, f):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(d, f), nn.Linear(f, d)

    def forward(self, x):
        return self.linear2(F.silu(self.linear1(x)))


class ConformerLayer(nn.Module):
    def __init__(self, e):
        super().__init__()
        d, f = e["d_model"], e["d_model"] * e["ff_expansion_factor"]
        self.norm_feed_forward1, self.norm_self_att, self.norm_conv, self.norm_feed_forward2, self.norm_out = (
            nn.LayerNorm(d) for _ in range(5)
        )
        self.feed_forward1, self.feed_forward2 = ConformerFF(d, f), ConformerFF(d, f)
        self.self_attn, self.conv = RelAttention(d, e["n_heads"]), ConvModule(d, e["conv_kernel_size"])

    def forward(self, x, pos, mask):
        x = x + 0.5 * self.feed_forward1(self.norm_feed_forward1(x))
        x = x + self.self_attn(self.norm_self_att(x), pos, mask)
        x = x + self.conv(self.norm_conv(x), mask)
        x = x + 0.5 * self.feed_forward2(self.norm_feed_forward2(x))
        return self.norm_out(x)


class Conformer(nn.Module):
    def __init__(self, e):
        super().__init__()
        self.d = e["d_model"]
        self.pre_encode = Subsampling(e)
        self.layers = nn.ModuleList(ConformerLayer(e) for _ in range(e["n_layers"]))

    def forward(self, mel, n):
        x, n = self.pre_encode(mel, n)
        t = x.shape[1]
        r = torch.arange(t - 1, -t, -1, device=x.device, dtype=torch.float32)
        ang = r[:, None] * torch.exp(-torch.arange(0, self.d, 2, device=x.device) * (math.log(10000.0) / self.d))[None]
        pos = torch.stack([ang.sin(), ang.cos()], -1).flatten(1)
        mask = torch.arange(t, device=x.device) < n[:, None]
        for layer in self.layers:
            x = layer(x, pos, mask)
        return x, n


class Adapter(nn.Module):
    def __init__(self, d, hidden, out):
        super().__init__()
        self.model = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, out))

    def forward(self, x):
        return self.model(x)


# ---- All of it ----


class Model(nn.Module):
    VISION_UPSAMPLE = 4  # frames of the auxiliary head for each column of patches: 4 px

    def __init__(self, cfg, n_vision_chars):
        super().__init__()
        self.cfg = cfg
        v, e, d = cfg["vision_config"], cfg["encoder"], cfg["text_config"]["hidden_size"]
        self.model = nn.Module()
        self.model.language_model = Backbone(cfg["text_config"])
        self.model.vision_tower = nn.Module()
        self.model.vision_tower.vision_model = VisionTower(v)
        self.model.multi_modal_projector = Projector(cfg)
        self.conformer = Conformer(e)
        self.audio_adapter = Adapter(e["d_model"], cfg["adapter_hidden_size"], d)
        self.n_audio_classes = 1 + len(cfg["ctc"]["alphabet"])
        self.ctc_head = nn.Linear(e["d_model"], cfg["ctc"]["upsample"] * self.n_audio_classes)
        self.aux = nn.Module()
        self.n_vision_classes = 1 + n_vision_chars
        self.aux.chars = nn.Linear(2 * v["hidden_size"], self.VISION_UPSAMPLE * self.n_vision_classes)
        self.aux.count = nn.Linear(2 * v["hidden_size"], 1)
        self.reset()

    def reset(self):
        for name, p in self.named_parameters():
            if name.startswith("conformer.pre_encode.conv"):
                continue
            if name.endswith("embed_tokens.weight"):
                nn.init.normal_(p, std=0.02)
            elif name.endswith("position_embedding.weight"):
                p.data.copy_(waves(int(round(len(p) ** 0.5)), p.shape[1]))
            elif p.ndim >= 2 and "pos_bias" not in name:
                fan_in = p[0].numel()
                gain = (
                    0.5
                    if name.endswith(("out_proj.weight", "w2.weight", "fc2.weight", "linear2.weight", "linear_out.weight"))
                    else 1.0
                )
                nn.init.normal_(p, std=gain / math.sqrt(fan_in))
            elif name.endswith("bias") and "norm" not in name:
                nn.init.zeros_(p)

    @property
    def lm(self):
        return self.model.language_model

    def see(self, x, rows, cols):
        """Patches in a grid to tower features and embeddings."""
        f = self.model.vision_tower.vision_model(x, rows, cols)
        return f, self.model.multi_modal_projector(f)

    def vision_ctc(self, feats):
        """Features of lines [B, 2, C, d] to logits [B, 4 C, classes] and characters so far [B, C]."""
        b, r, c, d = feats.shape
        z = feats.transpose(1, 2).reshape(b, c, r * d)
        return self.aux.chars(z).view(b, c * self.VISION_UPSAMPLE, self.n_vision_classes), self.aux.count(z)[..., 0]

    def hear(self, mel, n):
        """Mel frames [B, T, M] to encoder output, embeddings, lengths."""
        x, n = self.conformer(mel, n)
        return x, self.audio_adapter(x), n

    def audio_ctc(self, x):
        b, t, _ = x.shape
        return self.ctc_head(x).view(b, t * self.cfg["ctc"]["upsample"], self.n_audio_classes)
