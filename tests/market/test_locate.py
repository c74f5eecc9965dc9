"""Where prices and factors are looked for when a batch file does not say."""

from pytest_finbot.market.locate import find_factors, find_prices


def test_nothing_there_is_nothing_found(tmp_path):
    assert find_prices(tmp_path) is None
    assert find_factors(tmp_path) is None


def test_the_first_of_the_usual_places_is_taken(tmp_path):
    places = [
        tmp_path / "data" / name for name in ("prices.parquet", "prices.csv.gz", "prices.csv", "prices")
    ]
    places[3].mkdir(parents=True)
    for place in reversed(places):
        if not place.exists():
            place.touch()
        assert find_prices(tmp_path) == place


def test_factors_have_their_own_place(tmp_path):
    (tmp_path / "data" / "factors").mkdir(parents=True)
    assert find_factors(tmp_path) == tmp_path / "data" / "factors"
    assert find_prices(tmp_path) is None
