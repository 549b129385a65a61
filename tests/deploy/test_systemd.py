"""The systemd units, as systemd itself reads them where it is installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bot.beside import LEAVES_WITHIN
from bot.settings import BotSettings
from jobs.config import Defaults, Settings

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
UNITS = ["scopebot.service", "scopebot-worker@.service"]
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def directives(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (FOLDER / unit).read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def installed(tmp_path: Path, unit: str) -> Path:
    """Put a unit where Scopebot's program is a file that is there."""
    text = (FOLDER / unit).read_text(encoding="utf-8")
    assert "ExecStart=/opt/scopebot/.venv/bin/scopebot " in text
    copy = tmp_path / unit.replace("@.", "@0.")
    copy.write_text(text.replace("/opt/scopebot/.venv/bin/scopebot", "/bin/true"), encoding="utf-8")
    return copy


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60)


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_wrong(tmp_path: Path, unit: str) -> None:
    told = analyze("verify", "--man=no", "--recursive-errors=no", str(installed(tmp_path, unit)))
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


@needs_systemd
def test_systemd_would_find_a_misspelt_directive(tmp_path: Path) -> None:
    unit = installed(tmp_path, UNITS[0])
    unit.write_text(unit.read_text(encoding="utf-8").replace("KillMode", "KilMode"), encoding="utf-8")
    assert "KilMode" in analyze("verify", "--man=no", "--recursive-errors=no", str(unit)).stderr


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_rates_what_a_service_could_do_as_little(tmp_path: Path, unit: str) -> None:
    told = analyze("security", "--offline=true", "--threshold=20", str(installed(tmp_path, unit)))
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_a_service_may_write_its_own_folders_alone_and_gain_nothing(unit: str) -> None:
    found = directives(unit)
    required = {
        "User": "scopebot", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes",
        "PrivateTmp": "yes", "CapabilityBoundingSet": "", "UMask": "0077", "Restart": "always", "KillMode": "mixed",
    }  # fmt: skip
    assert {name: found.get(name) for name in required} == {name: [value] for name, value in required.items()}
    state = found["StateDirectory"][0].split()[0]
    assert found["ReadWritePaths"] == [f"%S/{state} -/srv/scopebot/artifacts"]
    assert f"SCOPEBOT_DATA_DIR=%S/{state}" in found["Environment"][0]


def test_the_worker_still_sees_gpus() -> None:
    assert not {"PrivateDevices", "ProtectClock", "DevicePolicy", "DeviceAllow"} & set(directives(UNITS[1]))


def test_stopping_waits_for_the_local_workers_and_for_the_longest_run() -> None:
    assert float(directives(UNITS[0])["TimeoutStopSec"][0]) > LEAVES_WITHIN
    assert directives(UNITS[1])["TimeoutStopSec"] == [f"{Defaults().run_timeout_hours:g}h"]


@pytest.mark.parametrize(("unit", "words"), [(UNITS[0], "serve"), (UNITS[1], "worker")])
def test_a_service_runs_its_sub_command_with_a_file_of_settings(unit: str, words: str) -> None:
    found = directives(unit)
    assert found["ExecStart"] == [f"/opt/scopebot/.venv/bin/scopebot {words}"]
    assert found["EnvironmentFile"][0] == f"/etc/scopebot/{'scopebot' if words == 'serve' else 'worker'}.env"


@pytest.mark.parametrize(
    ("example", "settings"), [("scopebot.env.example", BotSettings), ("worker.env.example", Settings)]
)
def test_an_example_names_only_settings_there_are(example: str, settings: type[Settings]) -> None:
    text = (FOLDER / example).read_text(encoding="utf-8")
    named = set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE))
    assert named
    assert named <= {str(field.validation_alias) for field in settings.model_fields.values()}


def test_an_example_holds_no_secret() -> None:
    for example in FOLDER.glob("*.example"):
        values = re.findall(r"^#?\w*(?:TOKEN|SECRET|KEY)\w*=(.*)$", example.read_text(encoding="utf-8"), re.MULTILINE)
        assert values
        assert set(values) <= {"", "THE-SAME-AS-THE-BOTS"}
