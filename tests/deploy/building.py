"""Docker's part, played in a folder: parses our Dockerfile, runs its COPY and pip steps, starts what it would start.

There is no engine and no root file system of its own: absolute paths of the image are rebased below `root`, a symbolic
link that points at one stage's folder after the other, so that what a stage wrote into scripts still holds in the
next. Only what our own Dockerfile uses is known; anything else is an error.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OF_THE_IMAGE = "artifacts|build|data|opt|src|wheels"
"""The folders at the top that our Dockerfile makes."""
OF_THE_MACHINE = ("PIP_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")
"""The variables that only say how packages are reached from here."""


@dataclass(frozen=True)
class Instruction:
    keyword: str
    options: dict[str, str]
    value: str

    @property
    def words(self) -> list[str]:
        """The exec form's words."""
        return [str(word) for word in json.loads(self.value)]


@dataclass(frozen=True)
class Stage:
    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)


def parse(text: str) -> dict[str, Stage]:
    """Return the stages by name, in order."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for line in re.sub(r"\\[ \t]*\n", "", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        keyword, _, rest = line.strip().partition(" ")
        rest, options = rest.strip(), {}
        while option := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
            options[option[1]] = option[2]
            rest = rest[option.end() :]
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(name, base))
        else:
            stages[-1].instructions.append(Instruction(keyword, options, rest))
    return {stage.name: stage for stage in stages}


def chain(stages: Mapping[str, Stage], name: str) -> list[Instruction]:
    """Return what holds for a stage: its own instructions after those it is based on."""
    stage = stages.get(name)
    return [] if stage is None else [*chain(stages, stage.base), *stage.instructions]


def context(ignore: str) -> list[PurePosixPath]:
    """Return the files of the repository that a .dockerignore sends to the build, as Docker reads it."""
    rules = [line.strip() for line in ignore.splitlines() if line.strip() and not line.startswith("#")]
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in {".git", ".venv"}]  # refused by `*`, and large
        for file in files:
            path = PurePosixPath(Path(folder, file).relative_to(ROOT).as_posix())
            if not ignored(path, rules):
                found.append(path)
    return found


def ignored(path: PurePosixPath, rules: Sequence[str]) -> bool:
    """Tell whether the last rule that matches the path, or a folder it is in, leaves it out."""
    out = False
    names = [str(path), *map(str, list(path.parents)[:-1])]
    for rule in rules:
        pattern = rule.removeprefix("!")
        if any(
            PurePosixPath(name).match(pattern.removeprefix("**/"))
            if pattern.startswith("**/")
            else name.count("/") == pattern.count("/") and fnmatch(name, pattern)
            for name in names
        ):
            out = not rule.startswith("!")
    return out


@dataclass(frozen=True)
class Image:
    """What the last stage leaves: a folder, and how to start it."""

    root: Path
    instructions: list[Instruction]
    environment: dict[str, str]

    def last(self, keyword: str) -> Instruction:
        return next(instruction for instruction in reversed(self.instructions) if instruction.keyword == keyword)

    def start(self, *words: str, environment: Mapping[str, str], **streams: Any) -> subprocess.Popen[str]:
        """Start the entry point with these words, or with the image's own, in nothing but its own environment."""
        command = [*self.last("ENTRYPOINT").words, *(words or self.last("CMD").words)]
        return subprocess.Popen(self._found(command), text=True, **self._place(environment), **streams)

    def health(self, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run the health check as Docker does."""
        check = self.last("HEALTHCHECK")
        command = json.loads(check.value.removeprefix("CMD "))
        within = float(check.options["timeout"].removesuffix("s"))
        return subprocess.run(
            self._found(command), capture_output=True, text=True, check=False, timeout=within,
            **self._place(environment),
        )  # fmt: skip

    def files(self) -> dict[str, tuple[int, int]]:
        """Return every file but those of the volumes, with its size and time."""
        found = {}
        for folder, folders, names in os.walk(self.root.resolve()):
            if Path(folder) == self.root.resolve():
                folders[:] = [name for name in folders if name not in {"data", "artifacts"}]
            for name in names:
                status = Path(folder, name).lstat()
                found[f"{folder}/{name}"] = (status.st_size, status.st_mtime_ns)
        return found

    def _found(self, command: Sequence[str]) -> list[str]:
        program = shutil.which(command[0], path=self.environment["PATH"])
        assert program is not None, f"{command[0]} is not in the image"
        assert program.startswith(str(self.root)), f"{program} is not the image's"
        return [program, *command[1:]]

    def _place(self, environment: Mapping[str, str]) -> dict[str, Any]:
        workdir = f"{self.root}{self.last('WORKDIR').value}"
        return {"env": {**self.environment, **environment}, "cwd": workdir, "stdin": subprocess.DEVNULL}


class Builder:
    """Builds targets of our Dockerfile below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stages = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
        self._context = context((ROOT / ".dockerignore").read_text(encoding="utf-8"))
        self._python = folder / "python"  # plays python:3.11-slim: an interpreter with pip, nothing else, no compiler
        subprocess.run([sys.executable, "-m", "venv", str(self._python)], check=True)

    def build(self, target: str) -> Image:
        """Build a target; only what its last stage holds is left of it."""
        root = self._folder / target
        before = self._built()
        environment = self._build(target, root)
        for name in self._built() - before - {target}:
            shutil.rmtree(self._folder / "stages" / name)
        return Image(root, chain(self._stages, target), environment)

    def _built(self) -> set[str]:
        stages = self._folder / "stages"
        return {path.name for path in stages.iterdir()} if stages.exists() else set()

    def _build(self, name: str, root: Path) -> dict[str, str]:
        """Build one stage and those it needs into its own folder, and return its variables."""
        stage = self._stages.get(name)
        if stage is None:
            return {"PATH": f"{self._python}/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        environment = self._build(stage.base, root)
        for instruction in stage.instructions:
            if "from" in instruction.options:
                self._build(instruction.options["from"], root)
        folder = self._folder / "stages" / name
        if folder.exists():
            shutil.rmtree(folder)
        based_on = self._folder / "stages" / stage.base
        if based_on.exists():
            shutil.copytree(based_on, folder, symlinks=True)
        folder.mkdir(parents=True, exist_ok=True)
        root.unlink(missing_ok=True)
        root.symlink_to(folder, target_is_directory=True)
        for instruction in stage.instructions:
            self._do(instruction, root, environment)
        return environment

    def _do(self, instruction: Instruction, root: Path, environment: dict[str, str]) -> None:
        match instruction.keyword:
            case "COPY":
                self._copy(instruction, root)
            case "RUN" if "pip" in instruction.value:
                self._run(instruction.value, root, environment)
            case "RUN":
                assert instruction.value.startswith("useradd "), f"what is this? {instruction.value}"
            case "ENV":
                for word in shlex.split(instruction.value):
                    variable, _, value = word.partition("=")
                    environment[variable] = rebased(value, root).replace("$PATH", environment["PATH"])
            case "WORKDIR":
                Path(f"{root}{instruction.value}").mkdir(parents=True, exist_ok=True)
            case other:
                assert other in {"VOLUME", "USER", "STOPSIGNAL", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "CMD"}, other

    def _copy(self, instruction: Instruction, root: Path) -> None:
        *sources, target = instruction.value.split()
        into = Path(f"{root}{target}")
        for source in sources:
            if "from" in instruction.options:
                copied = self._folder / "stages" / instruction.options["from"] / source.lstrip("/")
                shutil.copytree(copied, into, symlinks=True, dirs_exist_ok=True, copy_function=_link)
                continue
            files = [path for path in self._context if source.rstrip("/") in {str(path), *map(str, path.parents)}]
            assert files, f"COPY {source}: .dockerignore leaves nothing of it"
            for path in files:
                place = into / (path.relative_to(source) if source.endswith("/") else path.name)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, place)

    def _run(self, command: str, root: Path, environment: Mapping[str, str]) -> None:
        command = rebased(command, root)
        outside = re.findall(r"(?:^|[\s=])(/\w+)", command.replace(str(root), ""))
        assert set(outside) <= {f"/{name}" for name in OF_THE_IMAGE.split("|")}, f"outside of the image: {outside}"
        machine = {name: value for name, value in os.environ.items() if name.upper().startswith(OF_THE_MACHINE)}
        home = {"HOME": os.environ["HOME"], "CC": "/no/compiler", "CXX": "/no/compiler"}
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=root, env={**environment, **machine, **home}, capture_output=True,
            text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"RUN {command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def rebased(text: str, root: Path) -> str:
    """Move the absolute paths of the image below a folder."""
    return re.sub(rf"(?<![\w.*$/-])/(?=(?:{OF_THE_IMAGE})\b)", f"{root}/", text)


def _link(source: str, target: str) -> None:
    """Copy without a second copy on the disk: nobody writes to a stage that was built."""
    Path(target).hardlink_to(source)
