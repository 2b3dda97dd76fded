"""Charts: what a reader sees in the picture."""

import re
import xml.etree.ElementTree as ET

from web.charts import Line, histogram, line_chart


def test_line_chart_names_the_years_when_there_are_several() -> None:
    values = [Line("measured", "first", [0.7, 0.8])]
    assert ">Jul</text>" in line_chart("AUC", ["2013-07", "2013-11"], values)
    chart = line_chart("AUC", ["2013-07", "2026-11"], values)
    assert ">Jul ’13</text>" in chart
    assert ">Nov ’26</text>" in chart


def test_line_chart_leaves_gaps_and_keeps_names_apart() -> None:
    chart = line_chart(
        "AUC", ["2013-07", "2013-08"], [Line("a", "first", [0.7, None]), Line("b", "second", [0.7, 0.7])]
    )
    assert chart.count("<circle") == 3
    names = [float(y) for y in re.findall(r'class="name[^>]*y="([\d.]+)"', chart)]
    assert abs(names[0] - names[1]) >= 17


def test_histogram_draws_shares() -> None:
    chart = histogram("latency", [1.0, 20.0], [3, 1, 0], "rest", mark=20.0)
    assert "75%" in chart
    assert "25%" in chart
    assert chart.count("<rect") == 3


def test_names_are_escaped_and_pictures_are_xml() -> None:
    chart = line_chart("AUC & co", ["2013-07"], [Line("a <b>", "first", [0.7])])
    (name,) = (text for text in ET.fromstring(chart).iter("text") if "name" in text.attrib["class"])  # noqa: S314 - ours
    assert name.text == "a <b>"
