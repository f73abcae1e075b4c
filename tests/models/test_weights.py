"""First weights: the published ones, those of a file, and what is said when there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from leukopy.core.errors import TrainingError
from leukopy.models.backbones import BACKBONES
from leukopy.models.feature import Feature
from leukopy.models.weights import _resampled, load_file


@pytest.fixture(scope="module")
def published() -> Feature:
    return BACKBONES["tf_efficientnet_lite0"].build(64, True)


def fresh() -> Feature:
    return BACKBONES["tf_efficientnet_lite0"].build(64, False)


def test_pretrained_weights_are_the_published_ones(published: Feature) -> None:
    """Always the same, and far from fresh ones."""
    again = BACKBONES["tf_efficientnet_lite0"].build(64, True)
    picture = torch.full((1, 3, 64, 64), 0.5)
    with torch.inference_mode():
        first, second, other = (net.eval()(picture)[1] for net in (published, again, fresh()))
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, other, atol=1e-2)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_is_loaded_by_name_and_its_classifier_left(suffix: str, published: Feature, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    entries = {**published.features.net.state_dict(), "classifier.weight": torch.zeros(1000, 1280)}
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in entries.items()}}, path)
    else:
        save_file(entries, path)
    net = fresh()
    load_file(net, path)
    for name, tensor in net.features.net.state_dict().items():
        assert torch.equal(tensor, entries[name])


def test_lenet_takes_a_file_too(tmp_path: Path) -> None:
    first, second = (BACKBONES["lenet"].build(64, False) for _ in range(2))
    torch.save(first.state_dict(), tmp_path / "lenet.pth")
    load_file(second, tmp_path / "lenet.pth")
    assert torch.equal(first.neck[1].weight, second.neck[1].weight)


def test_another_network_is_refused_by_name(tmp_path: Path) -> None:
    entries = fresh().features.net.state_dict()
    torch.save({name: value for name, value in entries.items() if name != "conv_stem.weight"}, tmp_path / "less.pth")
    with pytest.raises(TrainingError, match=r"less.pth: holds no conv_stem.weight \(1 of \d+ entries are missing\)"):
        load_file(fresh(), tmp_path / "less.pth")
    torch.save({**entries, "conv_stem.weight": torch.zeros(16, 3, 3, 3)}, tmp_path / "wider.pth")
    with pytest.raises(TrainingError, match=r"conv_stem.weight has the shape \(16, 3, 3, 3\), .* is \(32, 3, 3, 3\)"):
        load_file(fresh(), tmp_path / "wider.pth")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.pth", None, "cannot be read"),
        ("text.pth", b"these are no weights", "not a file of weights alone"),
        ("empty.pth", b"", "not a file of weights alone"),
        ("text.safetensors", b"these are no weights", "not a safetensors file"),
    ],
)
def test_what_is_no_weights_file_is_refused(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingError, match=message):
        load_file(fresh(), tmp_path / name)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return print, ("executed",)

    torch.save({"conv_stem.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(TrainingError, match="not a file of weights alone"):
        load_file(fresh(), tmp_path / "trap.pth")


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(TrainingError, match="holds no state dict"):
        load_file(fresh(), tmp_path / "other.pth")


def test_a_position_embedding_is_resampled_to_another_size() -> None:
    """A ramp from left to right stays one; the class token's entry is kept."""
    ramp = torch.linspace(0, 1, 14).repeat(14, 1).reshape(1, 196, 1)
    found = _resampled(torch.cat([torch.full((1, 1, 1), 7.0), ramp], dim=1), torch.zeros(1, 1 + 20 * 20, 1))
    assert found.shape == (1, 401, 1)
    assert found[0, 0, 0] == 7
    picture = found[0, 1:, 0].reshape(20, 20)
    assert (picture.diff(dim=1) > -1e-3).all()
    torch.testing.assert_close(picture[0], picture[-1])


@pytest.mark.parametrize("name", ["resnet18", "legacy_xception"])  # one on the Hugging Face hub, one on a web server
def test_without_a_network_it_says_what_to_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: object, **options: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", no_network)
    monkeypatch.setattr("timm.models._hub.download_cached_file", no_network)
    monkeypatch.setattr("timm.models._hub.get_cache_dir", lambda *_: str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(TrainingError, match=r"Name or service not known.*--weights FILE.*from scratch"):
        BACKBONES[name].build(64, True)
