"""Attention roll-out against literal matrices, and on a transformer that attends to what is bright."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from leukopy.core.errors import SettingsError
from leukopy.explain import to_heat
from leukopy.explain.gradients import grad_cam
from leukopy.explain.roll_out import attention, roll_out, rolled
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.cell_net import CellNet
from leukopy.models.vit import vit


def network() -> CellNet:
    """The smallest ViT of timm, behind the interface of all cell networks, its weights by chance."""
    torch.manual_seed(0)
    net = CellNet("lenet", Preprocess(size=32), pretrained=False)
    net.backbone = vit("vit_tiny_patch16_224", 16, 64, pretrained=False)
    net.head = nn.Linear(net.backbone.embedding_size, 11)
    return net.eval()


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
    net = network()
    transformer = net.backbone.features.net
    transformer.blocks[0].attn.fused_attn = True  # as on a GPU
    fused = [block.attn.fused_attn for block in transformer.blocks]
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        before = net(torch.from_numpy(pictures)).logits
    layers = attention(net, transformer, pictures)
    assert [tuple(layer.shape) for layer in layers] == [(2, 3, 17, 17)] * 12
    assert torch.stack(layers).sum(dim=-1).numpy() == pytest.approx(1, abs=1e-5)
    assert [block.attn.fused_attn for block in transformer.blocks] == fused
    assert not transformer.blocks[0].attn.attn_drop._forward_hooks
    with torch.inference_mode():
        torch.testing.assert_close(net(torch.from_numpy(pictures)).logits, before)


def test_heat_lies_on_what_is_attended() -> None:
    """One layer in which every token asks for brightness, and only one patch is bright."""
    net = network()
    transformer = net.backbone.features.net
    block = transformer.blocks[0]
    transformer.blocks = nn.Sequential(block)
    block.norm1 = nn.Identity()
    with torch.no_grad():
        for parameter in (transformer.cls_token, transformer.pos_embed, transformer.patch_embed.proj.bias):
            parameter.zero_()
        transformer.patch_embed.proj.weight.zero_()
        transformer.patch_embed.proj.weight[0] = 1 / 768  # channel 0: the patch's mean brightness
        width = transformer.embed_dim
        block.attn.qkv.weight.zero_()
        block.attn.qkv.bias.zero_()
        block.attn.qkv.bias[:width] = 2  # each token's query
        block.attn.qkv.weight[width : 2 * width, 0] = 2  # each key: its brightness
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    picture[:, 16:32, 32:48] = 255
    heat = roll_out(net)(picture, np.array([0]))[0]
    assert heat.shape == (64, 64)
    assert heat[16:32, 32:48].max() == pytest.approx(1)
    assert heat[8:40, 24:56].sum() / heat.sum() > 0.9  # the patch, and half a patch around it


def test_many_pictures_are_one_by_one() -> None:
    net = network()
    pictures = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), dtype=np.uint8)
    together = roll_out(net)(pictures, np.zeros(9, int))
    assert together[8] == pytest.approx(roll_out(net)(pictures[8:], np.zeros(1, int))[0], abs=1e-4)


def test_gradients_explain_a_transformer_too() -> None:
    """Its head is linear on the mean of its patches, so that Grad-CAM is again the class activation map."""
    net = network()
    nn.init.zeros_(net.head.bias)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        feature_map = net(torch.from_numpy(pictures)).feature_map
        maps = torch.einsum("c,nchw->nhw", net.head.weight[4], feature_map).numpy()
    assert grad_cam(net)(pictures, np.array([4, 4])) == pytest.approx(to_heat(maps, 64), abs=1e-3)


def test_a_network_without_attention() -> None:
    with pytest.raises(SettingsError, match=r"no attention.*use grad-cam"):
        roll_out(CellNet("lenet", Preprocess(size=32), pretrained=False))
