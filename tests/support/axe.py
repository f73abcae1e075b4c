"""axe-core on a page as it stands, in several sizes and both colour schemes."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

SCREENS = {
    "en-GB": ((1280, 860, "light"), (390, 844, "dark")),
    "fr-FR": ((1920, 1080, "dark"), (820, 1180, "light")),
}
"""Width and height, px, and colour scheme in which pages of a language are judged: desktop and phone, large desktop
and tablet."""
OPTIONS = {"rules": {"label-content-name-mismatch": {"enabled": True}}}
"""With a rule that axe calls experimental."""
SETTLED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def findings(page: Any, language: str = "en-GB") -> list[str]:
    """What axe finds, and a page that is wider than its screen; each once, with the first screen that shows it.

    Args:
        page: of the station, with all that is to be judged on the screen; until its scripts have run its contents are
            inert, which axe would judge as if they were not there.
        language: of the page, a key of `SCREENS`.
    """
    page.wait_for_selector("#contents:not([inert])")
    size, found = page.viewport_size, {}
    for width, height, scheme in SCREENS[language]:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(SETTLED)
        wrong = [
            f"{one['id']}: {node['html'][:160]}"
            for one in Axe().run(page, options=OPTIONS).response["violations"]
            for node in one["nodes"]
        ]
        wrong += ["wider than the screen"] if page.evaluate("document.documentElement.scrollWidth > innerWidth") else []
        for what in wrong:
            found.setdefault(what, f"{width} px, {scheme}: {what}")
    page.set_viewport_size(size)
    return list(found.values())
