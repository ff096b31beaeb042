import pytest
import torch

from gradcam.engine.targets import Difference, Goal, Top, count_maps, objectives, resolve_targets

LOGITS = torch.tensor([0.0, 5.0, 1.0, 3.0])


def indices(*targets: int | Top) -> list[int]:
    return [goal.index for goal in resolve_targets(targets, LOGITS)]


def test_the_best_few_are_never_more_than_there_are_classes() -> None:
    goals = resolve_targets((Top(1000),), torch.arange(12.0))
    assert goals == tuple(Goal(index) for index in range(11, -1, -1))


def test_targets_become_the_picture_own_classes_each_once() -> None:
    assert indices(2, Top(3), 0, 1) == [2, 1, 3, 0]
    assert indices(Top(1), Top(2)) == [1, 3]


def test_a_difference_is_a_goal_beside_its_classes() -> None:
    targets = (Difference(2, 0), 2, Difference(2, 0), Difference(0, 2), Top(1))
    assert resolve_targets(targets, LOGITS) == (Goal(2, 0), Goal(2), Goal(0, 2), Goal(1))


@pytest.mark.parametrize("target", [4, -1, Difference(0, 4), Difference(4, 0), Difference(-1, 0)])
def test_there_is_no_such_class(target: int | Difference) -> None:
    with pytest.raises(ValueError, match="there is no class"):
        resolve_targets((target,), LOGITS)


def test_a_class_does_not_differ_from_itself() -> None:
    with pytest.raises(ValueError, match="does not differ from itself"):
        Difference(3, 3)


def test_a_difference_is_one_map() -> None:
    assert count_maps((Difference(0, 1), 1, Top(3), Top(9)), classes=5) == 1 + 1 + 3 + 5


def test_objectives_weigh_the_logits() -> None:
    rows = objectives((Goal(1), Goal(3, 2), Goal(2, 3)), 4)
    assert rows.tolist() == [[0, 1, 0, 0], [0, 0, -1, 1], [0, 0, 1, -1]]
    assert (rows @ LOGITS).tolist() == [5, 2, -2]
    assert objectives((), 4).shape == (0, 4)
