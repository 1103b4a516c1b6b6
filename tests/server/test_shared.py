"""What processes share: the same in one process, over Redis, and after Redis is gone."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from eme_connector.adapters.shared import LocalShared, RedisShared, connect_redis
from eme_connector.errors import Unavailable


@pytest.fixture(params=["local", "redis", "lost"])
def shared(request):
    if request.param == "local":
        yield LocalShared()
        return
    server = request.getfixturevalue("redis")
    found = RedisShared(connect_redis(server.url), f"eme:{uuid4().hex}:")
    if request.param == "lost":
        server.stop()
    yield found
    found.close()
    if request.param == "lost":
        server.start()


def test_so_many_a_minute_and_no_more_for_each_key(shared):
    told = [shared.hit("login", "anna", per_minute=3) for _ in range(5)]

    assert told == [True] * 3 + [False] * 2
    assert shared.hit("login", "bob", per_minute=3)
    assert shared.hit("other", "anna", per_minute=3)


def test_what_is_kept_is_found_for_its_time(shared):
    shared.put("a", b"1", seconds=60)
    shared.put("b", b"2", seconds=0.05)
    time.sleep(0.1)

    assert [shared.get(key) for key in ("a", "b", "c")] == [b"1", None, None]


def test_what_is_kept_is_bounded():
    shared = LocalShared()
    for number in range(3_000):
        shared.put(str(number), b"", seconds=60)

    assert shared.get("0") is None
    assert shared.get("2999") == b""


def test_two_processes_count_and_keep_together(redis):
    prefix = f"eme:{uuid4().hex}:"
    one, two = (RedisShared(connect_redis(redis.url), prefix) for _ in range(2))

    one.put("a", b"1", seconds=60)
    told = [each.hit("login", "anna", per_minute=3) for each in (one, two, one, two)]

    assert two.get("a") == b"1"
    assert told == [True, True, True, False]


def test_names_that_people_typed_do_not_stand_in_redis(redis):
    shared = RedisShared(connect_redis(redis.url), f"eme:{uuid4().hex}:")
    shared.hit("login", "my-secret-password", per_minute=3)

    client = connect_redis(redis.url)
    assert [key for key in client.scan_iter() if b"secret" in key] == []


def test_a_lost_redis_is_told_costs_little_and_may_come_back(redis):
    shared = RedisShared(connect_redis(redis.url), f"eme:{uuid4().hex}:")
    shared.ping()
    redis.stop()

    began = time.monotonic()
    for _ in range(200):
        shared.hit("login", "anna", per_minute=1_000)
        shared.get("a")
    assert time.monotonic() - began < 10
    with pytest.raises(Unavailable):
        shared.ping()

    redis.start()
    shared.ping()
