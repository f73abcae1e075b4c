"""Attention roll-out against literal matrices, and on a transformer that attends to what is bright."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn

from leukopy.core.errors import SettingsError
from leukopy.explain.gradients import grad_cam
from leukopy.explain.roll_out import attention, roll_out, rolled
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.cell_net import CellNet


class TakesBytes(nn.Module):
    """A ViT behind the interface of a cell network."""

    def __init__(self, **changes: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        options = {"img_size": 64, "depth": 2, "num_classes": 11, **changes}
        self.vit = timm.create_model("vit_tiny_patch16_224", pretrained=False, **options)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.vit(images.permute(0, 3, 1, 2).float() / 128 - 1)


def literal_roll_out(layers: list[np.ndarray]) -> np.ndarray:
    """Abnar and Zuidema, equations 1 and 2, loop by loop; attention (heads, T, T) of each layer."""
    tokens = layers[0].shape[-1]
    flow = np.eye(tokens)
    for heads in layers:
        mixed = np.zeros((tokens, tokens))
        for to in range(tokens):
            for source in range(tokens):
                mixed[to, source] = 0.5 * np.mean([head[to, source] for head in heads]) + 0.5 * (to == source)
        flow = np.array([[sum(mixed[i, k] * flow[k, j] for k in range(tokens)) for j in range(tokens)]
                         for i in range(tokens)])  # fmt: skip
    return flow


def test_equals_its_literal_version() -> None:
    rng = np.random.default_rng(0)
    raw = rng.random((3, 2, 4, 5, 5)).astype(np.float32)  # layers, pictures, heads, tokens, tokens
    raw /= raw.sum(axis=-1, keepdims=True)
    found = rolled([torch.from_numpy(layer) for layer in raw]).numpy()
    for number in range(2):
        assert found[number] == pytest.approx(literal_roll_out([layer[number] for layer in raw]), abs=1e-6)
    assert found.sum(axis=-1) == pytest.approx(np.ones((2, 5)))  # shares of each token's sources


def test_attention_is_read_without_changing_the_answer() -> None:
    net = TakesBytes().eval()
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        before = net(torch.from_numpy(pictures))
    layers = attention(net, net.vit, pictures)
    assert [tuple(layer.shape) for layer in layers] == [(2, 3, 17, 17)] * 2
    assert torch.stack(layers).sum(dim=-1).numpy() == pytest.approx(1, abs=1e-5)
    assert net.vit.blocks[0].attn.fused_attn
    assert not net.vit.blocks[0].attn.attn_drop._forward_hooks
    with torch.inference_mode():
        torch.testing.assert_close(net(torch.from_numpy(pictures)), before)


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_heat_lies_on_what_is_attended(pool: str) -> None:
    """Every token asks for brightness, and only one patch is bright."""
    net = TakesBytes(depth=1, global_pool=pool, pos_embed="none", class_token=pool == "token").eval()
    vit, block = net.vit, net.vit.blocks[0]
    block.norm1 = nn.Identity()
    with torch.no_grad():
        vit.patch_embed.proj.weight.zero_()
        vit.patch_embed.proj.weight[0] = 1 / 768  # channel 0: the patch's mean brightness
        vit.patch_embed.proj.bias.zero_()
        for parameter in (vit.cls_token,) if pool == "token" else ():
            parameter.zero_()
        width = vit.embed_dim
        block.attn.qkv.weight.zero_()
        block.attn.qkv.bias.zero_()
        block.attn.qkv.bias[:width] = 1  # each token's query
        block.attn.qkv.weight[width : 2 * width, 0] = 1  # each key: its brightness
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    picture[:, 16:32, 32:48] = 255
    heat = roll_out(net)(picture, np.array([0]))[0]
    assert heat.shape == (64, 64)
    assert np.unravel_index(heat.argmax(), heat.shape) in {(y, x) for y in range(16, 32) for x in range(32, 48)}
    assert heat[8:40, 24:56].sum() / heat.sum() > 0.9  # the patch, and half a patch around it


def test_many_pictures_are_one_by_one() -> None:
    net = TakesBytes()
    pictures = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), dtype=np.uint8)
    together = roll_out(net)(pictures, np.zeros(9, int))
    assert together[8] == pytest.approx(roll_out(net)(pictures[8:], np.zeros(1, int))[0], abs=1e-4)


def test_each_network_has_its_method() -> None:
    with pytest.raises(SettingsError, match=r"no attention.*use grad-cam"):
        roll_out(CellNet("lenet", Preprocess(size=32), pretrained=False))
    with pytest.raises(SettingsError, match=r"vision transformer. Use --method roll-out"):
        grad_cam(TakesBytes())  # type: ignore[arg-type]
