"""Every threshold once, with its unit and reason; a workspace changes some, and nonsense is refused by name."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from cli import main
from contracts.errors import ParameterError
from contracts.objectives import LABEL_DELAY_EDGES, LATENCY_EDGES, Objectives, described, load_objectives


def overrides(folder: Path, text: str) -> Path:
    (folder / "objectives.yaml").write_text(text)
    return folder / "objectives.yaml"


def test_without_a_file_all_are_the_defaults(tmp_path: Path) -> None:
    assert load_objectives(None) == load_objectives(tmp_path / "objectives.yaml") == Objectives()
    assert load_objectives(overrides(tmp_path, "# none yet\n")) == Objectives()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    changed = load_objectives(overrides(tmp_path, "latency_seconds: 0.05\nscore_tolerance: 1e-5\nwindow_days: 7\n"))
    assert changed == msgspec.structs.replace(
        Objectives(), latency_seconds=0.05, score_tolerance=1e-5, window_days=7
    )  # fmt: skip
    assert changed.latency_name == "50 ms"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latenci: 1", r"`latenci` must be an objective, one of latency_seconds, slow_share, .*, got none"),
        ("slow_share: 3", r"`slow_share` must be a number from 0.0001 to 0.5 \(share\), got 3; correct `"),
        ("slow_share: .nan", r"`slow_share` must be a number"),
        ("slow_share: true", r"`slow_share` must be a number"),
        ("student_bytes: 1.5", r"`student_bytes` must be a whole number from 1,000"),
        ("latency_seconds: 0.03", r"`latency_seconds` must be an edge of its histogram .* 0.02, 0.05, .*, got 0.03"),
        ("label_delay_hours: 5", r"`label_delay_hours` must be an edge"),
        ("- 1", r"must be YAML of `name: value`, got \[1\]"),
        ("{", r"must be YAML of `name: value`, got"),
    ],
)
def test_what_is_unknown_or_out_of_bounds_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        load_objectives(overrides(tmp_path, text))


def test_what_is_promised_is_an_edge_of_the_histogram_that_measures_it() -> None:
    """Else the share of slow requests would be interpolated, or the rule would select no bucket."""
    assert Objectives().latency_seconds in LATENCY_EDGES
    assert Objectives().label_delay_hours * 3_600 in LABEL_DELAY_EDGES


def test_each_default_keeps_its_own_bounds_and_says_why() -> None:
    for field, one in zip(msgspec.structs.fields(Objectives), described(Objectives()), strict=True):
        assert msgspec.convert(field.default, field.type) == field.default
        assert one.unit
        assert one.reason.endswith(".")
        assert one.change
        assert not one.changed


def test_the_command_prints_them_all_and_marks_what_a_workspace_changes(tmp_path: Path) -> None:
    overrides(tmp_path, "mean_auc: 0.7\n")
    printed = CliRunner().invoke(main, ["objectives", "--root", str(tmp_path)])
    assert printed.exit_code == 0, printed.output
    for name in Objectives.__struct_fields__:
        assert f"\n{name} " in printed.output
    (line,) = [line for line in printed.output.splitlines() if line.startswith("mean_auc")]
    assert line.split()[1:3] == ["0.7*", "AUC"]
    assert max(len(line) for line in printed.output.splitlines()) < 180


def test_the_command_refuses_what_the_file_gets_wrong(tmp_path: Path) -> None:
    overrides(tmp_path, "margin: 0.03\n")
    refused = CliRunner().invoke(main, ["objectives", "--root", str(tmp_path)])
    assert refused.exit_code == 1
    assert "`margin` must be an objective" in refused.output
