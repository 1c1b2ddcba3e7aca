"""prompts.template = own against transformers' apply_chat_template, on templates written here in the styles of published ones.

The tool takes each apart; `rvsweep tokenize` puts messages into what it wrote, transformers renders the template itself.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from rvsweep.cli import chat_template
from mixed_lines import mixed_lines
from prompt_texts import write_pairs
from rvsweep_cli import read_results, sets, write_config
from test_tokenizer import differing, tokenize

ROOT = Path(__file__).resolve().parents[2]

CHATML_TURN = "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}"
CHATML_ANSWER = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
TEMPLATES = {
    "ChatML": "{% for message in messages %}" + CHATML_TURN + "{% endfor %}" + CHATML_ANSWER,
    "Qwen2.5, whose default is a system message": """\
{%- if tools %}{{- raise_exception('no tools here') }}{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are Q, made by A. You are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "tool" %}{{- '<tool_response>' + message.content }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "Llama 3": (
        "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + "
        "message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
        "{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "Llama 3.1, with dates": """\
{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Knowledge until December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "Gemma, which has no system message": (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Roles must alternate') }}{% endif %}{% if (message['role'] == 'assistant') %}"
        "{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
        "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
    ),
    "Mistral v3, whose system message goes to the last turn": """\
{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token }}
    {%- endif %}
{%- endfor %}
""",
    "Phi-3": (
        "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}"
        "{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
        "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
    ),
    "Zephyr, with line breaks of its own": """\
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "DeepSeek, whose answers lose their thoughts": (
        "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
        "{% set ns = namespace(system_prompt='') %}{% for message in messages %}{% if message['role'] == 'system' %}"
        "{% set ns.system_prompt = message['content'] %}{% endif %}{% endfor %}{{bos_token}}{{ns.system_prompt}}"
        "{% for message in messages %}{% if message['role'] == 'user' %}{{'<|User|>' + message['content']}}{% endif %}"
        "{% if message['role'] == 'assistant' %}{% set content = message['content'] %}{% if '</think>' in content %}"
        "{% set content = content.split('</think>')[-1] %}{% endif %}{{'<|Assistant|>' + content + eos_token}}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}{{'<|Assistant|><think>\n'}}{% endif %}"
    ),
    "OLMo-2, with generation marks": (
        "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\n' + "
        "message['content'] + '\n' }}{% elif message['role'] == 'user' %}{{ '<|user|>\n' + message['content'] + '\n' }}"
        "{% elif message['role'] == 'assistant' %}{% generation %}{{ '<|assistant|>\n'  + message['content'] + eos_token + '\n' }}"
        "{% endgeneration %}{% endif %}{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}{% endfor %}"
    ),
    "Llama 2, whose system message is in the first turn": (
        "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
        "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
        "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
        "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' "
        "+ message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
        "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
        "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
    ),
    "Command, by a macro and a loop control": (
        "{%- macro turn(role, text) -%}<|START|><|{{ role }}|>{{ text }}<|END|>{%- endmacro -%}{{ bos_token }}"
        "{%- for message in messages -%}{%- if message.content is none -%}{%- continue -%}{%- endif -%}"
        "{{ turn(message.role | upper, message.content | trim) }}{%- endfor -%}<|START|><|CHATBOT|>"
    ),
}
# What the template does not let one write by fixed texts.
NOT_PROVED = {
    "Gemma, which has no system message": {"system"},
    "Mistral v3, whose system message goes to the last turn": {"answer_after_system"},
    "DeepSeek, whose answers lose their thoughts": {"answer"},
    "Llama 2, whose system message is in the first turn": {"system"},
}
FROZEN = date(2031, 2, 3)


def make_folder(folder: Path, demo_model: Path, jinja: str) -> Path:
    """The demo model's tokenizer, which writes BOS in front of texts here, under another template."""
    folder.mkdir()
    content = json.loads((demo_model / "tokenizer.json").read_text(encoding="utf-8"))
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}},
    }
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    config = {"bos_token": "<|im_start|>", "eos_token": {"__type": "AddedToken", "content": "<|im_end|>", "special": True}, "chat_template": jinja}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def made_own(folder: Path, *options: str) -> dict:
    assert chat_template.main([str(folder), *options]) == 0
    return json.loads((folder / "rvsweep_chat_template.json").read_text(encoding="utf-8"))


@pytest.fixture
def frozen_date(monkeypatch):
    class Frozen(chat_template_utils.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(FROZEN.year, FROZEN.month, FROZEN.day)

    monkeypatch.setattr(chat_template_utils, "datetime", Frozen)


def reference_of(folder: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(folder)


def applied(reference: PreTrainedTokenizerFast, messages: list[dict]) -> list[int]:
    return reference.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)


PROMPTS = [" a prompt\u3000\n", "x\x1f", *filter(None, mixed_lines(seed=26, count=150, special=["<|im_end|>", "<think>"]))]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_prompt_has_the_tokens_of_its_models_template(rvsweep, demo_model, tmp_path, name, frozen_date, parity_notes):
    folder = make_folder(tmp_path / "model", demo_model, TEMPLATES[name])
    reference = reference_of(folder)
    own = made_own(folder, "--date", FROZEN.isoformat())
    assert set(own["not_proved"]) == NOT_PROVED.get(name, set())
    assert (own["date"] == FROZEN.isoformat()) == ("strftime_now" in TEMPLATES[name])
    wanted = [applied(reference, [{"role": "user", "content": prompt}]) for prompt in PROMPTS]
    wrong = differing(PROMPTS, tokenize(rvsweep, folder, PROMPTS, "--json", "--template", "own"), wanted)
    if own["system"]:
        system = {"role": "system", "content": " Answer in verse.\n"}
        own_system = made_own(folder, "--date", FROZEN.isoformat(), "--system", system["content"])
        assert own_system["system_message"] == system["content"]
        shutil.copy(folder / "rvsweep_chat_template.json", tmp_path / "verse.json")
        wanted = [applied(reference, [system, {"role": "user", "content": prompt}]) for prompt in PROMPTS]
        verse = tokenize(rvsweep, folder, PROMPTS, "--json", "--template", str(tmp_path / "verse.json"))
        wrong += differing(PROMPTS, verse, wanted)
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:5])
    parity_notes.append(f"own template, {name}: {len(PROMPTS)} prompts give the same ids")


# ---- In a sweep

JINJA = (
    "{{ bos_token }}{% for message in messages %}{{ '(' + message['role'] + ')' + message['content'] | trim + '<|end|>' }}"
    "{% endfor %}{{ '(assistant)' }}"
)


@pytest.fixture(scope="module")
def chat_model(tiny_model, tmp_path_factory) -> Path:
    """The tiny llama, which puts BOS in front of texts itself, with a template that writes BOS too."""
    folder = tmp_path_factory.mktemp("chat") / "model"
    shutil.copytree(tiny_model("llama"), folder)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "eos_token": "<|stop|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": JINJA}))
    return folder


def exchange(user: str, answer: str) -> list[dict]:
    return [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]


PAIRS = [
    {"pair": "plain", "source": "where does the river end", "base": " the oldest house in the village "},
    {
        "pair": "both",
        "source": "and what then",
        "base": "and where then",
        "system": "answer in one word",
        "turns": exchange(" what was first ", "the sea\n"),
    },
    {
        "pair": "sides",
        "source": "and what then",
        "base": "and where then",
        "system": {"base": "be brief"},
        "turns": {"source": exchange("a", "b") + exchange("c", "d"), "base": exchange("e", "f")},
    },
]


def conversation(pair: dict, side: str) -> list[dict]:
    """As a caller of apply_chat_template would write it."""
    part = {key: pair.get(key) for key in ("system", "turns")}
    part = {key: value.get(side) if isinstance(value, dict) else value for key, value in part.items()}
    system = [{"role": "system", "content": part["system"]}] if part["system"] else []
    return [*system, *(part["turns"] or []), {"role": "user", "content": pair[side]}]


def sweep_command(rvsweep: Path, folder: Path, model: Path, action: str, *settings: str) -> list[str]:
    pairs = write_pairs(folder / "pairs.jsonl", PAIRS)
    config = write_config(folder / "study.cfg", model, pairs, ["base", "kv_cache layers=1:3 positions=words:then"], 1, 3, 3, 4)
    out = ["--out", str(folder / "out")] if action == "run" else []
    more = sets(["prompts.template=own", "model.window_end=user_end", "run.threads=1", *settings])
    return [str(rvsweep), action, "--config", str(config), "--device", "cpu", "--dtype", "float32", *out, *more]


def outcome(command: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_earlier_turns_and_system_messages_are_the_conversation(rvsweep, chat_model, tmp_path):
    made_own(chat_model)
    result = outcome(sweep_command(rvsweep, tmp_path, chat_model, "run"))
    assert result.returncode == 0, result.stderr
    results, reference = read_results(tmp_path / "out" / "results.h5"), reference_of(chat_model)
    begin = reference.convert_tokens_to_ids("<|begin|>")
    for pair in PAIRS:
        for side in ("source", "base"):
            place = results.prompt(pair["pair"], side)
            messages = conversation(pair, side)
            tokens = results.prompts["tokens"][place].tolist()
            assert tokens == applied(reference, messages), f"{pair['pair']}, {side}"
            assert tokens.count(begin) == 1
            assert results.prompts["text"][place] == pair[side]
            opening = reference.apply_chat_template(messages, tokenize=False).partition(pair[side].strip())[0]
            assert results.prompts["opening"][place] == (opening if len(messages) > 1 else "")
        # The word is a cell of the user's last message, found behind whatever precedes it.
        row = results.row(pair["pair"], 1)
        expected = "refused" if pair["pair"] == "plain" else "ok"
        assert results.rows["status"][row] == expected, results.rows["reason"][row]
    again = outcome(sweep_command(rvsweep, tmp_path, chat_model, "run"))
    assert again.returncode == 0, again.stderr


def test_a_template_that_writes_something_else_is_another_sweep(rvsweep, chat_model, tmp_path):
    made_own(chat_model)
    assert outcome(sweep_command(rvsweep, tmp_path, chat_model, "run")).returncode == 0
    moved = tmp_path / "moved.json"
    shutil.copy(chat_model / "rvsweep_chat_template.json", moved)
    assert outcome(sweep_command(rvsweep, tmp_path, chat_model, "run", f"prompts.template={moved}")).returncode == 0
    moved.write_text(moved.read_text().replace("(assistant)", "(bot)"))
    other = outcome(sweep_command(rvsweep, tmp_path, chat_model, "run", f"prompts.template={moved}"))
    assert other.returncode == 2 and "chat_template_fingerprint was" in other.stderr


def test_without_its_file_the_one_command_is_told_and_does(rvsweep, chat_model, tmp_path):
    (chat_model / "rvsweep_chat_template.json").unlink(missing_ok=True)
    refused = outcome(sweep_command(rvsweep, tmp_path, chat_model, "plan"))
    command = f".venv/bin/python analysis/chat_template.py {chat_model}"
    assert refused.returncode == 2 and command in refused.stderr
    assert subprocess.run([sys.executable, *command.split()[1:]], cwd=ROOT, capture_output=True).returncode == 0
    planned = outcome(sweep_command(rvsweep, tmp_path, chat_model, "plan"))
    assert planned.returncode == 0, planned.stderr


def test_a_named_template_that_is_not_the_models_is_told_with_both_lengths(rvsweep, demo_model, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for file in demo_model.iterdir():
        if file.name != "rvsweep_chat_template.json":
            (model / file.name).symlink_to(file)
    own = made_own(model)
    pairs = write_pairs(tmp_path / "pairs.jsonl", PAIRS[:1])
    config = write_config(tmp_path / "study.cfg", model, pairs, ["base"], 1, 3, 3, 4)
    plan = [str(rvsweep), "plan", "--config", str(config), "--device", "cpu"]
    around = reference_of(demo_model).encode(own["user"]["before"] + "a" + own["user"]["after"], add_special_tokens=False)
    told = outcome([*plan, "--set", "prompts.template=chatml"]).stderr
    assert "chatml is not the model's own chat template" in told
    assert f"the model's own {len(around) - 1};" in told
    assert "not the model's own" not in outcome([*plan, "--set", "prompts.template=smollm2"]).stderr


@pytest.mark.parametrize(
    "jinja, message",
    [
        ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", "it is written 2 times"),
        ("{% for m in messages %}{{ m.content | replace('<s>', '') }}{% endfor %}", "'<s>x</s>' is not kept"),
        ("{% for m in messages %}{{ m.content", "is not valid Jinja"),
        ("{{ raise_exception('no') }}", "refuses a conversation: no"),
        ("{{ messages.__class__.__mro__ }}", "refuses a conversation"),
        (None, "has no chat template"),
    ],
)
def test_what_is_not_fixed_texts_is_refused(tmp_path, capsys, jinja, message):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": jinja} if jinja else {}))
    assert chat_template.main([str(tmp_path)]) == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "rvsweep_chat_template.json").exists()
