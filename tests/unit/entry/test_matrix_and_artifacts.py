"""What the command line took over from pipelines: the legs of a matrix, and build artifacts."""

from __future__ import annotations

import json

import pytest


def test_the_legs_for_github(cli) -> None:
    files = [cli.template("say a", name="web.json"), cli.template("say b", name="api.json")]
    assert cli("plan", "--format", "matrix", *files) == 0
    legs = json.loads(cli.out)["include"]
    assert [(leg["name"], leg["template"]) for leg in legs] == [("web", "web.json"), ("api", "api.json")]
    assert "\n" not in cli.out.strip()


def test_the_legs_for_azure_pipelines(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_BUILD", "True")
    assert cli("plan", "--format", "matrix", cli.template("say a")) == 0
    assert json.loads(cli.out) == {"web": {"template": "web.json", "image": "web"}}


def test_a_wrong_template_makes_no_matrix(cli) -> None:
    bad = cli.template("say a", name="bad.json", buildTimeoutInMinutes=2)
    assert cli("plan", "--format", "matrix", cli.template("say a"), bad) == 2
    assert cli.out == ""
    assert "bad.json:" in cli.err


def test_a_plan_of_several_templates_is_only_a_matrix(cli) -> None:
    assert cli("plan", cli.template("say a"), cli.template("say b", name="b.json")) == 2
    assert "takes one template" in cli.err


def test_build_artifacts_from_the_command_line(cli) -> None:
    (cli.directory / "drop").mkdir()
    (cli.directory / "drop" / "app").write_text("x")
    assert cli("build", cli.template("say hello"), "--artifacts", "drop") == 0
    assert "build artifacts: 1 file, 1 B" in cli.err
    assert "/tmp/drop.tar.gz" in cli.world.uploaded
    assert cli("build", cli.template("say hello"), "--artifacts", "nothing") == 2
    assert "there is no `nothing`" in cli.err


def test_unchanged_artifacts_are_a_cache_hit(cli) -> None:
    (cli.directory / "drop").mkdir()
    (cli.directory / "drop" / "app").write_text("x")
    assert cli("build", cli.template("say hello"), "--artifacts", "drop", "--cache", "all") == 0
    (cli.directory / "drop" / "app").touch()
    assert cli("plan", cli.template("say hello"), "--artifacts", "drop", "--format", "json") == 0
    assert {step["name"]: step["cached"] for step in json.loads(cli.out)["steps"]}["unpack-build-artifacts"]
    (cli.directory / "drop" / "app").write_text("y")
    assert cli("plan", cli.template("say hello"), "--artifacts", "drop", "--format", "json") == 0
    assert not any(step["cached"] for step in json.loads(cli.out)["steps"])


def test_a_matrix_has_all_templates(cli) -> None:
    assert cli("plan", "--format", "matrix", "--name", "web", cli.template("say a")) == 2
    assert "`--name` chooses one image template" in cli.err
