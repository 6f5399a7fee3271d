"""A caller's own classifier: asked in a thread, held to its promise, and not waited for."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eco_actor import (
    BadPicture,
    Classifier,
    Config,
    Eco,
    Guess,
    ScanFailed,
    Stage,
    StageInput,
    Verdict,
    parts,
)
from tests.embedded import Says, free, memory
from tests.web.handed_over import until
from tests.web.held import GLASS, PICTURE, Held


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (RuntimeError("no power"), "RuntimeError: no power"),
        (SystemExit(3), "RuntimeError: it raised SystemExit"),
        ("glass", "TypeError: a classifier returns a Verdict, not a str"),
        (Verdict("gold", 0.9, (Guess("gold", 0.9),), "x"), "ValueError: there is no category"),
        (Verdict("glass", 0.9, (), "x"), "ValueError: the first alternative is the category"),
        (Verdict(None, float("nan"), (), "x"), "ValueError: a confidence is a number from 0 to 1"),
        (Verdict(None, 0.5, (Guess("glass", 0.5),) * 4, "x"), "ValueError: a verdict has up to"),
        (Verdict(None, 0.5, (), ""), "ValueError: backend is a name"),
    ],
)
async def test_a_classifier_that_fails_fails_the_scan_and_nothing_else(
    verdict: Any, told: str
) -> None:
    """The reason is told; the next scan is as good as ever."""
    says = Says(verdict)
    async with Eco(memory(), classifier=says) as eco:
        with pytest.raises(ScanFailed, match="step_failed") as failed:
            await eco.scan(PICTURE)
        assert failed.value.detail.startswith(told)
        says.verdict = GLASS
        assert (await eco.scan(PICTURE))["classification"]["category"] == "glass"
    assert all(name.startswith("eco-work") for name in says.threads)


async def test_numbers_of_numpy_are_numbers() -> None:
    """What models give is told as JSON."""
    sure = np.float32(0.75)
    says = Says(Verdict("glass", sure, (Guess("glass", sure),), "x"))  # type: ignore[arg-type]
    async with Eco(memory(), classifier=says) as eco:
        assert (await eco.scan(PICTURE))["classification"]["confidence"] == 0.75


async def test_a_classifier_that_never_comes_back_does_not_keep_the_end(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The thread is named and left behind; everything else is given back."""
    held = Held()
    async with Eco(Config(data_dir=tmp_path), classifier=held) as eco:
        await eco.submit(PICTURE)
        await until(lambda: eco.threads.oldest_s > 0)
    assert "still busy, and left behind: eco-work" in caplog.text
    await free(tmp_path)
    held.gate.set()
    await until(lambda: not any(t.name.startswith("eco-work") for t in threading.enumerate()))


async def test_a_classifier_that_takes_too_long_fails_its_scan_only() -> None:
    """Past the deadline of the step the scan is told; another worker goes on."""
    slow, go_on = threading.Event(), threading.Event()

    def look(given: StageInput) -> dict[str, Any]:
        assert given.pixels is not None
        if not slow.is_set():
            slow.set()
            assert go_on.wait(30)
        return {
            "category": "glass", "confidence": 0.5, "backend": "mine", "unsure": False,
            "alternatives": [{"category": "glass", "confidence": 0.5}],
        }  # fmt: skip

    stage = Stage("vision", 33, look, blocking=True, workers=2, deadline=0.05, attempts=1)
    async with Eco(memory(), stages=[stage]) as eco:
        with pytest.raises(ScanFailed, match="step_timeout"):
            await eco.scan(PICTURE)
        assert (await eco.scan(PICTURE))["classification"]["backend"] == "mine"
        go_on.set()


async def test_without_vision_a_classifier_is_not_asked() -> None:
    """The configuration decides."""
    says = Says(GLASS)
    async with Eco(memory(vision=False), classifier=says) as eco:
        with pytest.raises(BadPicture):
            await eco.submit(PICTURE)
    assert says.threads == []


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In which threads the model was loaded."""
    threads: list[str] = []

    def load() -> Classifier:
        threads.append(threading.current_thread().name)
        return Says(GLASS)

    monkeypatch.setattr(parts, "load_classifier", load)
    return threads


async def test_the_model_is_loaded_in_a_thread_and_only_when_it_is_needed(
    loads: list[str],
) -> None:
    """Not with a classifier, not without vision, not when a stage takes the place of vision."""
    await asyncio.to_thread(lambda: None)
    look = Stage("vision", 33, lambda given: {}, blocking=True)
    for eco in (
        Eco(memory(), classifier=Says(GLASS)),
        Eco(memory(vision=False)),
        Eco(memory(), stages=[look]),
    ):
        async with eco:
            assert loads == []
    async with Eco(memory()) as eco:
        assert (await eco.scan(PICTURE))["classification"]["category"] == "glass"
    assert [name.partition("_")[0] for name in loads] == ["eco-work"]
