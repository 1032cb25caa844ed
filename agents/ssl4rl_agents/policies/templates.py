r"""Chat templates: the arguments that they take, and what they write of the reply.

Templates of models that think (Qwen3-Thinking, DeepSeek-R1) end the prompt inside of the reply, with "<think>\n": what the
model says begins in the middle of its thinking. Others close an empty block there, "<think>\n\n</think>\n\n", when they are
told `enable_thinking=False`. Either way the model has not said it and goes on as if it had; so it is part of the reply that
is scored, and no part of what is sampled or taught.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

OURS = ("messages", "add_generation_prompt", "tokenize", "conversation", "chat_template")
"""What templates are given by us."""

_OPEN = re.compile(r"<think>\s*\Z")
_EMPTY = re.compile(r"<think>\s*</think>\s*\Z")
_THINKING = re.compile(r"\A\s*<think>\s*")
_NO_THOUGHT = re.compile(r"\A\s*<think>\s*</think>\s*")
_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")


def template_text(template: Any) -> str | None:
    """Return the text of a chat template; of several by name, that of the default one. None where there is none."""
    if isinstance(template, Mapping):
        template = template.get("default")
    return template or None


def check_arguments(template: Any, arguments: Mapping[str, Any], name: str) -> None:
    """Check that a chat template uses all of its arguments.

    Args:
        template: of the processor.
        arguments: by name.
        name: of the model, for the message.

    Raises:
        ValueError: there is no template, or it never looks at one of the arguments, or an argument is not the user's to set.
    """
    text = template_text(template)
    if arguments and text is None:
        raise ValueError(f"{name} has no chat template, so policy.template_arguments {sorted(arguments)} would do nothing")
    ours = sorted(set(arguments) & set(OURS))
    if ours:
        raise ValueError(f"policy.template_arguments cannot set {', '.join(ours)}: the policy does")
    known = variables(text) if arguments and text else set()
    unused = sorted(set(arguments) - known)
    if unused:
        takes = ", ".join(sorted(known - set(OURS))) or "none"
        raise ValueError(
            f"the chat template of {name} never uses {', '.join(unused)}; the arguments that it looks at: {takes}"
        )


def variables(template: str) -> set[str]:
    """Return the names that a chat template looks up from outside.

    Raises:
        ValueError: the template cannot be read.
    """
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    environment.globals |= dict.fromkeys(("raise_exception", "strftime_now", "namespace", "dict"), None)
    try:
        found = find_undeclared_variables(environment.parse(_GENERATION.sub("", template)))
    except TemplateError as error:
        raise ValueError(f"the chat template cannot be read: {error}") from error
    return found - set(environment.globals)


def written_reply(rendered: str, prompt: str) -> str:
    """Return what a chat template has written of the reply: an opened thinking block, an empty one, or nothing.

    Args:
        rendered: a conversation that asks for a reply, as the template writes it.
        prompt: what was asked, which ends in no tag of its own.
    """
    behind = rendered.rpartition(prompt.strip())[2]
    match = _EMPTY.search(behind) or _OPEN.search(behind)
    return match[0] if match else ""


def is_open(written: str) -> bool:
    """Return whether what the template wrote leaves the reply in the middle of its thinking."""
    return bool(_OPEN.search(written))


def whole_reply(written: str, said: str, style: str) -> str:
    """Join what the template wrote of a reply with what the model said.

    An opened thinking block always counts. An empty one counts as the thinking of a reply in the style "think" that has none
    of its own; the style "direct" asks for none, and there it is nothing.
    """
    if is_open(written) or (style == "think" and not _THINKING.match(said)):
        return written + said
    return said


def said_of(reply: str, written: str, style: str) -> str:
    """Return what the model is to say of a whole reply after what the template wrote: `whole_reply` joins them again."""
    if is_open(written):
        # a reply without thinking ends the block that it finds open
        return _THINKING.sub("", reply) if _THINKING.match(reply) else f"</think>\n\n{reply}"
    return _NO_THOUGHT.sub("", reply) if written and style == "think" else reply


def check_style(written: str, style: str, grammar: str, name: str) -> None:
    """Refuse to ask for replies that cannot be read, whatever the model says.

    Raises:
        ValueError: the template opens a thinking block, and replies are to be direct and are read strictly.
    """
    if is_open(written) and style == "direct" and grammar == "strict":
        raise ValueError(
            f"the chat template of {name} begins every reply with <think>, and in prompt_style 'direct' a reply that thinks "
            "is no answer, so nothing could score; use prompt_style 'think', turn thinking off (policy.template_arguments, "
            "e.g. enable_thinking False, where the template takes it), or grammar 'lenient'"
        )
