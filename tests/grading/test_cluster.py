# SPDX-License-Identifier: GPL-2.0-only
"""Grading on Dask distributed: a worker that is killed in the middle loses no grade and counts none twice."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kmodsim.course.grading import cluster
from kmodsim.course.grading.confinement import Limits

from . import hostile
from .test_hostile import SOURCE, points

pytestmark = pytest.mark.tool
STUDENTS = 16


@pytest.fixture
def client(needs: Callable[[str], str]) -> Iterator[Any]:
    needs("bwrap")
    distributed = pytest.importorskip("distributed", reason="needs distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local,
        distributed.Client(local) as made,
    ):
        yield made


def test_a_killed_worker(client: Any) -> None:
    good, bad = hostile.notebook(hostile.honest()), hostile.notebook(hostile.empty())
    tasks = [
        {
            "student": f"s{number}",
            "assignment": hostile.ASSIGNMENT,
            "notebook": bad if number % 4 == 3 else good,
            "source": SOURCE,
        }
        for number in range(STUDENTS)
    ]
    victim = min(client.run(os.getpid).values())
    found = []
    for result in cluster.judge_all(tasks, client, "bubblewrap", Limits()):
        found.append(result)
        if len(found) == 2:
            os.kill(victim, signal.SIGKILL)
    assert victim not in client.run(os.getpid).values()
    assert Counter(result["student"] for result in found) == {f"s{n}": 1 for n in range(STUDENTS)}
    for result in found:
        expected = hostile.NONE if int(result["student"][1:]) % 4 == 3 else hostile.FULL
        assert points(result) == expected
