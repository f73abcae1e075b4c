"""The detector's network and its peaks."""

import torch

from leukopy.models.detector import MULTIPLE, STRIDE, FieldNet, Maps, ServedNet
from leukopy.taxonomy.objects import OBJECTS


def test_maps_have_a_quarter_of_the_sides() -> None:
    net = FieldNet(pretrained=False, width=16).eval()
    with torch.inference_mode():
        maps = net(torch.zeros((2, 4 * MULTIPLE, 6 * MULTIPLE, 3), dtype=torch.uint8))
    shape = (4 * MULTIPLE // STRIDE, 6 * MULTIPLE // STRIDE)
    assert maps.heat.shape == (2, len(OBJECTS), *shape)
    assert maps.sides.shape == (2, len(OBJECTS), 4, *shape)
    assert maps.sides.min() > 0


class Fixed(torch.nn.Module):
    """Gives the same maps for any picture."""

    def __init__(self, heat: torch.Tensor) -> None:
        super().__init__()
        self.heat = heat

    def forward(self, images: torch.Tensor) -> Maps:
        return Maps(self.heat, torch.ones((1, 1, 4, 8, 8)), torch.full((1, 1, 8, 8), 20.0))


def test_only_the_highest_of_nine_cells_keeps_its_score() -> None:
    heat = torch.full((1, 1, 8, 8), -9.0)
    heat[0, 0, 3, 3], heat[0, 0, 3, 4], heat[0, 0, 6, 6] = 2.0, 1.0, 0.0
    scores = ServedNet(Fixed(heat))(torch.zeros((1, 32, 32, 3))).scores[0, 0]  # type: ignore[arg-type]
    assert scores[3, 4] == 0
    assert torch.isclose(scores[3, 3], torch.sigmoid(torch.tensor(2.0)).sqrt(), atol=1e-4)
    assert torch.isclose(scores[6, 6], torch.tensor(0.5).sqrt(), atol=1e-4)
