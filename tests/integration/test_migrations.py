"""The one migration history leads to the tables the code declares, on both databases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError

import bot.outbox
import bot.slack.installations
import handlers.channel_settings
import handlers.open_requests
import handlers.presets
import handlers.presses
import handlers.questions
import jobs.ledger
from jobs.db import HEAD, MIGRATIONS, Base, current_revision, migrate, open_engine, reading

ROOT = Path(__file__).resolve().parents[2]
OWNERS = (
    bot.outbox, bot.slack.installations, handlers.channel_settings, handlers.open_requests, handlers.presets,
    handlers.presses,    handlers.questions, jobs.ledger,
)  # fmt: skip
"""Imported so that all tables stand on `Base`."""


def script() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


def test_head_is_the_newest_revision_and_the_history_is_one_line() -> None:
    assert script().get_heads() == [HEAD]
    assert len(script().get_bases()) == 1
    files = sorted(path.name for path in (MIGRATIONS / "versions").glob("*.py"))
    assert files[-1].startswith(f"{HEAD}_")
    assert len(list(script().walk_revisions())) == len(files)


def test_the_migrated_schema_is_the_one_the_code_declares(empty_engine: Engine) -> None:
    migrate(empty_engine)
    with empty_engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    assert set(inspect(empty_engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def test_an_empty_database_has_no_revision_and_a_migrated_one_has_head(empty_engine: Engine) -> None:
    assert current_revision(empty_engine) is None
    migrate(empty_engine)
    assert current_revision(empty_engine) == HEAD


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE stream_positions SET position = '5-0'"))
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT position FROM stream_positions")).scalars().all() == ["5-0"]


def test_a_start_on_a_migrated_database_imports_no_alembic(engine: Engine) -> None:
    script_ = (
        "import sys; from jobs.db import migrate, open_engine\n"
        "engine = open_engine(sys.argv[1]); migrate(engine); engine.dispose()\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('alembic', 'mako')])"
    )
    url = engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", script_, url], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_processes_that_start_at_once_migrate_once(empty_engine: Engine) -> None:
    url = empty_engine.url.render_as_string(hide_password=False)
    script_ = (
        "import sys; from jobs.db import migrate, open_engine; import alembic.command\n"
        "engine = open_engine(sys.argv[1]); sys.stdin.readline(); migrate(engine); engine.dispose()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script_, url], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], "\n".join(errors)
    assert current_revision(empty_engine) == HEAD


def test_a_reader_on_sqlite_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    try:
        migrate(engine)
        with engine.begin() as writer:
            writer.execute(text("UPDATE stream_positions SET position = '5-0'"))
            with reading(engine) as reader:
                assert reader.execute(text("SELECT position FROM stream_positions")).scalar() == "0-0"
    finally:
        engine.dispose()


def test_foreign_keys_hold_on_both_databases(engine: Engine) -> None:
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("INSERT INTO run_datasets VALUES (999, 'gsm8k')"))


def test_every_step_of_the_history_can_be_taken_back_and_taken_again(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    for steps in range(1, len(list(script().walk_revisions())) + 1):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, f"-{steps}")
        migrate(engine)
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
