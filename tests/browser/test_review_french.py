"""What the station refuses, said in French on a French page, with the values that the English sentence holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.settings import ReviewSettings


@pytest.fixture
def station(tmp_path: Any, colour_model: Any, station_of: Callable[..., Any]) -> Iterator[Any]:
    settings = ReviewSettings(folder=tmp_path / "station", serve=True, model=str(colour_model.path))
    with station_of(settings) as running:
        yield running


def test_a_refusal_is_french_to_its_end(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "ada", locale="fr-FR")
    assert page.evaluate(
        """async () => {
          const { Problem, get, post } = await import("/static/api.js");
          const refused = async (asked) => asked.then(() => "", (problem) => problem.sentence);
          const user = { name: "ron", full_name: "R.", role: "reader", password: "0123456789" };
          return [
            await refused(post("/users", user)),
            await refused(get(`/cases/${"0".repeat(32)}`)),
            await refused(post("/cases", { slide: " " })),
            await refused(post("/session", { name: "ron", password: "wrong" })),
            new Problem(409, { detail: "a sentence [of] (tomorrow)" }).sentence,
          ];
        }"""
    ) == [
        "Cela n’a pas été fait. Le nom ron est déjà pris\xa0; en choisir un autre.",
        "Introuvable. Ce cas n’existe pas, ou n’est pas partagé avec vous.",
        "Certaines saisies ne sont pas valides. slide: au moins 1 caractère",
        "Non connecté. Le nom ou le mot de passe est faux.",
        "Cela n’a pas été fait. a sentence [of] (tomorrow)",
    ]
    page.wrong[:] = [text for text in page.wrong if "Failed to load resource" not in text]  # these were provoked
