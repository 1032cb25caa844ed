"""What stands between a sampled reply and the next one: the end of the turn, what is said next, the next prompt for a reply.

Nobody says what that is; it is found in what the chat template makes of a conversation. A template that writes anything else
before it once a conversation goes on (that strips the thinking from earlier replies, say) cannot be followed: what was
sampled stays as it is, and so do the keys and values that were computed of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ssl4rl_agents.policies.answerable import ANSWERABLE
from ssl4rl_agents.policies.prompts import PROBE, PromptEncoder, VLMInputs
from ssl4rl_agents.policies.strips import without_first
from ssl4rl_agents.policies.support import UnsupportedModelError
from ssl4rl_agents.policies.templates import is_open, said_of
from ssl4rl_envs.answers import wrap

THOUGHT, SAID = "It lies.", "Up"
"""A reply that shows what a template makes of replies."""

Turn = tuple[str, int]
"""Words and a number of pictures."""

BREAK = "\n"
"""What stands between a reply and the next prompt where there is no chat template."""


class Between:
    """Encodes what is said after a reply, for one model.

    Args:
        encoder: of its prompts.
        style: how replies are asked for: "direct", "think" or "tool".
    """

    def __init__(self, encoder: PromptEncoder, style: str) -> None:
        self._encoder, self._style = encoder, style
        self._texts: dict[Turn, str] = {}
        self._checked: set[int] = set()

    def __call__(self, observations: dict[str, Any], device: torch.device) -> VLMInputs:
        """Encode what `PromptEncoder` takes as what follows a reply that was cut off: the end of its turn is written.

        Raises:
            UnsupportedModelError: see `text`.
        """
        tokenizer = self._encoder.processor.tokenizer
        end = tokenizer.eos_token
        lacking: list[bool] = []

        def form(prompt: str, pictures: int) -> str:
            text = self.text(prompt, pictures)
            lacking.append(not text.startswith(end))
            return end + text if lacking[-1] else text  # words are cut into tokens as they are behind a reply that has ended

        encoded = self._encoder.processed(observations, device, form)
        inputs = self._encoder.inputs(encoded, observations.get(ANSWERABLE))
        return without_first(inputs, torch.tensor(lacking, device=device))

    def text(self, prompt: str, pictures: int) -> str:
        """Return what stands between a reply and the next, where this prompt with so many pictures is asked.

        Raises:
            UnsupportedModelError: the model has no turns, or its chat template does not take up a conversation where it is.
        """
        key = (prompt, pictures)
        if key not in self._texts:
            if len(self._texts) > 10_000:
                self._texts.clear()
            self._texts[key] = self._found(prompt, pictures)
        return self._texts[key]

    def _found(self, prompt: str, pictures: int) -> str:
        encoder = self._encoder
        if encoder.prefix_lm:
            raise UnsupportedModelError(
                f"{encoder.name} reads all of a prompt in both directions, so what is said next would change what it made of "
                "earlier turns; it has no conversations. Use context 'turn'"
            )
        if not encoder.has_template:
            return BREAK + encoder.text(prompt, pictures)
        if pictures not in self._checked:
            self._check(pictures)
            self._checked.add(pictures)
        return behind_reply(self._render, [(PROBE, pictures)], (prompt, pictures), self._reply, encoder)

    def _check(self, pictures: int) -> None:
        """See that a turn is followed by the same wherever it stands.

        Raises:
            UnsupportedModelError: it is not.
        """
        one, two, three = (f"{PROBE} {word}" for word in ("One?", "Two?", "Three?"))
        second = behind_reply(self._render, [(one, pictures)], (three, pictures), self._reply, self._encoder)
        third = behind_reply(self._render, [(one, pictures), (two, pictures)], (three, pictures), self._reply, self._encoder)
        if second != third:
            raise UnsupportedModelError(
                f"the chat template of {self._encoder.name} writes {second!r} before a second question, {third!r} before a "
                "third; a conversation cannot be continued. Use context 'turn'"
            )

    @property
    def _reply(self) -> tuple[str, str]:
        """A whole reply, and what the model says of it."""
        whole = wrap(SAID, self._style, THOUGHT)
        said = said_of(whole, self._encoder.written, self._style)
        return (self._encoder.written + said if is_open(self._encoder.written) else said), said

    def _render(self, messages: Sequence[Turn | str]) -> str:
        """Write a conversation that asks for a reply: turns of the user, and replies as strings."""
        encoder = self._encoder
        chat = [
            encoder.message("assistant", message, 0) if isinstance(message, str) else encoder.message("user", *message)
            for message in messages
        ]
        try:
            return encoder.rendered(chat)
        except Exception as error:  # templates raise what they like
            raise UnsupportedModelError(
                f"the chat template of {encoder.name} refuses a conversation of several turns ({type(error).__name__}: "
                f"{error}). Use context 'turn'"
            ) from error


def behind_reply(
    render: Callable[[Sequence[Turn | str]], str],
    before: Sequence[Turn],
    following: Turn,
    reply: tuple[str, str],
    encoder: PromptEncoder,
) -> str:
    """Return what a template writes between a reply and the next.

    Args:
        render: writes a conversation that asks for a reply.
        before: what was asked before.
        following: what is asked next.
        reply: a whole reply, as it stands in a conversation, and what the model says of it.
        encoder: names the model, and knows what the template writes of replies.

    Raises:
        UnsupportedModelError: the template does not go on where the conversation is.
    """
    whole, said = reply
    messages: list[Turn | str] = [before[0]]
    for turn in before[1:]:
        messages += [whole, turn]
    asked, go_on = render(messages), render([*messages, whole, following])
    # An empty thinking block, which the model has not said, may be left out of earlier turns; here it stays.
    for head in (asked, asked.removesuffix(encoder.written)):
        start = head.rstrip()
        rest = go_on[len(start) :].lstrip()  # some models begin their replies with a space, which templates write themselves
        if go_on.startswith(start) and rest.startswith(said):
            return rest[len(said) :]
    raise UnsupportedModelError(
        f"the chat template of {encoder.name} rewrites earlier turns: it asks with {asked!r}, and once {said!r} was said to "
        f"that, it writes {go_on!r}. Tokens that were sampled are never written anew; use context 'turn', or a chat template "
        "that leaves earlier turns as they are"
    )
