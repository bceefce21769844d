"""What transformers makes of chats and of scores.

    generate.py OUT    makes OUT/chats.json: templates, messages, and the prompts (or the refusals) they come to;
                       and OUT/picks.json: scores, settings, and the chances of tokens.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.utils.chat_template_utils import render_jinja_template

SPECIAL = dict(bos_token="<s>", eos_token="</s>")

# The constructs that the templates of well-known families stand on, in templates of our own.
TEMPLATES = {
    # Marks around each message, and calls of tools as JSON.
    "marks": """
{%- set first = messages[0] %}
{%- if first['role'] != 'system' %}{{- '<<system>>You help.<</>>\\n' }}{%- endif %}
{%- for m in messages %}
    {%- if m.role == "tool" %}
        {%- if loop.index0 == 0 or messages[loop.index0 - 1].role != "tool" %}{{- '<<answers>>' }}{%- endif %}
        {{- '\\n' ~ m.content }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<</>>\\n' }}{%- endif %}
    {%- else %}
        {{- '<<' + m.role + '>>' }}
        {%- if m.content %}{{- m.content }}{%- endif %}
        {%- for call in m.tool_calls %}
            {%- if call.function is defined %}{%- set call = call.function %}{%- endif %}
            {{- '\\n{"' ~ call.name ~ '": ' }}{{- call.arguments | tojson }}{{- '}' }}
        {%- endfor %}
        {{- '<</>>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<<assistant>>' }}{%- endif %}
""",
    # Thoughts are kept only after the last question, which is looked for from the end.
    "thoughts": """
{%- set found = namespace(at=-1) %}
{%- for m in messages[::-1] %}
    {%- if found.at < 0 and m.role == "user" and m.content is string and not (m.content.startswith('[') and m.content.endswith(']')) %}
        {%- set found.at = messages|length - 1 - loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- set text = m.content if m.content is string else '' %}
    {%- if '</think>' in text %}
        {%- set thought = text.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- set text = text.split('</think>')[-1].lstrip('\\n') %}
        {%- if loop.index0 > found.at %}{%- set text = '(' + thought.strip() + ') ' + text %}{%- endif %}
    {%- endif %}
    {{- m.role[0] ~ ': ' ~ text ~ '\\n' }}
{%- endfor %}
{{- 'a:' if add_generation_prompt }}{%- if enable_thinking is defined and enable_thinking is false %}{{- ' ()' }}{%- endif %}
""",
    # The first message is taken apart from the others; what is not supported is refused.
    "headers": """{{- bos_token }}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set head = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set head = "" %}
{%- endif %}
{{- "# system\\n" ~ head }}{%- if tools is not none %}{{- " with tools" }}{%- endif %}
{%- for m in messages %}
    {%- if 'tool_calls' in m %}
        {%- if not m.tool_calls|length == 1 %}{{- raise_exception("one call at a time") }}{%- endif %}
        {%- for name, value in m.tool_calls[0].function.arguments | items %}
            {{- name + '=' ~ value | tojson }}{%- if not loop.last %}{{- ", " }}{%- endif %}
        {%- endfor %}
    {%- elif m.role in ['tool', 'ipython'] %}
        {%- if m.content is mapping or m.content is iterable %}{{- m.content | tojson }}{%- else %}{{- m.content }}{%- endif %}
    {%- else %}
        {{- '\\n# ' + m['role'] + '\\n' + m['content'] | trim }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '\\n# assistant\\n' }}{%- endif %}
""",
    # All on one line, and roles have to take turns.
    "turns": "{{ bos_token }}{% set own = messages | rejectattr('role', 'equalto', 'system') | list %}"
             "{% for m in own %}{% if (loop.index0 % 2 == 1) != (m['role'] == 'assistant') %}"
             "{{ raise_exception('it is not the turn of ' + m['role']) }}{% endif %}"
             "{{ '[' ~ m['content'].strip() ~ ']' if m['role'] == 'user' else ' ' + m['content'].strip() + eos_token }}"
             "{% endfor %}",
    "blocks": """{% for message in messages %}
  {% if loop.first and message.role != 'system' %}
preamble {{ message | tojson }}
  {% endif %}
  {%- macro shown(text, mark='*') %}{{ mark }}{{ text }}{{ mark }}{% endmacro %}
{{ shown(message.role | upper, mark="_") }}: {{ message.get('name', 'nobody') }} {{ message.content | default('nothing', true) }}
  {% if message.content is string and message.content | length > 20 %}{% continue %}{% endif %}
{% generation %}{{ message | tojson(indent=2) }}{% endgeneration %}

  {# a remark #}
{{ [1, 2, 3] | join(', ') }} {{ loop.index }}/{{ loop.length }} {{ true }} {{ none }} {{ 3 > 2 }} {{ 'a' if loop.last else 'b' }}
{{ message.keys() | list | join('+') }} {{ message.items() | list | length }} {{ (message.content | string).replace('a', 'A').lower() }}
{% endfor %}
""",
}

CALL = {"type": "function", "function": {"name": "find", "arguments": {"what": "größe <&> '\"", "n": 3, "deep": {"a": [1, 2.5, None, True]}}}}
CHATS = {
    "one": [{"role": "user", "content": "Hi there"}],
    "system": [{"role": "system", "content": " Be brief.\n"}, {"role": "user", "content": "  größer? 東京 🙂 <b>&amp;'\"  "}],
    "long": [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "<think>\n\nhm\n</think>\n\nsecond"},
        {"role": "user", "content": "third, which is a good deal longer than twenty"},
        {"role": "assistant", "content": "<think>\nso\n</think>\n\nfourth"},
    ],
    "tools": [
        {"role": "user", "content": "find it"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": '{"found": 1}'},
        {"role": "tool", "content": "second", "name": "find"},
    ],
    "twice": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [CALL, CALL]}],
    "unordered": [{"content": "z first", "role": "user", "b": 1, "a": {"y": 1, "x": [{}, []]}}],
}


def chats() -> list[dict]:
    made = []
    for template_name, template in TEMPLATES.items():
        for chat_name, messages in CHATS.items():
            case = dict(name=f"{template_name}/{chat_name}", template=template, messages=messages)
            try:
                rendered, _ = render_jinja_template(
                    conversations=[messages], chat_template=template, add_generation_prompt=True, **SPECIAL)
                case["prompt"] = rendered[0]
            except Exception as refused:
                case["refused"] = str(refused)
            made.append(case)
    return made


def picks() -> list[dict]:
    made = []
    for n, (temperature, top_k, top_p, penalty) in enumerate([
        (1.0, 0, 1.0, 1.0), (0.7, 0, 1.0, 1.0), (1.0, 5, 1.0, 1.0), (1.0, 0, 0.8, 1.0), (1.5, 20, 0.95, 1.2),
        (0.6, 20, 0.95, 1.0), (2.0, 0, 0.5, 1.7), (1.0, 1, 0.1, 0.8), (0.1, 100, 0.99, 1.05), (1.0, 0, 0.999, 1.0),
    ]):
        scores = torch.randn(1, 900, generator=torch.Generator().manual_seed(n)) * 3
        seen = torch.randint(0, 900, (1, 60), generator=torch.Generator().manual_seed(n))
        given = scores.clone()
        if penalty != 1.0:
            scores = RepetitionPenaltyLogitsProcessor(penalty)(seen, scores)
        if temperature != 1.0:
            scores = TemperatureLogitsWarper(temperature)(seen, scores)
        if top_k:
            scores = TopKLogitsWarper(top_k)(seen, scores)
        if top_p < 1.0:
            scores = TopPLogitsWarper(top_p)(seen, scores)
        made.append(dict(
            temperature=temperature, top_k=top_k, top_p=top_p, repetition_penalty=penalty,
            scores=given[0].tolist(), seen=seen[0].tolist(), chances=scores.softmax(-1)[0].tolist()))
    return made


def main() -> None:
    out = Path(sys.argv[1])
    (out / "chats.json").write_text(json.dumps(chats()))
    (out / "picks.json").write_text(json.dumps(picks()))


if __name__ == "__main__":
    main()
