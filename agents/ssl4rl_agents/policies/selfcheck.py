"""One check of every model before it is used: the policy's own passes say what the plain model says.

The policy runs prompts once for all their answers, places and masks tokens by itself, and computes the logits from the last
hidden states. A model with layers of another kind than it knows would run all the same, and mean something else. So a few
questions with pictures and answers of different lengths go through every pass of the policy, and through the model alone as
its authors wrote it, and the log-probabilities are compared token by token.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from ssl4rl_agents.policies.attention import windows_of
from ssl4rl_agents.policies.limits import position_limit
from ssl4rl_agents.policies.policy import token_statistics
from ssl4rl_agents.policies.prompts import VLMInputs
from ssl4rl_agents.policies.support import RUNS, UnsupportedModelError, explained

if TYPE_CHECKING:
    from ssl4rl_agents.policies.vlm import VLMPolicy

LOGGER = logging.getLogger("ssl4rl_agents")

ROUNDING = {torch.float32: 3e-5, torch.float16: 5e-3, torch.bfloat16: 3e-2}
"""How far log-probabilities may differ, by the precision of the weights, as a share of the range of the logits."""
ROUNDING_TF32 = 1e-3
"""The same for float32 on a GPU, whose convolutions round to TF32."""

WORDS = "The picture was turned by some degrees, so which way is up? Say left, right or neither; 0, 90, 180 and 270 count."
ANSWERS = (3, 5)
"""Lengths of the answers to each question."""
LONG, LONGEST = 32, 1024
"""Tokens of the longer question: usually, and at most, where the model speaks of a window."""
WINDOW = 12
"""What a window that the policy knows of is set to meanwhile, so that short questions are longer."""


@dataclass(frozen=True)
class Case:
    """Some questions with two answers each.

    Args:
        inputs: the questions.
        types: token types by name, (questions, length), as the processor gave them.
        tokens, mask: (2 * questions, T) the answers.
    """

    inputs: VLMInputs
    types: dict[str, Tensor]
    tokens: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Comparison:
    """What the policy says beside what the model says; log-probabilities (2 * questions, T), 0 outside the answers.

    Args:
        plain: of the model alone.
        by_way: of the policy's passes by name.
        tolerance: how far rounding may move them apart.
    """

    plain: Tensor
    by_way: dict[str, Tensor]
    tolerance: float

    @property
    def errors(self) -> dict[str, Tensor]:
        """How far each pass is off; what is not finite is infinitely far."""
        return {way: (said - self.plain).abs().nan_to_num(nan=torch.inf) for way, said in self.by_way.items()}

    @property
    def equal(self) -> bool:
        """Whether all differences are rounding."""
        return all(float(errors.max()) <= self.tolerance for errors in self.errors.values())


def check_model(policy: VLMPolicy) -> None:
    """Compare a policy with the model alone.

    Raises:
        UnsupportedModelError: they differ beyond rounding, or the model cannot be run at all; the message says by how much,
            at which token, which kind of layer is the likely reason, and which kinds the policy runs.
    """
    if not policy.decoder.takes_masks and policy.device.type == "cpu":
        return  # flash attention runs on GPUs alone, where `build_policy` has put the model before
    with torch.no_grad(), explained(policy.model), short_windows(policy):
        case = _case(policy, pictures=policy.encoder.sees)
        found = compare(policy, case)
        if not found.equal and not _head_is_known(policy, case):
            policy.leave_logits_alone()
            found = compare(policy, case)
        if not found.equal and policy.decoder.stay_dynamic():
            found = compare(policy, case)
            if found.equal:
                LOGGER.warning(
                    "%s says something else in a cache of fixed size (policy.cache static); its answers are sampled in one "
                    "that grows, which is slower",
                    type(policy.model).__name__,
                )
        if found.equal:
            _name_what_is_trusted(policy)
            return
        suspect = _suspect(policy, case, found)
    way, row, place = max(
        ((way, *divmod(int(errors.argmax()), errors.shape[1])) for way, errors in found.errors.items()),
        key=lambda worst: float(found.errors[worst[0]][worst[1], worst[2]]),
    )
    raise UnsupportedModelError(
        f"{type(policy.model).__name__} says something else when it is run by VLMPolicy: log-probabilities differ by up to "
        f"{float(found.errors[way][row, place]):.3g} nats (token {place + 1} of answer {row % 2 + 1} to question "
        f"{row // 2 + 1}, in {way}), where rounding explains {found.tolerance:.1g}. The likely reason is {suspect}. {RUNS}"
    )


def compare(policy: VLMPolicy, case: Case) -> Comparison:
    """Run a case through every pass of a policy and through its model alone."""

    def given(_: Tensor, position: int) -> Tensor:
        return case.tokens[:, position]

    said, reach = _plain(policy, case)
    by_way = {
        "sampling": policy.grow(case.inputs, len(ANSWERS), case.tokens.shape[1], given).logprobs,
        "scoring": policy.evaluate(case.inputs, case.tokens, case.mask).logprobs,
    }
    if policy.decoder.takes_masks:
        hidden = policy.decoder.in_rows(case.inputs, case.tokens[:, :-1], case.mask[:, :-1])[case.mask]
        logprobs, _ = token_statistics(policy.logits(hidden), case.tokens[case.mask])
        by_way["scoring in rows"] = torch.zeros_like(said).masked_scatter(case.mask, logprobs)
    return Comparison(said, by_way, rounding(policy) * max(reach, 1e-3))


def rounding(policy: VLMPolicy) -> float:
    """Return what rounding explains, as a share of the range of the logits; in quantised weights, as in bfloat16."""
    dtype = policy.model.dtype
    on_gpu = dtype == torch.float32 and policy.device.type != "cpu"
    return ROUNDING_TF32 if on_gpu else ROUNDING.get(dtype, ROUNDING[torch.bfloat16])


def _plain(policy: VLMPolicy, case: Case) -> tuple[Tensor, float]:
    """Return the log-probabilities that the model alone gives the answers, and the range of its logits."""
    said, reach = torch.zeros(case.tokens.shape, device=policy.device), 0.0
    for row, kept in enumerate(case.mask):
        answer = case.tokens[row][kept]
        logits = _plain_logits(policy, case, row // len(ANSWERS), answer)
        reach = max(reach, float(logits.amax(-1).sub(logits.amin(-1)).max()))
        said[row, : len(answer)] = token_statistics(policy.sayable(logits), answer)[0]
    return said, reach / policy.temperature


def _plain_logits(policy: VLMPolicy, case: Case, question: int, answer: Tensor) -> Tensor:
    """Return the model's float32 logits (T, vocabulary) for the tokens of an answer, which it places and masks itself."""
    kept = case.inputs.attention_mask[question].bool()
    ids = torch.cat([case.inputs.input_ids[question][kept], answer])[None]
    told = {name: values[question] for name, values in case.inputs.pictures.items()}
    for name, types in case.types.items():
        behind = torch.full_like(answer, policy.decoder.answer_type)
        told[name] = torch.cat([types[question][kept], behind])[None]
    given = policy.decoder.given(ids, told)
    logits = policy.model(**given, attention_mask=torch.ones_like(ids), use_cache=False).logits
    return cast(Tensor, logits[0, -len(answer) - 1 : -1].float())


def _case(policy: VLMPolicy, *, pictures: bool, long: bool = True) -> Case:
    """Return a short question, and a long one behind it, each with two answers.

    Args:
        policy: is asked.
        pictures: show with each what the policy sees beside words.
        long: ask the second question too.
    """
    limit = position_limit(policy.model.config)
    room = None if limit is None else limit - max(ANSWERS)
    short = _ask(policy, ["Up?"], pictures)
    frame = int(policy.encoder.inputs(short).positions.max()) + 1
    count = min(_reach(policy), LONGEST) if room is None else min(_reach(policy), LONGEST, room) - frame
    case = _ask(policy, ["Up?", _words(policy, count)], pictures) if long and count > 0 else short
    inputs = policy.encoder.inputs(case)
    types = {name: case[name] for name in ("token_type_ids", "mm_token_type_ids") if name in case}
    tokens, mask = made_answers(policy, len(inputs))
    return Case(inputs, types if policy.encoder.image_token_id is not None else {}, tokens, mask)


def _ask(policy: VLMPolicy, prompts: list[str], pictures: bool) -> Any:
    """Return what the processor makes of questions."""
    observations: dict[str, Any] = {"prompt": prompts}
    if pictures:
        observations |= policy.encoder.example(len(prompts))
    return policy.encoder.processed(observations, policy.device)


def _words(policy: VLMPolicy, count: int) -> str:
    """Return a text of about `count` tokens, no more."""
    words = WORDS.split() * (count // len(WORDS.split()) + 1)
    lengths = [len(policy.processor.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]) for word in words]
    within = int(np.searchsorted(np.cumsum(lengths), count, side="right"))
    return " ".join(words[: max(within, 1)])


def _reach(policy: VLMPolicy) -> int:
    """Return how long the longer question should be: longer than any window that the model speaks of."""
    if policy.decoder.one_mask:
        return LONG
    windows = spoken_windows(policy.model.config.get_text_config()).values()
    lengths = [window + max(LONG, window // 4) for window in windows]
    return max([LONG, *(length for length in lengths if length <= LONGEST)])


def _name_what_is_trusted(policy: VLMPolicy) -> None:
    """Warn of windows that are too long to be checked, `sliding_window` excepted, which `short_windows` shortens."""
    windows = spoken_windows(policy.model.config.get_text_config())
    far = [f"{name} {window}" for name, window in windows.items() if window > LONGEST and name != "sliding_window"]
    if far:
        LOGGER.warning(
            "%s speaks of %s, and its check reads up to %d tokens: longer prompts are taken on trust",
            type(policy.model).__name__,
            ", ".join(far),
            LONGEST,
        )


def spoken_windows(config: Any) -> dict[str, int]:
    """Return all numbers of a decoder's configuration that may be how far back some layer sees, by name."""
    words = ("window", "local", "chunk")
    settings = {name: value for name, value in config.to_dict().items() if any(word in name for word in words)}
    return {name: value for name, value in settings.items() if type(value) is int and value > 0}


def made_answers(policy: VLMPolicy, questions: int) -> tuple[Tensor, Tensor]:
    """Return two answers of different lengths to each question; the shorter one ends."""
    banned = {*policy.ends, *policy.unsaid, policy.pad_token_id}
    tokenizer = policy.processor.tokenizer
    usable = [*tokenizer(WORDS, add_special_tokens=False)["input_ids"], *range(len(tokenizer))]
    usable = [token for token in usable if token not in banned]
    short, long = ANSWERS
    first = [*usable[: short - 1], policy.ends[0]]
    tokens = torch.tensor([first + [policy.pad_token_id] * (long - short), usable[short : short + long]] * questions)
    mask = torch.arange(long) < torch.tensor(ANSWERS * questions)[:, None]
    return tokens.to(policy.device), mask.to(policy.device)


@contextmanager
def short_windows(policy: VLMPolicy) -> Iterator[None]:
    """Let layers with a window see less, in the model and in the policy, so that a short question shows which they are."""
    config, decoder = policy.model.config.get_text_config(), policy.decoder
    before, windows = getattr(config, "sliding_window", None), decoder.windows
    if before is None or before <= WINDOW or not decoder.takes_masks or decoder.one_mask:
        yield
        return
    config.sliding_window = WINDOW
    decoder.windows = windows_of(config, type(policy.model).__name__)
    try:
        yield
    finally:
        config.sliding_window, decoder.windows = before, windows


def _suspect(policy: VLMPolicy, case: Case, found: Comparison) -> str:
    """Return which kind of layer makes the difference, in words, found by asking less and less."""
    if not _head_is_known(policy, case):
        return (
            "what the model does between its last hidden state and its logits (another layer, a bias, a scale or a cap), of "
            "which VLMPolicy knows the language-model head, logit_scale, logits_scaling and final_logit_softcapping"
        )
    if case.inputs.pictures and compare(policy, _case(policy, pictures=False)).equal:
        return (
            "what the model makes of pictures (their features, their scale, their places, or layers that see them elsewhere)"
        )
    alone = compare(policy, _case(policy, pictures=bool(case.inputs.pictures), long=False))
    behind = not alone.equal and all(float(errors[:, 0].max()) <= alone.tolerance for errors in alone.errors.values())
    windows = spoken_windows(policy.model.config.get_text_config())
    if (behind and windows) or (alone.equal and float(_worst(found)[len(ANSWERS) :].max()) > found.tolerance):
        told = ", ".join(f"{name} {value}" for name, value in windows.items()) or "of which the configuration says nothing"
        return f"attention through a window ({told}) that VLMPolicy does not know"
    if alone.equal:
        return "positions: the model counts the padding on the left of a prompt"
    if behind:
        return "layers that carry something else than keys and values from token to token (recurrent states, convolutions)"
    return "attention that does not look back alone, or positions that the model makes itself"


def _worst(found: Comparison) -> Tensor:
    """Return how far the worst pass is off at each token, (answers, T)."""
    return torch.stack(list(found.errors.values())).amax(0)


def _head_is_known(policy: VLMPolicy, case: Case) -> bool:
    """Return whether the policy's head gives the model's logits for the model's own hidden states."""
    hidden: list[Tensor] = []
    hook = policy.decoder.base.register_forward_hook(lambda _, __, output: hidden.append(output.last_hidden_state))
    answer = case.tokens[1]
    try:
        logits = policy.sayable(_plain_logits(policy, case, 0, answer))
    finally:
        hook.remove()
    ours = policy.logits(hidden[0][0, -len(answer) - 1 : -1])
    possible = ours > ours.amin() if policy.unsaid else torch.ones_like(ours, dtype=torch.bool)
    scale = float(logits[possible].max() - logits[possible].min())
    return float((ours - logits)[possible].abs().max()) <= rounding(policy) * scale
