from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure_devops import AzureDevOps, Build, azure_devops
from manual_clock import ManualClock

from imagewright.core.errors import AuthenticationError, FetchError, ImagewrightError, OptionsError
from imagewright.entry.download import download
from imagewright.options.choices import ArtifactsFrom
from imagewright.options.pipeline import PipelineOptions

FILES = {"app.txt": b"hello", "sub/b.txt": b"b"}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureDevOps]:
    monkeypatch.setenv("AZURE_DEVOPS_CACHE_DIR", str(tmp_path))
    with azure_devops() as running:
        running.builds = {
            7: Build(3, artifacts={"drop": FILES}),
            8: Build(3, branch="refs/heads/next", artifacts={"drop": {"app.txt": b"next"}}),
            9: Build(3, result="failed", artifacts={"drop": {"app.txt": b"broken"}}),
            10: Build(4, artifacts={"one": FILES, "two": FILES}),
            11: Build(5),
        }
        running.releases = {20: (1, {"_web": (True, 7), "_api": (False, 10)}), 21: (1, {"_web": (True, 8)})}
        yield running


def fetch(
    service: AzureDevOps, directory: Path, kind: ArtifactsFrom, environment: dict[str, str] | None = None, **more: str
) -> Path:
    directory.mkdir(exist_ok=True)
    variables = {
        "SYSTEM_COLLECTIONURI": f"{service.url}/",
        "SYSTEM_TEAMPROJECT": "shop",
        "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN": "job-token",
        **(environment or {}),
    }
    given = PipelineOptions(artifacts_from=kind, **more)  # type: ignore[arg-type]
    folder, what = download(given, variables, directory, ManualClock())
    assert what.startswith("build artifacts: ")
    return Path(folder)


def test_a_build_by_its_id(service: AzureDevOps, tmp_path: Path) -> None:
    folder = fetch(service, tmp_path, ArtifactsFrom.BUILD, artifacts_run="7", artifacts_name="drop")
    assert folder.name == "drop"
    assert (folder / "app.txt").read_bytes() == b"hello"
    assert (folder / "sub" / "b.txt").read_bytes() == b"b"


def test_the_latest_successful_build_of_a_branch(service: AzureDevOps, tmp_path: Path) -> None:
    folder = fetch(
        service, tmp_path, ArtifactsFrom.BUILD, artifacts_definition="3", artifacts_branch="refs/heads/main"
    )
    assert (folder / "app.txt").read_bytes() == b"hello"
    newest = fetch(service, tmp_path / "newest", ArtifactsFrom.BUILD, {"SYSTEM_DEFINITIONID": "3"})
    assert (newest / "app.txt").read_bytes() == b"next"


def test_a_pipeline_run_by_its_signed_content(service: AzureDevOps, tmp_path: Path) -> None:
    folder = fetch(service, tmp_path, ArtifactsFrom.PIPELINE, artifacts_run="10", artifacts_name="two")
    assert (folder.name, (folder / "app.txt").read_bytes()) == ("two", b"hello")


def test_a_release_gives_its_primary_artifact(service: AzureDevOps, tmp_path: Path) -> None:
    own = {"RELEASE_RELEASEID": "20"}
    assert (fetch(service, tmp_path, ArtifactsFrom.RELEASE, own) / "app.txt").read_bytes() == b"hello"


def test_the_latest_release_of_another_pipeline(service: AzureDevOps, tmp_path: Path) -> None:
    folder = fetch(service, tmp_path, ArtifactsFrom.RELEASE, {"RELEASE_RELEASEID": "20"}, artifacts_definition="1")
    assert (folder / "app.txt").read_bytes() == b"next"


def test_the_latest_release_is_an_active_one_of_the_branch(service: AzureDevOps, tmp_path: Path) -> None:
    def latest(**more: str) -> bytes:
        given = {"artifacts_definition": "1", **more}
        return (fetch(service, tmp_path / "".join(more), ArtifactsFrom.RELEASE, **given) / "app.txt").read_bytes()

    assert latest(artifacts_branch="refs/heads/main") == b"hello"
    service.abandoned.add(21)
    assert latest() == b"hello"


def test_one_of_several_artifacts_of_a_release(service: AzureDevOps, tmp_path: Path) -> None:
    own = {"RELEASE_RELEASEID": "20"}
    folder = fetch(service, tmp_path, ArtifactsFrom.RELEASE, own, artifacts_name="_api/two")
    assert folder.name == "two"
    with pytest.raises(OptionsError) as caught:
        fetch(service, tmp_path, ArtifactsFrom.RELEASE, own, artifacts_name="_api")
    assert caught.value.hint == "choose one by `artifactsName`: ALIAS/one, ALIAS/two"


@pytest.mark.parametrize("kind", [ArtifactsFrom.BUILD, ArtifactsFrom.PIPELINE])
def test_a_download_that_breaks_is_tried_again(service: AzureDevOps, tmp_path: Path, kind: ArtifactsFrom) -> None:
    service.cut = 1
    folder = fetch(service, tmp_path, kind, artifacts_run="7", artifacts_name="drop")
    assert (folder / "app.txt").read_bytes() == b"hello"
    service.cut = 100
    with pytest.raises(FetchError, match="attempts"):
        fetch(service, tmp_path, kind, artifacts_run="7", artifacts_name="drop")


def test_a_full_disk_is_no_defect_of_ours(service: AzureDevOps, tmp_path: Path) -> None:
    (tmp_path / "artifact.zip").symlink_to("/dev/full")
    with pytest.raises(FetchError, match=r"cannot be kept in .*No space left"):
        fetch(service, tmp_path, ArtifactsFrom.BUILD, artifacts_run="7", artifacts_name="drop")


@pytest.mark.parametrize(
    ("kind", "more", "error", "message"),
    [
        ("build", {"artifacts_run": "10"}, OptionsError, "run 10 has 2 artifacts"),
        ("build", {"artifacts_run": "11"}, FetchError, "run 11 has no artifact"),
        ("build", {"artifacts_run": "7", "artifacts_name": "dorp"}, FetchError, "Artifact dorp was not found"),
        ("build", {"artifacts_run": "99"}, FetchError, "does not exist"),
        ("build", {"artifacts_run": "x"}, OptionsError, "`artifactsRun`: `x` is no id"),
        ("build", {}, OptionsError, "`artifactsFrom` needs `artifactsDefinition` here"),
        ("pipeline", {"artifacts_definition": "6"}, FetchError, "pipeline 6 in shop has no successful run"),
        ("release", {"artifacts_run": "20", "artifacts_name": "_x"}, FetchError, r"release 20 has no artifact `_x`"),
        ("release", {"artifacts_definition": "9"}, FetchError, "release pipeline 9 in shop has no active release"),
    ],
)
def test_what_is_not_there_is_named(
    service: AzureDevOps, tmp_path: Path, kind: str, more: dict[str, str], error: type[ImagewrightError], message: str
) -> None:
    with pytest.raises(error, match=message):
        fetch(service, tmp_path, ArtifactsFrom(kind), **more)


def test_a_token_that_is_refused_or_missing(service: AzureDevOps, tmp_path: Path) -> None:
    service.token = "another"
    with pytest.raises(AuthenticationError, match="refuses the job's token"):
        fetch(service, tmp_path, ArtifactsFrom.BUILD, artifacts_run="7")
    with pytest.raises(AuthenticationError, match="needs the job's token"):
        download(PipelineOptions(artifacts_from=ArtifactsFrom.BUILD), {}, tmp_path)
