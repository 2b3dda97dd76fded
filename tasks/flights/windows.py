"""Flights as predictions, and what happened around them as streams of events: Ibis expressions over the tables.

A prediction sees only what was known at its cutoff, `HORIZON_MINUTES` before scheduled departure: departures that had
departed, arrivals that had landed, weather that had been observed, and the timetable.
"""

from collections.abc import Mapping

import ibis

from tasks.flights.schema import HORIZON_MINUTES, HOUR
from tasks.flights.words import LATE_MINUTES
from tasks.instants import Expression, minute


def queries(tables: Mapping[str, Expression]) -> Expression:
    """One row a flight, with what the timetable and the register of aircraft say."""
    flights = _with_aircraft(_with_timetable(tables["flights"]), tables["planes"])
    return flights.mutate(
        row_id=flights["flight_id"],
        month=flights["local_month"],
        predicted_at=flights["scheduled_departure"] - ibis.interval(minutes=HORIZON_MINUTES),
        outcome_at=flights["landed"],
        label=flights["arr_delay"] >= LATE_MINUTES,
    )


def events(tables: Mapping[str, Expression]) -> dict[str, Expression]:
    """Streams: departures and landings of flights, what changes the queue of an origin, and weather."""
    flights, weather = tables["flights"], tables["weather"]
    departed = flights.filter(flights["departed"].notnull())
    landed = flights.filter(flights["landed"].notnull())
    # A flight joins the queue when it is scheduled and leaves it when it departs; a cancelled one never departs.
    joins = flights.select("origin", at="scheduled_departure", waiting=ibis.literal(1, "int64"))
    leaves = departed.select("origin", at="departed", waiting=ibis.literal(-1, "int64"))
    return {
        "departures": departed.mutate(at=departed["departed"]),
        "landings": landed.mutate(at=landed["landed"], was_late=(landed["arr_delay"] >= LATE_MINUTES).cast("int64")),
        "queue": joins.union(leaves),
        "weather": weather.mutate(
            at=weather["observed"], precip_hundredths=(weather["precip"] * 100).round().cast("int64")
        ),
    }


def _with_timetable(flights: Expression) -> Expression:
    """Known long before. New York's offset is whole hours, so its clock hours are UTC's, and the hour that the
    clock shows twice is two."""
    block = minute(flights["scheduled_arrival"]) - minute(flights["scheduled_departure"])
    table = flights.mutate(sched_block_minutes=block, hour=minute(flights["scheduled_departure"]) // HOUR)
    same_hour = table.count().over(ibis.window(group_by=["origin", "hour"]))
    return table.mutate(origin_sched_departures_1h=same_hour)


def _with_aircraft(flights: Expression, planes: Expression) -> Expression:
    """Age and seats; an aircraft built after the flight's year has no age."""
    register = planes.select(plane="tailnum", built="year", plane_seats="seats")
    table = flights.left_join(register, flights["tailnum"] == register["plane"])
    age = table["local_month"].left(4).cast("int64") - table["built"]
    return table.mutate(plane_age=(age >= 0).ifelse(age, ibis.null("int64")))
