"""Load the processor of any model: what turns pictures and prompts into what the model takes.

Every model brings its own processor class, with its own way to expand a picture's placeholder. Many of these classes also
read videos, and do not construct where the libraries for that (torchvision, num2words) are missing. Here they do, without
the videos: the class's own code, image processor, tokenizer and chat template are used as they are. What is saved names the
original class and keeps its video settings, so that plain `AutoProcessor` reads it wherever those libraries exist.

Pictures are processed by Pillow, where a model has a processor for that: torchvision resizes them to slightly other bytes,
and what a model sees must not depend on whether it is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from os import PathLike
from types import FunctionType
from typing import Any

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoProcessor,
    BatchEncoding,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)
from transformers.image_processing_backends import TorchvisionBackend
from transformers.image_processing_base import ImageProcessingMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING, processor_class_from_name
from transformers.utils.import_utils import is_num2words_available, is_torchvision_available
from transformers.video_processing_utils import BaseVideoProcessor


def load_processor(name: str) -> Any:
    """Load the processor of a model folder or hub name.

    A tokenizer that has no padding token pads with its end-of-sequence token.

    Returns:
        What `AutoProcessor` gives, or its class without videos where the libraries for those are missing; a
        `TextProcessor` for a model that takes no pictures.

    Raises:
        OSError: there is none, or it cannot be constructed; the message names the model and says why.
    """
    try:
        processor = _load(name)
    except Exception as error:  # the code of every model's processor runs here, and each fails in its own way
        raise OSError(f"cannot load the processor of {name!r}: {type(error).__name__}: {error}") from error
    if isinstance(processor, PreTrainedTokenizerBase):
        processor = TextProcessor(processor)
    _take_pillow(processor, name)
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None:
        raise OSError(f"cannot load the processor of {name!r}: there is a {type(processor).__name__}, but no tokenizer")
    one, other = tokenizer(["a", "b"], add_special_tokens=False)["input_ids"]
    if one == other:  # transformers makes an empty tokenizer for some models where its files are missing
        raise OSError(f"cannot load the processor of {name!r}: its {type(tokenizer).__name__} has no vocabulary")
    if getattr(processor, "chat_template", None) is None and getattr(tokenizer, "chat_template", None):
        processor.chat_template = tokenizer.chat_template  # where older uploads keep it
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return processor


def _load(name: str) -> Any:
    try:
        return AutoProcessor.from_pretrained(name)
    except (ImportError, ValueError):
        if is_torchvision_available() and is_num2words_available():
            raise
        kind = _processor_class(name)
        if kind is None or not _takes_videos(kind):
            raise
    return without_videos(kind).from_pretrained(name)


def _take_pillow(processor: Any, name: str) -> None:
    """Give a processor the image processor that works with Pillow, if its own works with torchvision and there is another."""
    if isinstance(getattr(processor, "image_processor", None), TorchvisionBackend):
        other = AutoImageProcessor.from_pretrained(name, backend="pil")
        if not isinstance(other, TorchvisionBackend):
            processor.image_processor = other


def _processor_class(name: str) -> Any:
    """Return the class that the files of a processor name, or else its model's; None if there is none."""
    for read in (ProcessorMixin.get_processor_dict, ImageProcessingMixin.get_image_processor_dict):
        try:
            class_name = read(name)[0].get("processor_class")
        except OSError:  # this kind of file is missing
            continue
        if class_name is not None:
            return processor_class_from_name(class_name)
    return PROCESSOR_MAPPING.get(type(AutoConfig.from_pretrained(name)), None)


def _takes_videos(kind: type[ProcessorMixin]) -> bool:
    return "video_processor" in kind.get_attributes()


def without_videos(kind: type[ProcessorMixin]) -> Any:
    """Return a processor class that is `kind` in name, signature and code, but reads no videos and needs no library for it.

    Its `video_processor` is a dictionary: the settings to be saved for those who do read videos.
    """
    namespace: dict[str, Any] = {"__doc__": kind.__doc__, "__module__": kind.__module__}
    if getattr(sys.modules[kind.__module__], "num2words", True) is None:
        # Only the text beside a video's frames is written with it, but the constructor insists.
        init: Any = kind.__init__
        names = {**init.__globals__, "num2words": str}
        namespace["__init__"] = FunctionType(init.__code__, names, init.__name__, init.__defaults__, init.__closure__)
    return type(kind.__name__, (kind, _WithoutVideos), namespace)


class VideoSettings(dict[str, Any]):
    """What a video processor would be made of; settings that are not there are None."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name)

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Refuse."""
        raise ImportError("this processor was loaded without its video part, which needs torchvision and num2words")


class _WithoutVideos(ProcessorMixin):
    """Stands between a processor class and `ProcessorMixin`, and keeps the video processor from the latter."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        mixin: Any = super()
        parts = {**dict(zip(mixin.get_attributes(), args, strict=False)), **kwargs}
        self.video_processor = VideoSettings(parts.pop("video_processor", None) or {})
        mixin.__init__(**parts)

    @classmethod
    def get_attributes(cls) -> list[str]:
        """Return the names of the parts, the video processor excepted."""
        mixin: Any = super()
        return [name for name in mixin.get_attributes() if name != "video_processor"]

    @classmethod
    def _get_arguments_from_pretrained(
        cls, pretrained_model_name_or_path: Any, processor_dict: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Load the parts in the order of the class's constructor, the video processor as settings."""
        name = pretrained_model_name_or_path
        mixin: Any = super()
        parts = iter(mixin._get_arguments_from_pretrained(name, processor_dict, **kwargs))
        return [cls._video_settings(name) if part == "video_processor" else next(parts) for part in mixin.get_attributes()]

    @staticmethod
    def _video_settings(name: Any) -> dict[str, Any]:
        try:
            settings: dict[str, Any] = BaseVideoProcessor.get_video_processor_dict(name)[0]
        except OSError:  # none were saved: AutoProcessor takes the model's defaults then
            return {}
        return settings


class TextProcessor:
    """A tokenizer with a processor's interface, for models that take no pictures.

    Args:
        tokenizer: the model's.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    @property
    def chat_template(self) -> Any:
        """The tokenizer's chat template, or None."""
        return self.tokenizer.chat_template

    @chat_template.setter
    def chat_template(self, template: Any) -> None:
        self.tokenizer.chat_template = template

    def apply_chat_template(self, conversation: Sequence[Any], **kwargs: Any) -> Any:
        """Write a conversation, or several, in the model's chat format; as text unless `tokenize` is true.

        Contents may be strings, or lists of parts of type "text".

        Raises:
            ValueError: a part is not text.
        """
        several = bool(conversation) and not isinstance(conversation[0], dict)
        conversations = conversation if several else [conversation]
        plain = [[{**message, "content": _join(message["content"])} for message in messages] for messages in conversations]
        return self.tokenizer.apply_chat_template(plain if several else plain[0], **{"tokenize": False, **kwargs})

    def __call__(self, text: str | list[str], images: Sequence[Any] | None = None, **kwargs: Any) -> BatchEncoding:
        """Tokenize prompts.

        Args:
            text: one or several.
            images: None, or a list for each prompt, all of them empty.
            kwargs: the tokenizer's: return_tensors, padding, ...

        Raises:
            ValueError: there are pictures.
        """
        if images is not None and any(len(pictures) for pictures in images):
            raise ValueError("this model reads text alone and takes no pictures")
        encoded: BatchEncoding = self.tokenizer(text, **kwargs)
        return encoded

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write the tokenizer; `load_processor` and plain `AutoTokenizer` read it."""
        self.tokenizer.save_pretrained(folder)


def _join(content: str | Sequence[dict[str, Any]]) -> str:
    """Return a message's content as one string, as the chat templates of text models take it."""
    if isinstance(content, str):
        return content
    kinds = {part["type"] for part in content} - {"text"}
    if kinds:
        raise ValueError(f"this model reads text alone, not {', '.join(sorted(kinds))}")
    return "".join(part["text"] for part in content)
