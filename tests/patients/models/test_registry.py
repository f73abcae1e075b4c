"""One battery for every network of patients, and each paper's formula written out slowly beside it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from leukopy.core.errors import SettingsError
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.cell_net import CellNet
from leukopy.patients.models import BAG_NETS, BagShape, Experts, ImagePatientNet, PatientNet
from leukopy.patients.models.attention import AttentionPooling
from leukopy.patients.models.clam import CELLS, ClamInstances
from leukopy.patients.models.clinical import Clinical
from leukopy.patients.models.encoder import CellEncoder
from leukopy.patients.models.plain_pooling import MaxPooling
from leukopy.patients.models.set_transformer import TransformerPooling
from support.cards import year_of

FEATURES = 12
KNOWN = torch.tensor([64.0, 9.5])
PATIENTS = torch.tensor([[40.0, 5.0], [80.0, 50.0], [torch.nan, 8.0], [60.0, torch.nan]])


def build(name: str, **changes: object) -> PatientNet | Experts:
    torch.manual_seed(0)
    net = BAG_NETS[name].build(BagShape(FEATURES, **({"hidden": 8} | changes)))  # type: ignore[arg-type]
    net.standardise(PATIENTS)
    return net.eval()


def cells(count: int, size: int = FEATURES) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("name", list(BAG_NETS))
class TestEveryNet:
    def test_has_a_complete_card(self, name: str) -> None:
        entry = BAG_NETS[name]
        assert year_of(entry.paper)
        assert "Apache-2.0" in entry.licence
        assert entry.description.endswith(".")

    @pytest.mark.parametrize("hidden", [8, None])
    @pytest.mark.parametrize("count", [1, 2, 77, 500])
    def test_takes_bags_of_any_size(self, name: str, count: int, hidden: int | None) -> None:
        logit, weights = build(name, hidden=hidden)(cells(count), KNOWN)
        assert logit.shape == ()
        assert logit.isfinite()
        assert weights.shape == (count,)
        assert (weights >= 0).all()
        assert weights.sum().item() == pytest.approx(1, abs=1e-5)

    def test_does_not_know_the_order_of_the_cells(self, name: str) -> None:
        net, bag = build(name), cells(50)
        order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
        logit, weights = net(bag, KNOWN)
        shuffled_logit, shuffled_weights = net(bag[order], KNOWN)
        torch.testing.assert_close(shuffled_logit, logit, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(shuffled_weights, weights[order], atol=1e-6, rtol=1e-5)

    @pytest.mark.parametrize("missing", [(0,), (1,), (0, 1)])
    def test_answers_without_clinical_numbers(self, name: str, missing: tuple[int, ...]) -> None:
        net, numbers = build(name), KNOWN.clone()
        numbers[list(missing)] = torch.nan
        logit = net(cells(20), numbers).logit
        assert logit.isfinite()
        assert logit != net(cells(20), KNOWN).logit
        average = torch.where(numbers.isnan(), torch.tensor([60.0, 12.6]), numbers)  # what 0 would stand for
        assert logit != net(cells(20), average).logit

    def test_depends_on_its_cells_and_on_its_numbers(self, name: str) -> None:
        net = build(name)
        assert net(cells(20), KNOWN).logit != net(cells(21), KNOWN).logit
        assert net(cells(20), KNOWN).logit != net(cells(20), KNOWN * 1.1).logit

    def test_without_clinical_reads_the_cells_alone(self, name: str) -> None:
        if name == "experts":
            with pytest.raises(SettingsError, match="clinical"):
                build(name, clinical=False)
            return
        net = build(name, clinical=False)
        assert net(cells(20), KNOWN).logit == net(cells(20), torch.full((2,), torch.nan)).logit

    @pytest.mark.parametrize("label", [0.0, 1.0])
    def test_learns_with_every_parameter(self, name: str, label: float) -> None:
        net = build(name).train()
        net.loss(cells(20), KNOWN, torch.tensor(label)).backward()
        unused = [key for key, value in net.named_parameters() if value.grad is None or not value.grad.isfinite().all()]
        assert unused == []
        assert math.isfinite(net.loss(cells(1), KNOWN, torch.tensor(label)).item())

    def test_sometimes_learns_without_clinical_numbers(self, name: str) -> None:
        net, unknown = build(name, clinical_dropout=0.5), torch.full((2,), torch.nan)
        certain = {net.train()(cells(20), KNOWN).logit.item() for _ in range(40)}
        net.eval()
        expected = [net(cells(20), numbers).logit.item() for numbers in (KNOWN, unknown)]
        assert sorted(certain) == pytest.approx(sorted(expected), abs=1e-5)


def test_an_unknown_net_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="gated_attention"):
        BAG_NETS["gated"]


def test_clinical_numbers_are_standardised_over_the_patients_who_have_them() -> None:
    clinical = Clinical(dropout=0.0)
    clinical.standardise(PATIENTS)
    logs = [math.log(5), math.log(50), math.log(8)]
    mean = sum(logs) / 3
    deviation = math.sqrt(sum((value - mean) ** 2 for value in logs) / 3)
    ages = math.sqrt((20**2 + 20**2 + 0) / 3)  # around 60
    found = clinical(torch.tensor([70.0, 20.0]))
    assert found.tolist() == pytest.approx([10 / ages, (math.log(20) - mean) / deviation, 0, 0], abs=1e-5)
    assert clinical(torch.tensor([torch.nan, torch.nan])).tolist() == [0, 0, 1, 1]
    assert clinical(torch.tensor([60.0, 0.0])).isfinite().all()  # a count below what can be measured


def test_clinical_numbers_can_be_made_louder() -> None:
    plain, loud = Clinical(dropout=0.0), Clinical(dropout=0.0, gain=10.0)
    for numbers in (KNOWN, torch.tensor([torch.nan, 9.0])):
        torch.testing.assert_close(loud(numbers), 10 * plain(numbers))


def test_numbers_that_no_patient_has_stay_finite() -> None:
    clinical = Clinical(dropout=0.0)
    clinical.standardise(torch.tensor([[torch.nan, 5.0], [torch.nan, 5.0]]))
    assert clinical(KNOWN).isfinite().all()


def test_features_are_standardised_from_the_moment_they_come_raw() -> None:
    encoder = CellEncoder(3, None, 0.0)
    raw = cells(9, 3) * 5 + 2
    assert torch.equal(encoder(raw), raw)
    encoder.take_raw(torch.full((3,), 2.0), torch.full((3,), 5.0))
    torch.testing.assert_close(encoder(raw), cells(9, 3))


@pytest.mark.parametrize("gated", [False, True])
def test_attention_is_that_of_the_paper(gated: bool) -> None:
    """Ilse et al., equations 7 to 9, cell by cell."""
    torch.manual_seed(0)
    pooling, bag = AttentionPooling(5, gated=gated), cells(6, 5)
    rows = pooling.project.weight.detach().double()
    v, u = rows[:64], rows[64:]
    w = pooling.score.weight.detach().double()[0]
    scores = []
    for cell in bag.double():
        units = [math.tanh(sum(row * cell)) for row in v]
        if gated:
            units = [unit / (1 + math.exp(-sum(row * cell))) for unit, row in zip(units, u, strict=True)]
        scores.append(sum(float(weight) * unit for weight, unit in zip(w, units, strict=True)))
    attention = [math.exp(score) / sum(map(math.exp, scores)) for score in scores]
    vector = sum(weight * cell for weight, cell in zip(attention, bag.double(), strict=True))
    pooled = pooling(bag)
    assert pooled.weights.tolist() == pytest.approx(attention, abs=1e-6)
    assert pooled.vector.tolist() == pytest.approx(vector.tolist(), abs=1e-6)


@pytest.mark.parametrize(("count", "label"), [(40, 0), (40, 1), (7, 1), (2, 0)])
def test_clustering_is_that_of_the_paper(count: int, label: int) -> None:
    """Lu et al.: the own class's layer sees B cells at either end, the other's the B most attended, as none."""
    torch.manual_seed(0)
    instances, bag = ClamInstances(5), cells(count, 5)
    weights = torch.softmax(cells(count, 1)[:, 0], dim=0)
    taken = min(CELLS, count // 2)
    ranked = sorted(range(count), key=lambda row: -float(weights[row]))
    losses = []
    for clazz in (0, 1):
        targets = dict.fromkeys(ranked[:taken], 1 if clazz == label else 0)
        if clazz == label:
            targets |= dict.fromkeys(ranked[-taken:], 0)
        each = []
        for row, target in targets.items():
            scores = instances.layers[clazz](bag[row]).tolist()
            # Smooth top-1 SVM: log of the sum over classes of exp(margin where wrong + score), minus the right score.
            raised = [score + (index != target) for index, score in enumerate(scores)]
            each.append(math.log(sum(map(math.exp, raised))) - scores[target])
        losses.append(sum(each) / len(each))
    found = instances(bag, weights, torch.tensor(float(label)))
    assert found.item() == pytest.approx(sum(losses) / 2, abs=1e-5)


def test_clam_weighs_the_patient_and_the_cells_as_in_its_paper() -> None:
    net, label = build("clam"), torch.tensor(1.0)
    encoded = net.encoder(cells(30))
    patient = math.log(1 + math.exp(-net(cells(30), KNOWN).logit.item()))
    clustering = net.instances(encoded, net.pooling(encoded).weights, label).item()  # type: ignore[union-attr, misc]
    assert net.loss(cells(30), KNOWN, label).item() == pytest.approx(0.7 * patient + 0.3 * clustering, abs=1e-5)


def test_a_cell_weighs_the_share_of_maxima_that_it_holds() -> None:
    bag = torch.tensor([[1.0, 5.0, 0.0, 2.0], [3.0, 1.0, 0.0, 2.0], [2.0, 4.0, 0.0, -1.0]])
    pooled = MaxPooling(4)(bag)
    assert pooled.vector.tolist() == [3, 5, 0, 2]
    # The first holds the second feature, a third of the third, half of the fourth.
    expected = [(1 + 1 / 3 + 1 / 2) / 4, (1 + 1 / 3 + 1 / 2) / 4, (1 / 3) / 4]
    assert pooled.weights.tolist() == pytest.approx(expected)


def test_the_class_token_attends_as_in_the_paper() -> None:
    """Lee et al., equations 6, 7 and 11, against torch's own multihead attention."""
    torch.manual_seed(0)
    pooling, bag = TransformerPooling(5).eval(), cells(9, 5)
    tokens = pooling.narrow(bag)
    for block, queries in ((pooling.among, None), (pooling.pool, pooling.token)):
        seen = tokens if queries is None else queries
        reference = torch.nn.MultiheadAttention(64, block.heads, batch_first=True)
        # Its rows are ordered head by head as ours are.
        reference.in_proj_weight.data = torch.cat([block.query.weight, block.key_value.weight]).detach()
        reference.in_proj_bias.data = torch.cat([block.query.bias, block.key_value.bias]).detach()
        reference.out_proj.load_state_dict(block.out.state_dict())
        attended, attention = reference(seen[None], tokens[None], tokens[None])
        middle = block.norm(seen + attended[0])
        answer = block.feed_norm(middle + torch.relu(block.feed(middle)))
        if queries is None:
            tokens = answer
    pooled = pooling(bag)
    torch.testing.assert_close(pooled.vector, answer[0])
    torch.testing.assert_close(pooled.weights, attention[0, 0])


def test_the_mixture_is_that_of_the_paper() -> None:
    """Sahasrabudhe et al.: p = g p_cells + (1 - g) p_clinical, even where both are certain."""
    net = build("experts")
    assert isinstance(net, Experts)
    for sharpness in (1.0, 30.0):
        net.cell_expert.weight.data *= sharpness
        pooled, numbers = net.encoder(cells(30)).mean(dim=0), net.clinical(KNOWN)
        by_cells, by_numbers = (
            torch.sigmoid(logit.double()) for logit in (net.cell_expert(pooled), net.clinical_expert(numbers))
        )
        gate = torch.sigmoid(net.gate(torch.cat([torch.tanh(net.summary(pooled)), numbers])).double())
        mixture = gate * by_cells + (1 - gate) * by_numbers
        found = torch.sigmoid(net(cells(30), KNOWN).logit.double())
        assert found.item() == pytest.approx(mixture.item(), abs=1e-6)
        losses = [-math.log(value.item()) for value in (mixture, by_cells, by_numbers)]
        assert net.loss(cells(30), KNOWN, torch.tensor(1.0)).item() == pytest.approx(sum(losses) / 3, rel=1e-4)


class TestPictures:
    def build(self) -> ImagePatientNet:
        torch.manual_seed(0)
        network = CellNet("lenet", Preprocess(size=32, mean=(0, 0, 0), std=(255, 255, 255)), pretrained=False)
        bag = BAG_NETS["mean"].build(BagShape(network.backbone.embedding_size, hidden=None))
        return ImagePatientNet(network, bag, 32).eval()

    def pictures(self, count: int) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8, generator=generator)

    def test_are_averaged_and_joined_as_in_the_lymphocytosis_study(self) -> None:
        net, pictures = self.build(), self.pictures(70)  # more than the backbone takes at once
        planes = pictures.permute(0, 3, 1, 2) / 255
        embedding = torch.stack([net.network.backbone(plane[None])[1][0] for plane in planes]).mean(dim=0)
        assert isinstance(net.bag, PatientNet)
        joined = torch.cat([embedding, net.bag.clinical(KNOWN)])  # type: ignore[misc]
        logit, weights = net(pictures, KNOWN)
        torch.testing.assert_close(logit, net.bag.head(joined)[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(weights, torch.full((70,), 1 / 70))

    def test_mixed_precision_is_for_training_alone(self) -> None:
        net, pictures = self.build(), self.pictures(5)
        exact = net(pictures, KNOWN).logit
        net.mixed = True
        assert net(pictures, KNOWN).logit == exact
        mixed = net.train().embed(pictures)
        assert mixed.dtype == torch.float32
        assert not torch.equal(mixed, net.eval().embed(pictures))
        torch.testing.assert_close(mixed, net.eval().embed(pictures), atol=0.02, rtol=0.05)

    def test_the_backbone_learns_with_the_patients(self) -> None:
        net = self.build().train()
        net.loss(self.pictures(3), KNOWN, torch.tensor(1.0)).backward()
        idle = [key for key, value in net.named_parameters() if value.requires_grad and value.grad is None]
        assert idle == []
        assert {key for key, value in net.named_parameters() if value.grad is None} == {
            "network.head.weight",
            "network.head.bias",
        }
