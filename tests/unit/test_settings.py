"""Settings: their sources and precedence, their checks, override(), stores, and the server they name."""

from __future__ import annotations

import contextvars
import copy
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dj_schema.errors import ConfigError
from dj_schema.server_address import connection_settings
from dj_schema.settings import Config, UnknownSettingError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".secrets").mkdir()
    return tmp_path


def loaded(
    folder: Path, environ: Mapping[str, str] | None = None, content: Mapping[str, Any] | None = None
) -> Config:
    if content is not None:
        (folder / "datajoint.json").write_text(json.dumps(content))
    return Config.load(environ=environ or {}, start=folder)


# --- access -----------------------------------------------------------------------------------------------


def test_a_setting_is_the_same_by_item_attribute_and_get() -> None:
    config = Config()
    config["display.limit"] = 8
    assert config.display.limit == config["display.limit"] == config["display"]["limit"] == 8
    config.jobs.keep_completed = True
    assert config["jobs.keep_completed"] is True
    assert config.get("jobs.keep_completed") is True
    assert config.get("nope", 3) == 3
    assert "jobs.version" in config
    assert "nope" not in config
    assert not hasattr(config, "nope")


@pytest.mark.rule("configuration", "database", "jobs", "display")
def test_defaults_are_those_of_the_reference() -> None:
    config = Config()
    expected = {
        "database.host": None,
        "database.port": None,
        "database.reconnect": True,
        "safemode": True,
        "download_path": ".",
        "loglevel": "INFO",
        "display.limit": 12,
        "display.width": 14,
        "jobs.auto_refresh": True,
        "jobs.keep_completed": False,
        "jobs.stale_timeout": 3600,
        "jobs.default_priority": 5,
        "jobs.version_method": None,
        "jobs.add_job_metadata": False,
        "jobs.allow_new_pk_fields_in_computed_tables": False,
    }
    assert {key: config[key] for key in expected} == expected
    assert {config.source_of(key) for key in expected} == {"default"}


def test_a_mapping_for_a_section_is_merged() -> None:
    config = Config()
    config["database"] = {"host": "one", "user": "u"}
    config["database"] = {"host": "two"}
    assert (config.database.host, config.database.user) == ("two", "u")


def test_a_mapping_with_one_wrong_setting_changes_nothing() -> None:
    config = Config()
    with pytest.raises(ConfigError, match=r"database\.port"):
        config["database"] = {"host": "two", "port": "none"}
    assert config.database.host is None


def test_to_dict_and_iteration_cover_every_setting() -> None:
    config = Config()
    config["stores.main.location"] = "/data"
    assert config.to_dict()["jobs"]["default_priority"] == 5
    assert config.to_dict()["stores"]["main"]["location"] == "/data"
    assert {"database.host", "safemode", "stores.main.location"} <= set(config)
    assert len(config) == len(list(config)) == len(config.items())


# --- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["databse.host", "database.hots", "database.host.x", "nope", "jobs.nope"])
def test_an_unknown_key_is_an_error_that_names_it(key: str) -> None:
    config = Config()
    with pytest.raises(ConfigError, match=key):
        config[key] = 1
    with pytest.raises(KeyError, match=key):
        config[key]
    with pytest.raises(UnknownSettingError, match=key), config.override({key: 1}):
        pass


def test_an_unknown_key_suggests_a_close_one() -> None:
    config = Config()
    with pytest.raises(ConfigError, match=r"Did you mean jobs\.keep_completed"):
        config["jobs.keep_complete"] = True
    with pytest.raises(ConfigError, match=r"Did you mean database\.host"):
        config["host"] = "x"
    with pytest.raises(AttributeError, match=r"jobs\.auto_refresh"):
        config.jobs.autorefresh = True


def test_a_setting_that_is_gone_says_what_replaced_it() -> None:
    with pytest.raises(ConfigError, match=r"database\.charset"):
        Config()["connection.charset"] = "utf8mb4"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("database.port", "abc", "integer"),
        ("database.port", 70000, "65535"),
        ("database.port", True, "number"),
        ("database.host", 3, "string"),
        ("database.backend", "oracle", "mysql"),
        ("database.use_tls", {"cafile": "x"}, "cafile"),
        ("database.use_tls", {"ca": 5}, "'ca' is the path of a file"),
        ("database.use_tls", {"verify": "no"}, "'verify' is true or false"),
        ("safemode", "perhaps", "boolean"),
        ("safemode", None, "boolean"),
        ("jobs.default_priority", -1, "0"),
        ("jobs.default_priority", 256, "255"),
        ("jobs.stale_timeout", "soon", "integer"),
        ("jobs.lease_timeout", 0, "greater than 0"),
        ("jobs.lease_timeout", float("inf"), "less than or equal to 1000000000"),
        ("jobs.lease_timeout", float("nan"), "greater than 0"),
        ("jobs.version_method", "svn", "git"),
        ("jobs.verify", "no", "fingerprint"),
        ("display.width", 0, "1"),
        ("loglevel", "loud", "DEBUG"),
        ("jobs", 3, "mapping"),
        ("stores", ["a"], "mapping"),
        ("stores.default", {"protocol": "file"}, "name of a store"),
        ("stores.main", "x", "mapping"),
        ("stores.main.secure", "x", "boolean"),
        ("object_storage", 3, "mapping"),
    ],
)
def test_a_wrong_type_is_an_error_that_names_key_and_expectation(
    key: str, value: object, expected: str
) -> None:
    config = Config()
    before = config.to_dict()
    with pytest.raises(ConfigError) as caught:
        config[key] = value
    assert key in str(caught.value)
    assert expected in str(caught.value)
    assert "set in the program" in str(caught.value)
    assert config.to_dict() == before


def test_a_key_that_is_not_text_is_an_error() -> None:
    config = Config()
    with pytest.raises(ConfigError, match="text"):
        config[3] = 1  # type: ignore[index]
    with pytest.raises(ConfigError, match="text"):
        config[3]  # type: ignore[index]
    with pytest.raises(ConfigError, match="text"):
        config.source_of(3)  # type: ignore[arg-type]
    assert config.get(3, "none") == "none"  # type: ignore[arg-type]


def test_a_setting_is_not_deleted() -> None:
    config = Config()
    before = repr(config)
    with pytest.raises(ConfigError, match=r"database\.host.*None"):
        del config["database.host"]
    with pytest.raises(ConfigError, match=r"safemode.*None"):
        del config.safemode
    with pytest.raises(ConfigError, match=r"database\.host.*None"):
        del config.database.host
    with pytest.raises(ConfigError, match=r"database\.host.*None"):
        del config.database["host"]
    assert repr(config) == before


def test_an_option_is_named_as_it_is_written() -> None:
    with pytest.raises(ConfigError, match=r"TLS option 'caa' is unknown"):
        Config()["database.use_tls"] = {"caa": "x"}


def test_an_override_without_a_mapping_is_an_error() -> None:
    with pytest.raises(ConfigError, match="mapping"), Config().override(3):  # type: ignore[arg-type]
        pass


# --- secrets ----------------------------------------------------------------------------------------------


def test_secrets_are_in_no_repr_and_in_no_error() -> None:
    config = Config()
    config["database.password"] = "hunter2"
    config["stores"] = {"main": {"location": "x", "secret_key": "hunter2", "options": {"key": "hunter2"}}}
    config["aws.access_key_id"] = "hunter2"
    shown = [
        config,
        config.database,
        dict(config.database),
        config.stores,
        dict(config["stores"]),
        dict(config["stores.main"]),
        config.to_dict(),
        config.items(),
        config.object_storage,
        config.get_object_store_spec("main")["secret_key"],
        connection_settings(config),
    ]
    assert not [text for text in shown if "hunter2" in repr(text) or "hunter2" in str(text)]
    for key in ("database.password", "stores.main.secret_key"):
        with pytest.raises(ConfigError) as caught:
            config[key] = ["hunter2"]
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None
    with pytest.raises(ConfigError) as caught:
        config["stores.main"] = "hunter2"
    assert "hunter2" not in str(caught.value)


def test_a_secret_asked_for_by_item_is_text() -> None:
    config = Config()
    config["database.password"] = "hunter2"
    assert config["database.password"] == config["database"]["password"] == "hunter2"
    assert config.database.password is not None
    assert config.database.password.get_secret_value() == "hunter2"


# --- sources ----------------------------------------------------------------------------------------------


@pytest.mark.rule("configuration", "file")
def test_dotted_and_nested_keys_of_a_file_mean_the_same(project: Path) -> None:
    config = loaded(
        project,
        content={
            "database.host": "db.example.org",
            "database": {"port": 3307},
            "stores": {"main": {"protocol": "s3", "bucket": "b"}},
            "stores.main.endpoint": "s3.example.org",
            "jobs": {"add_job_metadata": True},
            "safemode": False,
        },
    )
    assert (config["database.host"], config["database.port"]) == ("db.example.org", 3307)
    assert config["stores.main.bucket"] == "b"
    assert config["stores.main.endpoint"] == "s3.example.org"
    assert config.jobs.add_job_metadata is True
    assert config.safemode is False
    assert config.source_of("database.port") == str(project / "datajoint.json")


def test_the_nearest_file_upwards_is_read_but_none_beyond_the_checkout(project: Path) -> None:
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    (project / "datajoint.json").write_text('{"database.host": "outer"}')
    assert Config.load(environ={}, start=inner).database.host == "outer"
    (project / "a" / "datajoint.json").write_text('{"database.host": "inner"}')
    assert Config.load(environ={}, start=inner).database.host == "inner"
    (inner / ".git").mkdir()
    assert Config.load(environ={}, start=inner).database.host is None


def _run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_a_current_folder_that_is_gone_is_told_in_words(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = (
        "import os; from dj_schema.settings import Config\n"
        f"os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); Config.load()"
    )
    assert "ConfigError: The current folder is not there any more" in _run(program).stderr


@pytest.mark.skipif(
    sys.platform == "win32" or os.getuid() != 0, reason="only root can be a user without a name"
)
def test_a_user_without_a_home_has_settings(tmp_path: Path) -> None:
    program = (
        "import os; from pathlib import Path; from dj_schema.settings import Config, sections\n"
        "del os.environ['HOME']; os.setuid(54321)\n"
        "print(Config.load(environ={'DJ_HOST': 'h'}, start=Path('/')).database.host)"
    )
    ended = _run(program)
    assert ended.stdout.strip() == "h", ended.stderr


def test_the_search_ends_at_home(tmp_path: Path) -> None:
    (tmp_path / "datajoint.json").write_text('{"database.host": "beyond"}')
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    assert Config.from_sources(environ={}, start=home / "work", home=home).database.host is None


@pytest.mark.rule("configuration", "sources")
def test_each_layer_wins_over_the_one_below(project: Path) -> None:
    secrets = project / ".secrets"
    secrets.joinpath("datajoint.json").write_text('{"database.user": "s", "database.host": "s"}')
    environ = {"DJ_HOST": "e"}
    config = loaded(project, environ, {"database": {"host": "f", "user": "f", "port": 3306}})
    assert (config["database.port"], config["database.user"], config["database.host"]) == (3306, "s", "e")
    assert config.source_of("database.user") == str(secrets / "datajoint.json")
    assert config.source_of("database.host") == "environment variable DJ_HOST"
    config["database.host"] = "p"
    assert config["database.host"] == "p"
    assert config.source_of("database.host") == "set in the program"
    with config.override(database={"host": "o"}):
        assert config.source_of("database.host") == "set by override()"


@pytest.mark.rule("configuration", "secrets")
def test_secrets_may_stand_in_a_file_each(project: Path) -> None:
    secrets = project / ".secrets"
    for name, text in {
        "database.user": "analyst\n",
        "database.password": " s p\r\n",
        "aws.access_key_id": "A",
        "aws.secret_access_key": "B",
        "stores.main.access_key": "C",
        "object_storage.secret_key": "D",
        ".gitignore": "*",
        "other_program.token": "E",
        "README.md": "x",
    }.items():
        (secrets / name).write_text(text)
    content = {"object_storage": {"protocol": "s3", "bucket": "b"}, "stores": {"main": {"bucket": "m"}}}
    config = loaded(project, content=content)
    assert (config["database.user"], config["database.password"]) == ("analyst", " s p")
    assert config["stores.main.access_key"] == "C"
    spec = config.get_object_store_spec()
    assert spec["secret_key"].get_secret_value() == "D"
    assert spec["access_key"].get_secret_value() == "A"


def test_a_secrets_file_of_ours_with_an_unknown_name_is_an_error(project: Path) -> None:
    (project / ".secrets" / "database.pasword").write_text("x")
    with pytest.raises(ConfigError, match=r"database\.pasword.*Did you mean database\.password"):
        loaded(project)


def test_a_byte_order_mark_is_no_part_of_a_setting(project: Path) -> None:
    mark = b"\xef\xbb\xbf"
    (project / "datajoint.json").write_bytes(mark + b'{"database.host": "h"}')
    (project / ".secrets" / "database.password").write_bytes(mark + b"geheim\r\n")
    config = Config.load(environ={}, start=project)
    assert (config["database.host"], config["database.password"]) == ("h", "geheim")


def test_options_of_tls_come_as_json_from_a_secrets_file(project: Path) -> None:
    path = project / ".secrets" / "database.use_tls"
    path.write_text('{"ca": "/ca.pem"}\n')
    assert loaded(project).database.use_tls == {"ca": "/ca.pem"}
    path.write_text('{"ca": ')
    with pytest.raises(ConfigError, match=r"database\.use_tls.*\.secrets.*JSON"):
        loaded(project)


def test_a_settings_file_whose_target_is_gone_is_an_error(project: Path) -> None:
    (project / "datajoint.json").symlink_to(project / "gone.json")
    with pytest.raises(ConfigError, match=r"datajoint\.json cannot be read: No such file"):
        Config.load(environ={}, start=project)


def test_a_folder_of_secrets_that_cannot_be_read_is_named(project: Path) -> None:
    inner = project / ".secrets" / "datajoint.json"
    inner.symlink_to(inner)  # whose link leads nowhere for anybody, root too
    with pytest.raises(ConfigError, match=r"\.secrets.*cannot be read"):
        loaded(project)


def test_secrets_are_found_without_a_settings_file(project: Path) -> None:
    (project / ".secrets" / "database.user").write_text("u")
    assert loaded(project).database.user == "u"


@pytest.mark.rule("configuration", "variables", "database")
def test_every_setting_has_a_variable_and_some_a_short_one(tmp_path: Path) -> None:
    environ = {
        "DJ_HOST": "h",
        "DJ_PORT": "3307",
        "DJ_USER": "u",
        "DJ_PASS": "{p",
        "DJ_BACKEND": "mysql",
        "DJ_TLS": "false",
        "DJ_DATABASE_NAME": "n",
        "DJ_EMBEDDED_PATH": "/e",
        "DJ_LOG_LEVEL": "debug",
        "DJ_SAFEMODE": "no",
        "DJ_JOBS_ADD_JOB_METADATA": "true",
        "DJ_JOBS_LEASE_TIMEOUT": "1.5",
        "DJ_DISPLAY_LIMIT": "3",
        "DJ_DATABASE_CONNECT_TIMEOUT_S": "2",
        "PATH": "/bin",
    }
    config = Config.load(environ=environ, start=tmp_path)
    values = [config[key] for key in ("database.host", "database.port", "database.user", "database.password")]
    assert values == ["h", 3307, "u", "{p"]
    assert config.database.use_tls is False
    assert config.database.embedded_path == Path("/e")
    assert (config.loglevel, config.safemode) == ("DEBUG", False)
    assert (config.jobs.add_job_metadata, config.jobs.lease_timeout) == (True, 1.5)
    assert (config.display.limit, config.database.connect_timeout_s) == (3, 2.0)


def test_options_of_tls_come_as_json_from_a_variable(tmp_path: Path) -> None:
    config = Config.load(environ={"DJ_USE_TLS": '{"ca": "/ca.pem"}'}, start=tmp_path)
    assert config.database.use_tls == {"ca": "/ca.pem"}
    with pytest.raises(ConfigError, match=r"use_tls.*JSON"):
        Config.load(environ={"DJ_USE_TLS": '{"ca": '}, start=tmp_path)


def test_variables_name_stores_too(project: Path) -> None:
    environ = {
        "DJ_STORES_RAW_DATA_SECRET_KEY": "k",
        "DJ_STORES_NEW_LOCATION": "/n",
        "DJ_STORES_DEFAULT": "Raw_Data",
        "DJ_OBJECT_STORAGE_ACCESS_KEY": "a",
    }
    config = loaded(project, environ, {"stores": {"Raw_Data": {"protocol": "s3", "bucket": "b"}}})
    assert config["stores.Raw_Data.secret_key"] == "k"
    assert config["stores.Raw_Data.access_key"] == "a"
    assert config["stores.new.location"] == "/n"
    assert config["stores"]["default"] == "Raw_Data"


@pytest.mark.parametrize(
    "variable", ["DJ_JOBS_NOPE", "DJ_DATABASE_HOTS", "DJ_DISPLAY_", "DJ_STORES_X", "DJ_OBJECT_STORAGE_NOPE"]
)
def test_a_variable_of_a_section_that_names_no_setting_is_an_error(variable: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=variable):
        Config.load(environ={variable: "x"}, start=tmp_path)


@pytest.mark.parametrize(
    ("mistaken", "meant"),
    [("DJ_PASSWORD", "DJ_PASS"), ("DJ_USERNAME", "DJ_USER"), ("DJ_HOSTNAME", "DJ_HOST")],
)
def test_a_variable_that_is_taken_for_another_is_an_error(mistaken: str, meant: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{mistaken}.*Did you mean {meant}\\?") as caught:
        Config.load(environ={mistaken: "geheim"}, start=tmp_path)
    assert "geheim" not in str(caught.value)
    Config.load(environ={mistaken: "of another program", meant: "x"}, start=tmp_path)


def test_other_variables_and_empty_ones_are_left_alone(tmp_path: Path) -> None:
    environ = {"DJ_TEST_POSTGRES": "x", "DJ_BENCH": "1", "DJ_HOST": "", "DJ_PORT": ""}
    assert Config.load(environ=environ, start=tmp_path).to_dict() == Config().to_dict()


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"database\.port.*'x'.*DJ_PORT"):
        Config.load(environ={"DJ_PORT": "x"}, start=tmp_path)


def test_two_variables_that_differ_about_one_setting_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"DJ_TLS.*DJ_USE_TLS"):
        Config.load(environ={"DJ_TLS": "1", "DJ_USE_TLS": "0"}, start=tmp_path)
    same = {"DJ_HOST": "h", "DJ_DATABASE_HOST": "h"}
    assert Config.load(environ=same, start=tmp_path).database.host == "h"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"{", "not valid JSON: line 1"),
        (b"[1]", "one JSON object"),
        (b"\xff", "UTF-8"),
        (b'{"database": {"prot": 1}}', r"database\.prot"),
        (b'{"database.port": "x"}', r"database\.port"),
        (b'{"safemode": {"a": 1}}', "safemode"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested too deeply"),
        (b'{"database.port": ' + b"9" * 5000 + b"}", "cannot be read as JSON"),
        (b'{"database": {"host": "a", "host": "b"}}', "'host' is there twice"),
        (b'{"database.host": "a", "database": {"host": "b"}}', "Setting database.host is there twice"),
        (b'{"stores.a.bucket": "x", "stores": {"a": {"bucket": "x"}}}', "stores.a.bucket is there twice"),
    ],
)
def test_a_broken_file_is_named(project: Path, text: bytes, expected: str) -> None:
    (project / "datajoint.json").write_bytes(text)
    with pytest.raises(ConfigError, match=expected) as caught:
        loaded(project)
    assert str(project / "datajoint.json") in str(caught.value)


def test_load_on_a_config_reads_one_more_file_below_the_environment(project: Path, tmp_path: Path) -> None:
    config = loaded(project, {"DJ_HOST": "e"}, {"database.user": "f"})
    other = tmp_path / "other.json"
    other.write_text('{"database": {"host": "o", "user": "o"}}')
    config.load(other)
    assert (config.database.host, config.database.user) == ("e", "o")
    other.write_text('{"database.user": "changed", "nope": 1}')
    with pytest.raises(ConfigError, match="nope"):
        config.load(str(other))
    assert config.database.user == "o"
    config["database.user"] = "program"
    other.write_text('{"database": {"user": "o", "port": 3310}}')
    with config.override(database__port=3311):
        config.load(other)
        assert config.database.port == 3311
    config.load(other)
    assert (config.database.user, config.database.port) == ("program", 3310)
    with pytest.raises(ConfigError, match=r"missing\.json"):
        config.load(tmp_path / "missing.json")


# --- override ---------------------------------------------------------------------------------------------


def test_override_ends_with_its_block_also_after_an_error() -> None:
    config = Config()
    seen: list[object] = []

    def fail_inside() -> None:
        with config.override(safemode=False, jobs={"version": "2"}):
            seen.extend([config.safemode, config.jobs.version, config.jobs.default_priority])
            raise LookupError

    with pytest.raises(LookupError):
        fail_inside()
    assert seen == [False, "2", 5]
    assert (config.safemode, config.jobs.version) == (True, None)


def test_overrides_nest_and_take_dotted_keys() -> None:
    config = Config()
    with config.override({"database.host": "a"}, database__port=1):
        with config.override(database__host="b"):
            assert (config.database.host, config.database.port) == ("b", 1)
        assert config.database.host == "a"
    assert config.database.host is None


def test_what_is_set_within_an_override_ends_with_it() -> None:
    config = Config()
    with config.override(safemode=False):
        config["display.limit"] = 3
        config.stores["x"] = {"location": "/x"}
        assert config.display.limit == 3
    assert config.display.limit == 12
    assert not config.stores


def test_a_wrong_override_changes_nothing() -> None:
    config = Config()
    with pytest.raises(ConfigError, match=r"jobs\.nope"), config.override(safemode=False, jobs={"nope": 1}):
        pass
    assert config.safemode is True


def test_an_override_is_not_seen_by_other_threads_unless_handed_on() -> None:
    config = Config()
    seen: list[bool] = []

    def look() -> None:
        seen.append(config.safemode)

    with config.override(safemode=False):
        # Set for both: from Python 3.14 a build may let threads inherit the context of their maker.
        outside = threading.Thread(target=contextvars.Context().run, args=(look,))
        inside = threading.Thread(target=contextvars.copy_context().run, args=(look,))
        for thread in (outside, inside):
            thread.start()
            thread.join()
    assert seen == [True, False]


def test_overrides_of_two_configs_do_not_mix() -> None:
    one, two = Config(), Config()
    with one.override(safemode=False), two.override(display__limit=1):
        assert (one.safemode, one.display.limit, two.safemode, two.display.limit) == (False, 12, True, 1)


def test_copies_and_pickles_hold_what_holds_here_and_now() -> None:
    config = Config()
    config["database.password"] = "pw"
    config["stores.main.location"] = "/m"
    with config.override(safemode=False):
        twins = [config.copy(), copy.deepcopy(config), pickle.loads(pickle.dumps(config))]
    for twin in twins:
        assert (twin.safemode, twin["database.password"], twin["stores.main.location"]) == (False, "pw", "/m")
        assert twin.source_of("database.password") == "set in the program"
        twin["display.limit"] = 1
        twin["stores.main.location"] = "/other"
    assert (config.safemode, config.display.limit, config["stores.main.location"]) == (True, 12, "/m")
    with pytest.raises(ConfigError, match=r"stores\.main\.secure"):
        twins[2]["stores.main.secure"] = "x"


# --- stores -----------------------------------------------------------------------------------------------


@pytest.mark.rule("configuration", "stores")
def test_stores_are_replaced_as_a_whole_or_set_one_by_one() -> None:
    config = Config()
    config["stores"] = {"default": "a", "a": {"protocol": "file", "location": "/a"}}
    config.stores["b"] = {"location": "/b"}
    config["stores.b.project_name"] = "p"
    assert set(config.stores) == {"default", "a", "b"}
    assert config["stores"]["default"] == config["stores.default"] == "a"
    assert config["stores"]["b"]["location"] == "/b"
    config.stores["b"] = {"location": "/c"}
    assert config["stores.b.project_name"] is None
    config["stores"] = {"c": {"location": "/c"}}
    assert list(config.stores) == ["c"]
    del config.stores["c"]
    assert not config.stores
    with pytest.raises(KeyError):
        del config.stores["c"]


def test_an_unknown_option_of_a_store_names_it() -> None:
    config = Config()
    with pytest.raises(ConfigError, match=r"stores\.main\.bukcet.*Did you mean stores\.main\.bucket"):
        config["stores"] = {"main": {"bukcet": "b"}}
    assert not config.stores


def test_object_storage_is_an_alias_of_stores() -> None:
    config = Config()
    config.object_storage.protocol = "file"
    config.object_storage.location = "/d"
    config.object_storage.project_name = "tutorial"
    config.object_storage.stores["raw"] = {"protocol": "file", "location": "/raw"}
    assert config.object_storage.stores is config.stores
    assert config.object_storage["location"] == config["object_storage.location"] == "/d"
    spec = config.get_object_store_spec()
    assert (spec["protocol"], spec["location"], spec["project_name"]) == ("file", "/d", "tutorial")
    assert config.get_object_store_spec("raw")["location"] == config["object_storage.stores.raw.location"]
    config["stores.default"] = "raw"
    assert config.object_storage.location == "/raw"
    with pytest.raises(ConfigError, match=r"object_storage\.lokation.*Did you mean object_storage\.location"):
        config.object_storage.lokation = "x"


def test_object_storage_of_a_file_keeps_its_own_options_and_its_named_stores(project: Path) -> None:
    content = {
        "object_storage": {
            "project_name": "p",
            "location": "/d",
            "stores": {"raw": {"location": "/raw"}, "arch": {"protocol": "s3", "bucket": "b"}},
        }
    }
    config = loaded(project, content=content)
    assert config.get_object_store_spec()["location"] == "/d"
    assert config.get_object_store_spec("arch")["bucket"] == "b"
    assert config.source_of("stores.raw.location") == str(project / "datajoint.json")


def test_a_rejected_option_makes_no_default_store() -> None:
    config = Config()
    with pytest.raises(ConfigError):
        config.object_storage.secure = "perhaps"
    assert not config.stores


def test_a_store_that_is_missing_or_incomplete_says_what_to_set() -> None:
    config = Config()
    with pytest.raises(ConfigError, match=r"stores\.default"):
        config.get_object_store_spec()
    config["stores"] = {"main": {"protocol": "s3"}, "files": {}, "az": {"protocol": "azure"}}
    for name, key in {"main": "bucket", "files": "location", "az": "container"}.items():
        with pytest.raises(ConfigError, match=rf"stores\.{name}\.{key}"):
            config.get_store_spec(name)
    with pytest.raises(ConfigError, match=r"stores\.mian.*stores\.main"):
        config.get_object_store_spec("mian")
    with pytest.raises(KeyError, match="no default store"):
        config["stores"]["default"]


@pytest.mark.rule("configuration", "stores")
def test_a_single_store_is_the_default() -> None:
    config = Config()
    config["stores"] = {"only": {"location": "/o"}}
    assert config["stores"]["default"] == "only"
    assert config.get_object_store_spec()["location"] == "/o"


# --- the server -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("embedded", None, None)),
        ({"user": "u", "password": "p"}, ("embedded", None, None)),
        ({"port": 3306}, ("mysql", "localhost", 3306)),
        ({"port": 5432}, ("postgresql", "localhost", 5432)),
        ({"host": "h"}, ("mysql", "h", 3306)),
        ({"host": "h", "port": 5432}, ("postgresql", "h", 5432)),
        ({"host": "h", "port": 3307}, ("mysql", "h", 3307)),
        ({"host": "h:5432"}, ("postgresql", "h", 5432)),
        ({"host": "[::1]:5432"}, ("postgresql", "::1", 5432)),
        ({"host": "::1"}, ("mysql", "::1", 3306)),
        ({"host": "/run/pg", "backend": "postgresql"}, ("postgresql", "/run/pg", 5432)),
        ({"host": "h", "backend": "postgresql", "port": 55432}, ("postgresql", "h", 55432)),
        ({"backend": "postgresql"}, ("postgresql", "localhost", 5432)),
        ({"backend": "mysql"}, ("mysql", "localhost", 3306)),
        ({"backend": "embedded", "host": "h"}, ("embedded", None, None)),
    ],
)
def test_host_port_and_backend_decide_the_server(
    settings: dict[str, Any], expected: tuple[str, str | None, int | None]
) -> None:
    config = Config()
    config["database"] = settings
    address = connection_settings(config)
    assert (address.backend, address.host, address.port) == expected


def test_two_ports_are_an_error() -> None:
    config = Config()
    config["database"] = {"host": "h:3307", "port": 3306}
    with pytest.raises(ConfigError, match=r"3307.*3306"):
        connection_settings(config)


def test_what_a_call_says_wins_over_the_settings() -> None:
    config = Config()
    config["database"] = {"host": "h", "port": 3307, "user": "u", "password": "p", "use_tls": True}
    address = connection_settings(config, host="other:5432", user="v", use_tls=False, password="q")
    assert (address.backend, address.host, address.port) == ("postgresql", "other", 5432)
    assert (address.user, address.password, address.tls) == ("v", "q", False)
    config["database.backend"] = "embedded"
    assert connection_settings(config, host="named").backend == "mysql"
    assert connection_settings(config).tls is False


def test_encoding_is_utf8_in_the_words_of_the_server() -> None:
    config = Config()
    config["database"] = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}
    found = [connection_settings(config, backend=kind) for kind in ("mysql", "postgresql", "embedded")]
    names = [(address.charset, address.collation) for address in found]
    assert names == [("utf8mb4", "utf8mb4_bin"), ("UTF8", "C"), ("UTF8", "C")]
    config["database.collation"] = "de-x-icu"
    assert connection_settings(config, backend="postgresql").collation == "de-x-icu"
    config["database.charset"] = "latin1"
    with pytest.raises(ConfigError, match=r"database\.charset.*latin1"):
        connection_settings(config)


def test_importing_settings_does_not_import_pydantic() -> None:
    program = "import sys, dj_schema.settings, dj_schema.server_address; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
