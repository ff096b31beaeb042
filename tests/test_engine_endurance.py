"""Ten thousand explanations, and several threads at once."""

import gc
from concurrent.futures import ThreadPoolExecutor

import psutil
import torch

from gradcam import Ask, Explainer, Outcome, Top
from hand_networks import Classifier, frozen, pictures, two_stages


def explain(explainer: Explainer, number: int) -> Outcome:
    (outcome,) = explainer.run(pictures(1, seed=number % 7), [Ask((Top(2), number % 5))])
    assert isinstance(outcome, Outcome)
    return outcome


def test_ten_thousand_explanations_leave_no_more_behind_than_one_thousand() -> None:
    explainer = Explainer(frozen(Classifier(two_stages())), (12, 12))
    process = psutil.Process()

    def after(count: int) -> tuple[int, int]:
        for number in range(count):
            explain(explainer, number)
        gc.collect()
        return len(gc.get_objects()), process.memory_info().rss

    objects, memory = after(1_000)
    more_objects, more_memory = after(9_000)

    # one leaked tensor object per explanation would be 9,000 objects; an allocator keeps some pages
    assert more_objects - objects < 100
    assert more_memory - memory < 4 * 2**20
    hooks = [module._forward_hooks for module in explainer.network.modules()]
    assert not any(hooks)


def test_threads_with_a_network_each_do_not_disturb_each_other() -> None:
    explainers = [
        Explainer(frozen(Classifier(two_stages()), seed=seed), (12, 12)) for seed in range(4)
    ]
    alone = [[explain(explainer, number) for number in range(20)] for explainer in explainers]

    with ThreadPoolExecutor(4) as pool:
        jobs = [
            [pool.submit(explain, explainer, number) for number in range(20)]
            for explainer in explainers
        ]
        together = [[job.result() for job in row] for row in jobs]

    for expected, found in zip(alone, together, strict=True):
        for one, other in zip(expected, found, strict=True):
            torch.testing.assert_close(one.logits, other.logits)
            for first, second in zip(one.maps, other.maps, strict=True):
                assert first.index == second.index
                torch.testing.assert_close(first.values, second.values)
