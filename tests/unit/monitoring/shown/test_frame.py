"""Evidently's page says what it is of, and leads back."""

import gzip
import re

import pytest

from monitoring.monitor import results
from tests.unit.monitoring.conftest import World, recently

EVIDENTLY = b"""<!DOCTYPE html>
<html lang="en">
<head><script>let x = "<body>";</script></head>
<body>
<div id="root"></div></body></html>"""


@pytest.mark.parametrize("html", [EVIDENTLY, b"<p>another form</p>"])
def test_it_has_our_title_the_window_in_words_and_a_way_back(
    world: World, monkeypatch: pytest.MonkeyPatch, html: bytes
) -> None:
    monkeypatch.setattr("monitoring.monitor.summary.compare", lambda *_: ((), html))
    world.log(world.flights("f", recently(hours=1), 40, None))
    (month,) = (one["month"] for one in world.run(files=False)["months"])
    packed = results.page(world.database, "window")
    assert packed is not None
    shown = gzip.decompress(packed).decode()
    assert re.search(r"<strong>Flights out of New York: drift, newest 40 flights, [-0-9: ]+ to [-0-9: ]+ UTC<", shown)
    assert '<a href="../">Back to the monitor</a>' in shown
    packed = results.page(world.database, month)
    assert packed is not None
    assert f"’{month[2:4]}, 40 flights" in gzip.decompress(packed).decode()
    if html == EVIDENTLY:
        assert shown.count("<title>") == 1
        assert shown.index("<header") > shown.index("</head>")
        assert shown.endswith(EVIDENTLY[-30:].decode())
