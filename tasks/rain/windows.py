"""Forecasts as predictions, and the weather as a stream of events: Ibis expressions over the tables.

A forecast made at the end of an hour sees the observations up to that moment. Its label is in the three after it.
"""

from collections.abc import Mapping

import ibis

from tasks.instants import Expression, minute
from tasks.rain.schema import HOUR
from tasks.rain.words import HOURS


def queries(tables: Mapping[str, Expression]) -> Expression:
    """One row a forecast. All labels are known at the end of the third hour: rain in the first could be told earlier,
    but then rainy labels would come before dry ones, and what is known by a day would be wetter than the weather."""
    outcomes = _outcomes(tables["weather"])
    table = tables["forecasts"]
    table = table.inner_join(
        outcomes, [table["airport"] == outcomes["place"], table["made_at"] == outcomes["observed"]]
    )
    over = table["made_at"] + ibis.interval(hours=HOURS)
    return table.mutate(
        row_id=table["forecast_id"],
        month=table["local_month"],
        predicted_at=table["made_at"],
        outcome_at=table["label"].notnull().ifelse(over, ibis.null("timestamp")),
    )


def events(tables: Mapping[str, Expression]) -> dict[str, Expression]:
    """One stream: the observations, each with what changed in the three hours before it."""
    weather = tables["weather"]
    before = weather.select(
        place="airport",
        since=weather["observed"] + ibis.interval(hours=3),
        humid_before="humid",
        pressure_before="pressure",
    )
    table = weather.left_join(before, [weather["airport"] == before["place"], weather["observed"] == before["since"]])
    return {
        "weather": table.mutate(
            at=table["observed"],
            rained=_rained(table),
            precip_hundredths=(table["precip"] * 100).round().cast("int64"),
            humid_change_3h=table["humid"] - table["humid_before"],
            pressure_change_3h=table["pressure"] - table["pressure_before"],
        )
    }


def _rained(weather: Expression) -> Expression:
    return (weather["precip"] > 0).cast("int64")


def _outcomes(weather: Expression) -> Expression:
    """For each observation, whether it rained in the hours after it: null when one of them is missing and none of the
    others had rain."""
    line = weather.select(place="airport", observed="observed", at=minute(weather["observed"]), rained=_rained(weather))
    after = ibis.range_window(following=(1, HOURS * HOUR), group_by="place", order_by="at")
    rainy, known = line["rained"].sum().over(after) > 0, line["rained"].count().over(after) == HOURS
    dry = known.ifelse(ibis.literal(False), ibis.null("boolean"))
    return line.select("place", "observed", label=rainy.ifelse(True, dry))
