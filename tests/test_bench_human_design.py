"""Who sees what, and when: every balance that a kit promises."""

import itertools
from collections import Counter

import pytest

from benchmark.human.design import Design, Files, make_plans, williams_square
from datapipe.records import Rejected


def plans(num_systems: int, num_cases: int, design: Design, seed: int = 5):
    systems, cases = [f"s{k}" for k in range(num_systems)], [f"c{k}" for k in range(num_cases)]
    files = Files(
        of={(s, c): f"{s}-{c}.mp4" for s in systems for c in cases}, plain="p.mp4", broken="b.mp4", case="c0"
    )
    return make_plans(systems, cases, files, design, seed)


def shown(plan, kind: str = "rating") -> list[tuple[str, str]]:
    return [(item.system, item.case) for item in plan.items if item.kind == kind]


@pytest.mark.parametrize("num", [2, 3, 4, 5, 10])
def test_a_williams_square_is_latin_and_balances_what_follows(num: int) -> None:
    rows = williams_square(num)
    assert all(sorted(row) == list(range(num)) for row in rows)
    for block in (rows[k : k + num] for k in range(0, len(rows), num)):
        assert all(sorted(column) == list(range(num)) for column in zip(*block, strict=True))
    followed = Counter(pair for row in rows for pair in itertools.pairwise(row))
    assert len(followed) == num * (num - 1) and len(set(followed.values())) == 1


@pytest.mark.parametrize(("num_systems", "num_cases"), [(4, 8), (3, 5), (2, 1), (5, 5)])
def test_every_rater_sees_every_video_once(num_systems: int, num_cases: int) -> None:
    for plan in plans(num_systems, num_cases, Design(raters=3)):
        assert len(set(shown(plan))) == len(shown(plan)) == num_systems * num_cases


@pytest.mark.parametrize("num_systems", [3, 4, 5])
def test_over_the_raters_every_video_stands_in_every_round_equally_often(num_systems: int) -> None:
    num_cases = 7
    count: Counter[tuple[int, str, str]] = Counter()
    for plan in plans(num_systems, num_cases, Design(raters=2 * num_systems)):
        for place, (system, case) in enumerate(shown(plan)):
            count[place // num_cases, system, case] += 1
    assert len(count) == num_systems**2 * num_cases and set(count.values()) == {2}


def test_a_part_of_the_rounds_is_balanced_too() -> None:
    for plan in plans(4, 8, Design(raters=4, rounds=2)):
        assert set(Counter(system for system, _ in shown(plan)).values()) == {4}
        assert set(Counter(case for _, case in shown(plan)).values()) == {2}


def test_no_clip_follows_itself_among_the_ratings() -> None:
    for plan in plans(4, 3, Design(raters=20)):
        cases = [case for _, case in shown(plan)]
        assert all(one != other for one, other in itertools.pairwise(cases))


def test_repeats_come_later_and_checks_never_first() -> None:
    for seed in range(30):
        for plan in plans(2, 2, Design(raters=2, repeats=2, told=2, broken=1), seed):
            by_id = {item.id: item for item in plan.items}
            assert [item.id for item in plan.items] == sorted(by_id) and len(by_id) == len(plan.items)
            repeats = [item for item in plan.items if item.kind == "repeat"]
            assert len(repeats) == 2
            for item in repeats:
                first = by_id[item.again]
                assert (first.kind, first.system, first.case) == ("rating", item.system, item.case)
                assert first.id < item.id
            kinds = [item.kind for item in plan.items]
            assert kinds[0] == "rating" and kinds.count("told") == 2 and kinds.count("broken") == 1
            assert all(1 <= item.choose <= 5 for item in plan.items if item.kind == "told")


def test_one_clip_and_two_systems_are_enough() -> None:
    (plan,) = plans(1, 1, Design(raters=1, repeats=1))
    assert [item.kind for item in plan.items].count("repeat") == 1


def test_the_seed_decides_everything() -> None:
    design = Design(raters=2)
    assert plans(3, 4, design, 1) == plans(3, 4, design, 1)
    assert plans(3, 4, design, 1) != plans(3, 4, design, 2)


@pytest.mark.parametrize(
    "wrong",
    [{"raters": 0}, {"raters": 2, "rounds": 0}, {"raters": 1, "repeats": 0}, {"raters": 1, "told": -1}],
)
def test_a_design_out_of_bounds_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Rejected, match=r"must be between"):
        Design(**wrong)


def test_a_design_without_a_check_or_too_long_is_refused() -> None:
    with pytest.raises(Rejected, match="attention check"):
        Design(raters=1, told=0, broken=0)
    with pytest.raises(Rejected, match="--rounds"):
        plans(2, 2, Design(raters=1, rounds=3))
    with pytest.raises(Rejected, match="more than 400"):
        plans(9, 50, Design(raters=1))
