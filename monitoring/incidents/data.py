"""Faults of inputs. Each takes the rows from its hour on, and finds its features by the schema."""

import numpy as np

from contracts.schema import Window
from monitoring.incidents.traffic import NoPlace, Random, Traffic, pick


def unit_wind(traffic: Traffic, _: Random) -> Traffic:
    """A feed that changed from miles an hour to metres a second."""
    return traffic.with_numbers(traffic.of_unit("mph"), lambda values: values * np.float32(0.44704))


def unit_temperature(traffic: Traffic, _: Random) -> Traffic:
    """Degrees Celsius where Fahrenheit is expected."""
    return traffic.with_numbers(traffic.of_unit("°F"), lambda values: (values - 32) / np.float32(1.8))


def out_of_range(traffic: Traffic, rng: Random) -> Traffic:
    """A source writes 999 for what it does not know, in a third of the rows; the bound where the schema refuses 999."""
    column = pick(rng, traffic.lively())
    value = min(999.0, traffic.schema.numeric[column].high)
    hit = rng.random(len(traffic)) < 1 / 3
    return traffic.with_numbers((column,), lambda values: np.where(hit[:, None], np.float32(value), values))


def stuck(traffic: Traffic, rng: Random) -> Traffic:
    """A sensor repeats its last value."""
    column = pick(rng, traffic.lively())
    known = traffic.numeric[:, column][~np.isnan(traffic.numeric[:, column])]
    return traffic.with_numbers((column,), lambda values: np.full_like(values, known[0] if len(known) else 0))


def dead_feed(traffic: Traffic, rng: Random) -> Traffic:
    """A stream of events ends: what is made of it is missing, or what stands for no event."""
    stream, columns = pick(rng, tuple(sorted(traffic.of_streams().items())))
    empty = [_empty(traffic, column) for column in columns]
    hit = traffic.with_numbers(columns, lambda values: np.tile(np.array(empty, np.float32), (len(values), 1)))
    return hit.with_(subjects=(stream, *hit.subjects))


def _empty(traffic: Traffic, column: int) -> float:
    source = traffic.schema.numeric[column].source
    return np.nan if not isinstance(source, Window) or source.empty is None else source.empty


def part_missing(traffic: Traffic, rng: Random) -> Traffic:
    """Half of the values of one feature are lost on their way."""
    column = pick(rng, traffic.lively())
    hit = rng.random(len(traffic)) < 0.5
    return traffic.with_numbers((column,), lambda values: np.where(hit[:, None], np.float32(np.nan), values))


def new_category(traffic: Traffic, rng: Random) -> Traffic:
    """A name that nobody knew, in a tenth of the rows: a carrier that starts."""
    name = pick(rng, traffic.schema.category_names)
    category = traffic.category.copy()
    category[rng.random(len(traffic)) < 0.1, traffic.place(name)] = "NEW"
    return traffic.with_(category=category, subjects=(name,))


def renamed_category(traffic: Traffic, rng: Random) -> Traffic:
    """A frequent name is written in small letters from now on."""
    name, old = pick(rng, traffic.frequent(traffic.schema.category_names))
    category = traffic.category.copy()
    column = category[:, traffic.place(name)]
    column[column == old] = old.lower() if old.lower() != old else f"{old}_"
    return traffic.with_(category=category, subjects=(name,))


def duplicated(traffic: Traffic, rng: Random) -> Traffic:
    """A client sends half of its rows twice, ids and all."""
    again = np.flatnonzero(rng.random(len(traffic)) < 0.5)
    return traffic.rows(np.sort(np.concatenate([np.arange(len(traffic)), again])))


def clock_shift(traffic: Traffic, _: Random) -> Traffic:
    """A client that writes minutes of the day in UTC instead of local time: four hours later."""
    return traffic.with_numbers(traffic.of_unit("minute of day"), lambda values: (values + 240) % 1440)


def swapped_columns(traffic: Traffic, rng: Random) -> Traffic:
    """Two neighbours of other units in each other's place, as a positional request does."""
    numbers = traffic.schema.numeric
    pairs = tuple((i, i + 1) for i in range(len(numbers) - 1) if numbers[i].unit != numbers[i + 1].unit)
    if not pairs:
        raise NoPlace("this fault must find two neighbours of other units, got none; it cannot happen there")
    return traffic.with_numbers(pick(rng, pairs), lambda values: values[:, ::-1])


def nothing_arrives(traffic: Traffic, _: Random) -> Traffic:
    """A gateway is closed: no row comes any more."""
    return traffic.rows(slice(0, 0))
