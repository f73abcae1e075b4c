"""Every method looks where the only evidence is, equals its published version, or says what to use instead."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from leukopy.core.errors import BundleError, InputError, MissingExtraError, SettingsError
from leukopy.core.files import write_json
from leukopy.explain import METHODS, Subject, open_subject, randomised, rank_correlation, to_heat
from leukopy.explain.gradients import grad_cam, grad_cam_plus_plus
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.cell_net import CellNet, Outputs
from leukopy.taxonomy import FINE
from support.cards import year_of


class ColourNet(nn.Module):
    """The colour network of the tests' bundle, in torch."""

    def __init__(self, colours: np.ndarray) -> None:
        super().__init__()
        scaled = torch.tensor((colours.astype(np.float32) - 127) / 128)
        self.backbone = nn.Module()
        # Frozen features have no gradient to explain by, so the planes go through a convolution that changes nothing.
        same = nn.Conv2d(3, 3, 1, bias=False)
        same.weight.data = torch.eye(3)[:, :, None, None]
        self.backbone.features = nn.Sequential(same, nn.AvgPool2d(8))
        self.head = nn.Linear(3, len(FINE))
        self.head.weight.data = 8 * scaled
        self.head.bias.data = -4 * (scaled**2).sum(dim=1)

    def of_planes(self, planes: torch.Tensor) -> Outputs:
        feature_map = self.backbone.features(planes)
        embedding = feature_map.mean(dim=(2, 3))
        return Outputs(self.head(embedding), embedding, feature_map)

    def forward(self, images: torch.Tensor) -> Outputs:
        return self.of_planes((images.permute(0, 3, 1, 2).float() - 127) / 128)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_has_a_card(name: str) -> None:
    card = METHODS[name].card
    assert year_of(card.paper)
    assert all((card.title, card.licence, card.fits))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((name, code) for name in ("cam", "grad-cam") for code in ("BA", "EO", "PLT", "SNE")),
        # These two leave out a channel that speaks for the class by being low, so they get a bright colour.
        *((name, code) for name in ("grad-cam++", "score-cam") for code in ("BA", "ERB")),
    ],
)
def test_heat_lies_where_the_only_evidence_is(name, code, bundle, class_colours, quarter) -> None:
    picture, mask = quarter(code)
    index = np.array([[cell.code for cell in FINE].index(code)])
    net = {"grad-cam": grad_cam, "grad-cam++": grad_cam_plus_plus}
    explain = net[name](ColourNet(class_colours)) if name in net else METHODS[name].open(Subject(bundle))
    heat = explain(picture[None], index)
    assert heat.shape == (1, 32, 32)
    assert heat.dtype == np.float32
    assert heat.min() == 0
    assert heat.max() == pytest.approx(1)
    assert heat[0][mask].sum() / heat.sum() > 0.8  # a quarter of the picture; the rest is the blur of enlarging 4 x 4


def test_cam_explains_the_class_that_is_asked_for(bundle, quarter, class_colours) -> None:
    """A picture of two classes, half and half: the map of each lies on its own half."""
    codes = [cell.code for cell in FINE]
    picture = np.empty((32, 32, 3), np.uint8)
    picture[:, :16], picture[:, 16:] = class_colours[codes.index("SNE")], class_colours[codes.index("PLT")]
    left, right = METHODS["cam"].open(Subject(bundle))(
        np.stack([picture, picture]), np.array([codes.index("SNE"), codes.index("PLT")])
    )
    for own, other in ((left[:, :12], left[:, 20:]), (right[:, 20:], right[:, :12])):
        assert own.mean() > 0.9
        assert other.mean() < 0.1


def test_cam_is_grad_cam_on_a_linear_head() -> None:
    """For a linear head on an averaged map the two are one up to scale (Selvaraju et al., section 3.1)."""
    torch.manual_seed(0)
    net = CellNet("tf_efficientnet_lite0", Preprocess(size=96), pretrained=True).eval()
    nn.init.normal_(net.head.weight)
    nn.init.zeros_(net.head.bias)  # a bias has no place: CAM spreads it evenly, Grad-CAM leaves it out
    pictures = np.random.default_rng(0).integers(0, 256, (5, 96, 96, 3), dtype=np.uint8)
    classes = np.array([0, 3, 5, 8, 10])
    with torch.inference_mode():
        feature_map = net(torch.from_numpy(pictures)).feature_map
        maps = torch.einsum("kc,nchw->nkhw", net.head.weight, feature_map).numpy()
    assert grad_cam(net)(pictures, classes) == pytest.approx(to_heat(maps[np.arange(5), classes], 96), abs=1e-3)


class Logits(nn.Module):
    """A network as pytorch-grad-cam wants it: planes in, logits out."""

    def __init__(self, net: ColourNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, planes):
        return self.net.of_planes(planes).logits


def test_grad_cam_is_the_library_s(class_colours, quarter) -> None:
    """The wrapping of bytes, batches and outputs changes nothing."""
    from pytorch_grad_cam import GradCAM  # after leukopy, which mends torchvision
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    picture, _ = quarter("EO")
    pictures = np.stack([np.roll(picture, shift, axis=0) for shift in range(0, 32, 3)])  # two batches
    net = ColourNet(class_colours)
    planes = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127) / 128
    library = GradCAM(Logits(net), [net.backbone.features])(planes, [ClassifierOutputTarget(2)] * len(pictures))
    assert grad_cam(net)(pictures, np.full(len(pictures), 2)) == pytest.approx(library, abs=1e-5)


def test_score_cam_is_the_library_s(bundle, class_colours, capfd) -> None:
    """Without torch and in bytes, the same map as pytorch-grad-cam makes of the same network in torch."""
    from pytorch_grad_cam import ScoreCAM  # after leukopy, which mends torchvision
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    rng = np.random.default_rng(1)
    pictures = np.kron(rng.integers(0, 256, (3, 4, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    classes = np.array([1, 4, 9])
    net = ColourNet(class_colours)
    planes = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127) / 128
    cam = ScoreCAM(Logits(net), [net.backbone.features])
    library = cam(planes, [ClassifierOutputTarget(int(index)) for index in classes])
    capfd.readouterr()  # the library's progress bars
    found = METHODS["score-cam"].open(Subject(bundle))(pictures, classes)
    assert found == pytest.approx(library, abs=0.03)  # masked pictures are rounded to bytes
    assert (rank_correlation(found, library) > 0.999).all()
    assert capfd.readouterr() == ("", "")


def test_score_cam_of_a_picture_that_moves_no_channel(bundle) -> None:
    grey = np.full((1, 32, 32, 3), 127, np.uint8)
    assert not METHODS["score-cam"].open(Subject(bundle))(grey, np.array([0])).any()


class TestOpening:
    def test_a_bundle_without_class_activation_names_what_to_use(self, plain_bundle) -> None:
        with pytest.raises(BundleError, match=r"has no class activation.*Use --method score-cam"):
            METHODS["cam"].open(Subject(plain_bundle))

    @pytest.mark.parametrize("name", ["grad-cam", "grad-cam++", "roll-out"])
    def test_a_bundle_has_no_gradients(self, name, bundle) -> None:
        with pytest.raises(SettingsError, match=r"needs the network's weights in torch.*--model runs"):
            METHODS[name].open(Subject(bundle))

    def test_an_unknown_method_lists_the_known(self) -> None:
        with pytest.raises(SettingsError, match=r"method 'lime' is unknown; known: cam, grad-cam"):
            METHODS["lime"]

    def test_torch_is_told_to_be_installed(self, bundle, tmp_path, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "torch", None)
        with pytest.raises(MissingExtraError, match=r"grad-cam needs .*pip install 'leukopy\[train\]'"):
            METHODS["grad-cam"].open(Subject(bundle, tmp_path))

    def test_a_folder_of_another_command(self, tmp_path) -> None:
        write_json(tmp_path / "run.json", {"command": "analyze"})
        with pytest.raises(BundleError, match=r"another command"):
            open_subject(str(tmp_path))

    def test_a_training_that_is_not_finished(self, tmp_path) -> None:
        write_json(tmp_path / "run.json", {"command": "train"})
        with pytest.raises(BundleError, match=r"no bundle yet.*--resume"):
            open_subject(str(tmp_path))

    def test_a_run_that_is_no_json(self, tmp_path) -> None:
        (tmp_path / "run.json").write_text("{")
        with pytest.raises(BundleError, match=r"not a JSON file"):
            open_subject(str(tmp_path))

    def test_a_checkpoint_of_another_network(self, lenet_run, bundle) -> None:
        """The bundle is one network, the checkpoint another: its heat would explain other decisions."""
        with pytest.raises((BundleError, InputError), match=r"not the same network|takes"):
            METHODS["grad-cam"].open(Subject(bundle, lenet_run))


NO_TORCH = """
import sys
for absent in ("torch", "torchvision", "timm", "lightning", "onnx", "pytorch_grad_cam"):
    sys.modules[absent] = None
import numpy as np
from leukopy.explain import METHODS, open_subject
subject = open_subject(sys.argv[1])
pictures = np.full((1, 32, 32, 3), 127, np.uint8)
pictures[:, :16, :16] = (30, 128, 225)  # a quarter in the colour of the basophil
for name in ("cam", "score-cam"):
    assert METHODS[name].open(subject)(pictures, np.array([3])).max() > 0.99
"""


def test_bundles_are_explained_without_torch(bundle) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", NO_TORCH, str(bundle.path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_random_weights_need_a_run(bundle, lenet_run) -> None:
    assert randomised(Subject(bundle), "grad-cam") is None
    assert randomised(Subject(bundle, lenet_run), "score-cam") is None


def test_random_weights_give_other_maps(bundle, lenet_run) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    classes = np.array([0, 5])
    explainers = [randomised(Subject(bundle, lenet_run), "grad-cam", seed) for seed in (0, 0, 1)]
    first, again, other = (explain(pictures, classes) for explain in explainers if explain is not None)
    assert first.shape == (2, 32, 32)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
