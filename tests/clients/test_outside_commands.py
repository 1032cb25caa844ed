"""The commands of a new user: ask an endpoint, ask a model of transformers, let a rule answer, score it all again."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from ssl4rl_agents.replies import read_replies
from ssl4rl_benchmarks.cli import main
from tests.agents import zoo
from tests.clients.endpoint_server import Server, rounds

PAGE = Path(__file__).parents[2] / "docs" / "clients" / "endpoints.md"
DIGITS = ["--source", "digits", "--image-size", "36"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_an_endpoint_is_asked_scored_and_asked_for_the_rest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with Server(lambda _: "<answer>90</answer>", rounds("answer", "none")).running() as server:
        command = ["eval", "openai:org/model", "--base-url", server.url, *DIGITS, "--episodes"]
        assert main([*command, "8", "Rotation"]) == 0
        out, err = capsys.readouterr()
        assert "org/model on SSL4RL/Rotation-v0, test: 8 questions" in out
        assert "  strict  success " in out
        assert "  lenient success " in out
        assert out.endswith("replies: replies/openai-org-model-Rotation-v0-test.jsonl\n")
        assert "8 of 8 replies; attempts that failed: 4 x broken" in err
        assert (
            main(["eval", "openai:org/model", "Rotation", "--base-url", server.url, *DIGITS, "--episodes", "12", "--json"])
            == 0
        )
        found = json.loads(capsys.readouterr().out)
        assert (found["questions"], found["replies"], found["errors"]) == (12, 12, 0)
        assert len(server.requests) == 12 + 6
    assert main(["score", "replies", "--json", "--price-in", "2"]) == 0
    (scored,) = json.loads(capsys.readouterr().out)
    assert {**found, "cost": 0.0024} == {**scored, "replies_in": found["replies_in"]}
    assert main(["score", found["replies_in"]]) == 0
    assert "12 questions" in capsys.readouterr().out
    assert {row.settings["temperature"] for row in read_replies([tmp_path / "replies"])} == {0.0}


def test_a_run_that_lacks_replies_says_so_by_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    with Server(lambda _: "no", lambda number: ["status 422"] if number == 1 else []).running() as server:
        command = ["eval", "openai:m", "Rotation", *DIGITS, "--episodes", "4", "--base-url", server.url]
        assert main(command) == 1
        assert "1 reply did not come: not measured" in capsys.readouterr().out
        assert main(command) == 0


def test_an_address_may_come_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(lambda _: "no", rounds("answer")).running() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        more = ["--samples", "3", "--temperature", "0.5", "--max-tokens", "0", "--extra", '{"top_p": 0.9}']
        assert main(["eval", "openai:m", "Rotation", *DIGITS, "--episodes", "2", *more, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"] == {"temperature": 0.5, "max_tokens": None, "top_p": 0.9}
    assert found["strict"]["pass_at"] == {"1": 0.0, "2": 0.0}
    assert "max_tokens" not in server.requests[0]
    assert server.requests[0]["top_p"] == 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["openai:m", "Rotation"], "set OPENAI_API_KEY in the environment"),
        (["openai:", "Rotation"], "name a model"),
        (["openai:m", "--base-url", "http://127.0.0.1:9"], "name an environment: ssl4rl eval openai:m Rotation"),
        (["openai:m"], "name an environment"),
        (["openai:m", "Rotatoin", "--base-url", "http://127.0.0.1:9"], "Rotation"),
        (["openai:m", "Rotation", "--base-url", "nowhere"], "base_url must be an address"),
        (["openai:m", "Rotation", "--base-url", "http://127.0.0.1:9", "--extra", "7"], "--extra must be an object of JSON"),
        (["openai:m", "PatchSwap", "--base-url", "http://127.0.0.1:9"], "decisions"),
        (["hf:./nowhere", "Rotation", *DIGITS], "there is no folder ./nowhere"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", *arguments]) == 2
    err = capsys.readouterr().err.strip().splitlines()
    assert message in err[-1]


def test_a_model_of_transformers_and_a_rule_stand_side_by_side(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    zoo.save("smolvlm", tmp_path / "model")
    asked = [*DIGITS, "--episodes", "4", "--json"]
    capsys.readouterr()
    assert main(["eval", "hf:model", "Rotation", *asked, "--max-tokens", "4", "--device", "cpu"]) == 0
    model = json.loads(capsys.readouterr().out)
    for agent in ("rule", "oracle", "random"):
        assert main(["eval", agent, "Rotation", *asked, "--out", f"replies/{agent}.jsonl"]) == 0
    capsys.readouterr()
    assert main(["leaderboard", "replies", "--json"]) == 0
    (board,) = json.loads(capsys.readouterr().out)["boards"]
    entries = {entry["name"]: entry for entry in board["entries"]}
    assert set(entries) == {"model", "rule", "oracle", "random"}
    assert {entry["which"] for entry in entries.values()} == {model["which"]}
    assert entries["oracle"]["strict"]["success"] == 1
    assert (tmp_path / "leaderboard.html").exists()


@pytest.mark.parametrize("flag", [["--grammar", "lenient"], ["--checkpoint", "best"]])
def test_what_storing_would_ignore_is_refused(flag: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "rule", "Rotation", *DIGITS, "--episodes", "2", "--out", "rule.jsonl", *flag]) == 2
    assert f"leave {flag[0]}" in capsys.readouterr().err


def test_answers_of_a_rule_are_stored_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for count in ("4", "6", "6"):
        assert main(["eval", "rule", "Rotation", *DIGITS, "--episodes", count, "--out", "rule.jsonl"]) == 0
    assert len((tmp_path / "rule.jsonl").read_text().splitlines()) == 6
    assert "6 questions" in capsys.readouterr().out


def test_what_the_page_shows_runs_as_it_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """But for its sizes, and whom it asks."""
    text = PAGE.read_text()
    commands = re.findall(r"^ssl4rl (.*)$", "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL)), re.MULTILINE)
    assert {command.split()[0] for command in commands} == {"eval", "score", "leaderboard"}
    zoo.save("smolvlm", tmp_path / "model")
    zoo.save("qwen2", tmp_path / "words")
    template = tmp_path / "words" / "chat_template.jinja"
    template.write_text("{% if tools %}{{ tools | tojson }}{% endif %}" + template.read_text())  # as that model's own does
    with Server(lambda _: "<answer>90</answer>").running() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "a key")
        for command in commands:
            printed = command.replace("http://localhost:8000/v1", server.url).replace("--episodes 256", "")
            about_graphs = "GraphDistance" in command
            model = f"hf:{'words' if about_graphs else 'model'}"
            words = shlex.split(re.sub(r"hf:\S+", model, printed))
            if words[0] == "eval":
                words += [
                    "--episodes",
                    "3",
                    *([] if about_graphs else DIGITS),
                    *(["--device", "cpu"] if model in words else []),
                ]
            assert main(words) == 0, command
    for name in ("--key-variable", "--errors-as", "--patience", "--prompt-style", "--template", "--price-in"):
        assert name in text
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, PAGE.name, "exec"), {})
    assert "mine 0." in capsys.readouterr().out
    (row,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    fields = set(re.findall(r'"(\w+)":', row.replace("angles", "")))
    assert fields - {"prompt_tokens", "completion_tokens", "temperature", "max_tokens"} == set(
        json.loads(read_replies([tmp_path / "replies"])[0].to_json())
    )
