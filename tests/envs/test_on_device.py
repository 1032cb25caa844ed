"""Questions on a device: for every environment the same bits as on the host; on the CPU here, on a GPU where one is."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from ssl4rl_envs import Stream, make_task, task_class
from ssl4rl_envs.registration import TABLE
from ssl4rl_envs.vector import SSLVectorEnv

torch = pytest.importorskip("torch")

from ssl4rl_envs.on_device import SSLTorchVectorEnv, on_device  # noqa: E402
from ssl4rl_envs.on_device.sources import DeviceSource  # noqa: E402

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
IDS = [row.id for row in TABLE]
CASES = [(name, level.name) for name in IDS for level in task_class(name).levels] + [
    (name, None) for name in IDS if not task_class(name).levels
]


def task_of(name: str, level: str | None, **arguments):
    chosen = {"level": level} if level else {}
    pictures = {"source": "photos"} if task_class(name).sources is make_task("SSL4RL/Rotation-v0").sources else {}
    return make_task(name, **chosen, **pictures, **arguments)


def plain(values):
    return values.cpu().numpy() if isinstance(values, torch.Tensor) else values


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("name", "level"), CASES)
def test_the_same_questions_bit_for_bit(name, level, device):
    task = task_of(name, level)
    stream = Stream.span("test", 3, 5, 9)
    batch, other = task.sample(stream), on_device(task, device).sample(stream)
    assert np.array_equal(batch.target, other.target)
    assert np.array_equal(batch.items, other.items)
    assert set(batch.observation) == set(other.observation)
    for key, values in batch.observation.items():
        if key in task.images:
            assert isinstance(other.observation[key], torch.Tensor)
            assert other.observation[key].device.type == device
        assert np.array_equal(values, plain(other.observation[key])), key


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize(
    "settings", [{}, {"interface": "text"}, {"attempts": 2, "prefetch": True, "autoreset_mode": "NEXT_STEP"}]
)
def test_the_vector_environment_is_that_of_the_host(name, settings, device):
    task = task_of(name, None)
    if settings.get("interface") == "text" and not task.has_text:
        pytest.skip("no words")
    if settings.get("attempts") and task.horizon > 1:
        pytest.skip("several decisions already")
    host, envs = SSLVectorEnv(task, num_envs=5, **settings), SSLTorchVectorEnv(task, num_envs=5, device=device, **settings)
    assert host.single_observation_space == envs.single_observation_space
    compare(host.reset(seed=1), envs.reset(seed=1), device)
    for number in range(4):
        answers = task.random_answers(host.batch, Stream.span("train", number, 0, 5)) if number else task.oracle(host.batch)
        actions = (
            tuple(f"<answer>{said}</answer>" for said in task.format_all(answers, host.batch))
            if settings.get("interface") == "text"
            else answers
        )
        given = torch.as_tensor(answers, device=device) if actions is answers else actions
        compare(host.step(actions), envs.step(given), device)
    host.close(), envs.close()


def compare(expected, found, device):
    """All that came out is the same, and numbers are tensors of the device."""
    assert len(expected) == len(found)
    for one, other in zip(expected, found, strict=True):
        if isinstance(one, dict):
            assert set(one) == set(other)
            for key in one:
                compare((one[key],), (other[key],), device)
        elif isinstance(one, np.ndarray) and one.dtype == object:
            compare(tuple(one), tuple(other), device)
        elif isinstance(one, np.ndarray):
            if not isinstance(other, np.ndarray):
                assert other.device.type == device
            assert np.array_equal(one, plain(other))
        else:
            assert one == other


def test_what_is_drawn_on_the_host_is_the_same_too():
    """Scenes, which are strokes, and finer turns, from smoothed pictures."""
    for arguments in ({"source": "scenes"}, {"source": "photos", "level": "angles-12"}):
        task = make_task("SSL4RL/Rotation-v0", image_size=40, **arguments)
        one, other = (
            each.sample(Stream.span("train", 0, 0, 4)).observation["image"] for each in (task, on_device(task, "cpu"))
        )
        assert np.array_equal(one, other.numpy())


def test_a_pool_is_copied_once_for_all_parts_of_a_mixture():
    mixture = on_device(make_task("SSL4RL/Mixture-v0", source="photos"), "cpu")
    assert len({id(part.source) for part in mixture.tasks}) == 1
    assert isinstance(mixture.tasks[0].source, DeviceSource)


def test_a_source_on_a_device_is_pickled_without_its_pixels_there():
    task = on_device(make_task("SSL4RL/Rotation-v0", source="digits"), "cpu")
    again = pickle.loads(pickle.dumps(task))
    stream = Stream.span("test", 0, 0, 3)
    assert torch.equal(task.sample(stream).observation["image"], again.sample(stream).observation["image"])


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="cannot use the device 'nothing' here"):
        SSLTorchVectorEnv("SSL4RL/Rotation-v0", num_envs=2, device="nothing")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="cannot use the device 'cuda' here"):
            SSLTorchVectorEnv("SSL4RL/Rotation-v0", num_envs=2)
    with pytest.raises(ValueError, match="image_size are arguments of a task that is named"):
        SSLTorchVectorEnv(make_task("SSL4RL/Rotation-v0"), num_envs=2, device="cpu", image_size=64)
    envs = SSLTorchVectorEnv("SSL4RL/Rotation-v0", num_envs=2, device="cpu", source="digits", image_size=40)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="need 2 actions"):
        envs.step(torch.zeros(3, dtype=torch.int64))
