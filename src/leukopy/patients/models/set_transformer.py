"""Self-attention over cells (Lee et al., "Set Transformer", ICML 2019).

One set-attention block lets cells see each other; then a learnt class token attends to them (pooling by multihead
attention with one seed). Nothing knows a position, so the order of the cells cannot matter. TransMIL (Shao et al.,
NeurIPS 2021) has the same parts but lays the cells out as a picture, which cells of a smear are not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leukopy.patients.models.contract import Pooled

WIDTH = 64
HEADS = 4


class AttentionBlock(nn.Module):
    """MAB, equations 6 and 7: LayerNorm(H + ReLU(linear(H))) with H = LayerNorm(X + attention of X to Y)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.out, self.feed = (nn.Linear(width, width) for _ in range(3))
        self.key_value = nn.Linear(width, 2 * width)
        self.norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Float (Q, W) and (N, W) to (Q, W), and the attention (heads, Q, N)."""
        query = self.query(queries).unflatten(1, (self.heads, -1)).transpose(0, 1)
        key, value = self.key_value(keys).unflatten(1, (2, self.heads, -1)).permute(1, 2, 0, 3).unbind(0)
        attention = torch.softmax(query @ key.transpose(1, 2) / query.shape[2] ** 0.5, dim=2)
        seen = self.norm(queries + self.out((attention @ value).transpose(0, 1).flatten(1)))
        return self.feed_norm(seen + torch.relu(self.feed(seen))), attention


class TransformerPooling(nn.Module):
    """A set-attention block and a class token."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = WIDTH
        self.narrow = nn.Linear(size, WIDTH)
        self.token = nn.Parameter(torch.randn(1, WIDTH) * 0.02)
        self.among = AttentionBlock(WIDTH, HEADS)
        self.pool = AttentionBlock(WIDTH, HEADS)

    def forward(self, cells: Tensor) -> Pooled:
        """Float (N, H) to a vector (64,); a cell weighs what the token attends to it, averaged over the heads."""
        tokens = self.narrow(cells)
        tokens, _ = self.among(tokens, tokens)
        pooled, attention = self.pool(self.token, tokens)
        return Pooled(pooled[0], attention.mean(dim=0)[0])
