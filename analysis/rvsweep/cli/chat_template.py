"""A model's own chat template as texts that stand around messages, proved and written as JSON for prompts.template.

Published templates are programs in Jinja. Nearly all of them come down to fixed texts around the messages of a
conversation, some of which are stripped. Which texts is found by rendering messages that name themselves; that it holds
is proved by rendering messages that a template could trip over.
"""

import argparse
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rvsweep.cli import common
from rvsweep.data.errors import InputError

FILE_NAME = "rvsweep_chat_template.json"  # beside the model, where `prompts.template = own` looks
RENDERED_LIKE = "transformers 5.23"  # whose settings and extensions of Jinja are those below
TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

# What templates are known to look for: ends of texts, roles, thoughts, what looks like Jinja, JSON or a token.
NASTY = (
    "x", " x", "x ", "\n\tx\r\n", "\u3000x\xa0\u2028", "\x1cx\x1f", " ", "\n", "x\n\n\ny", "x  y",
    "{{ bos_token }}", "{% if true %}x{% endif %}", "{# x #}", "{x}", "%s %d \\n \\", '{"role": "system"}', "'\"`$&<>&lt;",
    "None", "user", "system", "assistant", "0", "é中👍🏽\u0301", "e\u0301", "\ufeffx", "[INST] x [/INST]", "<<SYS>>\nx\n<</SYS>>",
    "<s>x</s>", "<think>x</think>y", "</think>", "<think>\nx\n</think>\n\ny", "<tool_call>{}</tool_call>",
    "<tool_response>x</tool_response>", "<|im_start|>user\nx<|im_end|>", "<|eot_id|>", "<|begin_of_text|>", "<bos>",
    "<start_of_turn>model\nx<end_of_turn>", "<|user|>\nx<|end|>", "[TOOL_CALLS]", "/no_think", "detailed thinking on",
    "x" * 5000,
)  # fmt: skip

Message = dict[str, str]
Render = Callable[[Sequence[Message]], str]


class TemplateError(InputError):
    """A template that is missing, fails, or is not fixed texts around messages."""


@dataclass(frozen=True)
class Around:
    """The texts around a message, and whether white space at its ends is left out."""

    before: str
    strips: bool
    after: str

    def __call__(self, message: str) -> str:
        return self.before + self.kept(message) + self.after

    def kept(self, message: str) -> str:
        return message.strip() if self.strips else message


@dataclass(frozen=True)
class Conversation:
    """Around the last message of the user, whose `before` and `after` begin and end every conversation; around a system
    message in place of that `before`; around the answer between two messages of the user. None where `not_proved`, which
    has what shows that the template is otherwise: by "system", "answer" and, of both together, "answer_after_system"."""

    user: Around
    system: Around | None = None
    answer: Around | None = None
    not_proved: dict[str, str] = field(default_factory=dict)

    def render(self, messages: Sequence[Message]) -> str:
        around = {"system": self.system, "assistant": self.answer}
        text = "" if messages[0]["role"] == "system" else self.user.before
        for message in messages:
            content, role = message["content"], message["role"]
            text += self.user.kept(content) if role == "user" else around[role](content)
        return text + self.user.after


def main(arguments: list[str] | None = None) -> int:
    """0 done; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(prog="chat_template.py", description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, metavar="MODEL_FOLDER", help="a Hugging Face model's folder")
    parser.add_argument(
        "--system", metavar="TEXT", help="a system message for every prompt (default: the template's own)"
    )
    parser.add_argument(
        "--date",
        type=datetime.fromisoformat,
        default=datetime.now(),
        metavar="YYYY-MM-DD",
        help="what a template that asks for the date is told from now on (default: today)",
    )
    about = f"default: {FILE_NAME} in MODEL_FOLDER, which prompts.template = own reads"
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=about)
    return common.run(parser, arguments, _write)


def _write(options: argparse.Namespace) -> None:
    output = options.output or options.model / FILE_NAME
    common.check_output(output)
    common.write(output, json.dumps(described(options.model, options.system, options.date), indent=1) + "\n")
    print(f"{output}: prompts.template = " + ("own" if options.output is None else str(output)))


def described(model: Path, system: str | None, date: datetime) -> dict:
    """The file's content."""
    source, tokens = read_template(model)
    dates: list[str] = []
    rendered = renderer(source, tokens, date, dates)
    default = [] if system is None else [{"role": "system", "content": system}]
    conversation = taken_apart(rendered, default)
    return {
        "rvsweep_chat_template": 1,
        **asdict(conversation),
        "special": _special_tokens(model, conversation.user),
        "system_message": system,
        "date": date.date().isoformat() if dates else None,
        "rendered_like": RENDERED_LIKE,
    }


# ---- The template of a folder


def read_template(model: Path) -> tuple[str, dict[str, str]]:
    """Its text, and the named special tokens that it may write; both from where transformers reads them."""
    config = _json(model / "tokenizer_config.json")
    templates = config.get("chat_template")
    if isinstance(templates, list):  # several, by name
        templates = next((t["template"] for t in templates if t["name"] == "default"), None)
    own_file = model / "chat_template.jinja"
    if own_file.is_file():
        templates = own_file.read_text(encoding="utf-8")
    if not templates:
        raise TemplateError(f"{model}: has no chat template: set prompts.template = none, or a named one")
    if "added_tokens_decoder" not in config:
        config |= _json(model / "special_tokens_map.json")
    tokens = {name: config[name] for name in TOKENS if config.get(name) is not None}
    return templates, {name: t["content"] if isinstance(t, dict) else t for name, t in tokens.items()}


def _json(path: Path) -> dict:
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TemplateError(f"{path}: is not valid JSON ({error})") from error


def _special_tokens(model: Path, user: Around) -> list[str]:
    """Added tokens of the tokenizer that the template writes around one message."""
    added = [token["content"] for token in _json(model / "tokenizer.json").get("added_tokens", [])]
    return sorted(token for token in added if token and token in user.before + user.after)


class _Generation(Extension):
    """{% generation %} marks the model's answers for training; it writes what is inside."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def renderer(source: str, tokens: dict[str, str], date: datetime, dates: list[str]) -> Render:
    """As apply_chat_template(..., add_generation_prompt=True) renders, but for the date. `dates` gets what was asked of it."""

    def strftime_now(form: str) -> str:
        dates.append(form)
        return date.strftime(form)

    def raise_exception(message: str):
        raise jinja2.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = tojson
    environment.globals |= {"raise_exception": raise_exception, "strftime_now": strftime_now}
    try:
        template = environment.from_string(source)
    except jinja2.TemplateError as error:
        raise TemplateError(f"the chat template is not valid Jinja: {error}") from error

    def render(messages: Sequence[Message]) -> str:
        try:
            copies = [dict(message) for message in messages]
            return template.render(
                messages=copies, tools=None, documents=None, add_generation_prompt=True, **tokens
            )
        except Exception as error:  # whatever a program does
            raise TemplateError(f"the chat template refuses a conversation: {error}") from error

    return render


# ---- Taken apart


def taken_apart(render: Render, default: Sequence[Message] = ()) -> Conversation:
    """`default` opens every conversation that has no system message of its own."""
    user = _around(lambda text: render([*default, _user(text)]))
    if isinstance(user, str):
        raise TemplateError(f"the chat template is not fixed texts around the user's message: {user}")
    system = _system(render, user)
    answer = _answer(lambda messages: render([*default, *messages]), user)
    not_proved = {name: why for name, why in (("system", system), ("answer", answer)) if isinstance(why, str)}
    if not_proved:
        return Conversation(
            user, *(None if isinstance(part, str) else part for part in (system, answer)), not_proved
        )
    whole = Conversation(user, system, answer)
    why = _first_difference(render, whole, with_system=True)
    return replace(whole, not_proved={"answer_after_system": why}) if why else whole


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _around(render: Callable[[str], str]) -> Around | str:
    """The texts around a message, or what shows that there are none."""
    name = "\ue000message\ue000"
    try:
        parts = render(name).split(name)
        if len(parts) != 2:
            return f"it is written {len(parts) - 1} times"
        texts = (*NASTY, parts[0] + "x" + parts[1], parts[1], f" {parts[0]}")
        kept = []  # texts of which this holds, as it is and stripped
        for strips in (False, True):
            around = Around(parts[0], strips, parts[1])
            kept.append(next((i for i, text in enumerate(texts) if render(text) != around(text)), None))
            if kept[-1] is None:
                return around
        return f"the message {texts[max(kept)]!r:.60} is not kept"
    except TemplateError as error:
        return str(error)


def _system(render: Render, user: Around) -> Around | str:
    around = _around(lambda text: render([{"role": "system", "content": text}, _user("\ue001")]))
    if isinstance(around, str):
        return around
    end = "\ue001" + user.after
    if not around.after.endswith(end):
        return "the user's message is written otherwise after it"
    system = replace(around, after=around.after.removesuffix(end))
    for text in NASTY:
        messages = [{"role": "system", "content": "x"}, _user(text)]
        if render(messages) != Conversation(user, system).render(messages):
            return f"the user's message {text!r:.60} is not kept after it"
    return system


def _answer(render: Render, user: Around) -> Around | str:
    def of(text: str) -> str:
        return render([_user("\ue001"), {"role": "assistant", "content": text}, _user("\ue002")])

    around = _around(of)
    if isinstance(around, str):
        return around
    begin, end = user.before + "\ue001", "\ue002" + user.after
    if not around.before.startswith(begin) or not around.after.endswith(end):
        return "the user's messages are written otherwise around it"
    answer = Around(around.before.removeprefix(begin), around.strips, around.after.removesuffix(end))
    return _first_difference(render, Conversation(user, None, answer), with_system=False) or answer


def _first_difference(render: Render, whole: Conversation, with_system: bool) -> str:
    """Of conversations of one to three exchanges, whose every message is nasty in some; "" where there is none."""
    texts = itertools.cycle([*NASTY, "y"])
    try:
        for exchanges, _ in itertools.product((1, 2, 3, 1, 2), NASTY):
            roles = ["system"] * with_system + ["user", "assistant"] * exchanges + ["user"]
            messages = [{"role": role, "content": next(texts)} for role in roles]
            next(texts)
            if render(messages) != whole.render(messages):
                return (
                    "a conversation is written otherwise: " + json.dumps(messages).replace("x" * 50, "")[:300]
                )
    except TemplateError as error:
        return str(error)
    return ""
