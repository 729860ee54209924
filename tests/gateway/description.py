"""Stripe's own description as a judge: is this object, this answer, this request one that Stripe would give or take?

The description (an OpenAPI file beside the checkout) is closed first: a member it does not name is a violation, so that
an invented field shows. It lags the library by two versions; ``overlay`` says what
``2026-10-28.endive`` changed and what is described nowhere but has always been answered.
"""

import json
import re
import sqlite3
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import pytest

from tests.gateway.overlay import ADDED, PARAMETERS

Json = dict[str, Any]

FOLDER = Path(__file__).parents[2].parent / "shared" / "stripe"
_FILE = "openapi-*.pruned.json"
_ANY: Json = {}


def available() -> bool:
    """Whether the description lies beside the checkout."""
    return any(FOLDER.glob(_FILE))


needs_description = pytest.mark.skipif(
    not available(), reason=f"Stripe's description is not at {FOLDER}; put {_FILE} there to check against it"
)


@cache
def _document() -> Json:
    path = next(iter(sorted(FOLDER.glob(_FILE))))
    return cast("Json", json.loads(path.read_text()))


# From OpenAPI 3.0 to JSON Schema


def _convert(node: Any) -> Any:
    """``nullable`` becomes a branch, references move, and objects are closed."""
    if isinstance(node, list):
        return [_convert(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    given = cast("Json", node)
    if "$ref" in given:
        return {"$ref": given["$ref"].replace("#/components/schemas/", "#/$defs/")}
    schema: Json = {}
    for name, value in given.items():
        if name in ("nullable", "description", "format", "title") or name.startswith("x-"):
            continue
        if name == "properties":
            schema[name] = {key: _convert(item) for key, item in cast("Json", value).items()}
        else:
            schema[name] = _convert(value)
    if "properties" in schema and "additionalProperties" not in schema:
        schema["additionalProperties"] = False
    return {"anyOf": [schema, {"type": "null"}]} if given.get("nullable") else schema


@cache
def _definitions() -> Json:
    schemas = cast("Json", _document()["components"]["schemas"])
    found: Json = {}
    for name, schema in schemas.items():
        closed = _convert(schema)
        # An empty object in the description is one whose members are not told: it stays open.
        if name in ADDED:
            closed["properties"].update(ADDED[name])
        found[name] = closed
    # What an event carries is any object; it is judged by its own name.
    found["notification_event_data"]["properties"]["object"] = _ANY
    found["notification_event_data"]["properties"]["previous_attributes"] = _ANY
    return found


@cache
def _validator(schema_text: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for({**json.loads(schema_text), "$defs": _definitions()})


def _faults(schema: Json, value: Any) -> list[str]:
    return _faults_by(json.dumps(schema, sort_keys=True), value)


def _faults_by(schema_text: str, value: Any) -> list[str]:
    judge = _validator(schema_text)
    return [f"{'/'.join(map(str, fault.instance_path)) or '.'}: {_words(fault)}" for fault in judge.iter_errors(value)]


def _words(fault: jsonschema_rs.ValidationError) -> str:
    """What is wrong, without the whole object it is wrong in: of the branches tried, the nearest one's fault."""
    if isinstance(fault.kind, jsonschema_rs.ValidationErrorKind.AnyOf):
        branches = [branch for branch in fault.kind.context if branch]
        deepest = max((error for branch in branches for error in branch), key=lambda error: len(error.instance_path))
        return f"{'/'.join(map(str, deepest.instance_path))}: {deepest.verbose_message[-300:]}"
    return fault.message[-300:]


# The three questions


def check_object(body: Json) -> list[str]:
    """What is wrong with an object by the schema of its ``object`` member; an event is judged with its cargo."""
    kind = str(body.get("object"))
    if kind == "list":
        return [fault for row in body["data"] for fault in check_object(row)]
    name = f"deleted_{kind}" if body.get("deleted") else kind
    if name not in _definitions():
        return [f"no object is called {name}"]
    faults = [f"{name} {body.get('id')}: {fault}" for fault in _faults({"$ref": f"#/$defs/{name}"}, body)]
    if kind == "event":
        faults += [f"{body['type']}: {fault}" for fault in check_object(body["data"]["object"])]
    return faults


@lru_cache(10_000)
def _operation(method: str, path: str) -> tuple[str, Json] | None:
    paths = cast("Json", _document()["paths"])
    # A path that is written out comes before one whose braces would take it in.
    for template, methods in sorted(paths.items(), key=lambda row: row[0].count("{")):
        pattern = "^" + re.sub(r"\{\w+\}", "[^/]+", template) + "$"
        if method.lower() in methods and re.match(pattern, path):
            return template, cast("Json", methods[method.lower()])
    return None


def check_answer(method: str, path: str, status: int, body: Json) -> list[str]:
    """What is wrong with an answer by the operation it belongs to."""
    found = _operation(method, path)
    if status >= 400:
        # `request_log_url` and the like are described; the refused method of an error is judged with it.
        return _faults({"$ref": "#/$defs/error"}, body)
    if found is None:
        return check_object(body)
    faults = [f"{method} {path}: {fault}" for fault in _faults_by(_given(method.lower(), found[0], status), body)]
    return faults + ([] if "object" not in body else check_object(body))


def check_request(method: str, path: str, form: Json) -> list[str]:
    """What is wrong with a request; ``form`` is the decoded form or query with its texts."""
    found = _operation(method, path)
    if found is None:
        return []
    schema, schema_text = _taken(method.lower(), found[0])
    return [f"{method} {path}: {fault}" for fault in _faults_by(schema_text, _typed(form, schema))]


@cache
def _given(method: str, template: str, status: int) -> str:
    """The schema of what an operation answers, as text."""
    answers = _document()["paths"][template][method]["responses"]
    schema = _convert(answers.get(str(status), answers["default"])["content"]["application/json"]["schema"])
    return json.dumps(schema, sort_keys=True)


@cache
def _taken(method: str, template: str) -> tuple[Json, str]:
    """The schema of what an operation takes; it lives as long as the process (`_fits` counts on that)."""
    schema = _parameters(method, template, _document()["paths"][template][method])
    return schema, json.dumps(schema, sort_keys=True)


def parameters(method: str, path: str) -> set[str] | None:
    """The names of an operation's parameters; None for an operation that is not described."""
    found = _operation(method, re.sub(r"\{\w+\}", "x", path))
    return None if found is None else set(_parameters(method.lower(), *found)["properties"])


def _parameters(method: str, template: str, operation: Json) -> Json:
    if method in ("post", "delete"):
        content = operation["requestBody"]["content"]
        schema = cast("Json", _convert(next(iter(content.values()))["schema"]))
    else:
        rows = [row for row in operation.get("parameters", []) if row["in"] == "query"]
        schema = cast("Json", {"type": "object", "additionalProperties": False})
        schema["properties"] = {row["name"]: _convert(row["schema"]) for row in rows}
        schema["required"] = [row["name"] for row in rows if row.get("required")]
    added, gone = PARAMETERS.get((method, template), ({}, ()))
    schema["properties"] = {k: v for k, v in {**schema["properties"], **added}.items() if k not in gone}
    return schema


def _typed(value: Any, schema: Json) -> Any:
    """A form's texts as what the schema wants of them, where they can be that."""
    for branch in cast("list[Json]", schema.get("anyOf", [])):
        typed = _typed(value, branch)
        if _fits(branch, typed):
            return typed
    if isinstance(value, dict):
        members = cast("Json", schema.get("properties", {}))
        rest = schema.get("additionalProperties")
        other: Json = cast("Json", rest) if isinstance(rest, dict) else {}
        return {key: _typed(item, members.get(key, other)) for key, item in cast("Json", value).items()}
    if isinstance(value, list):
        return [_typed(item, schema.get("items", {})) for item in cast("list[Any]", value)]
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", str(value)):
        return int(value)
    if schema.get("type") == "number" and re.fullmatch(r"-?\d+(\.\d+)?", str(value)):
        return float(value)
    if schema.get("type") == "boolean" and value in ("true", "false"):
        return value == "true"
    return [] if schema.get("type") == "array" and value == "" else value


_branches: dict[int, jsonschema_rs.Validator] = {}


def _fits(branch: Json, value: Any) -> bool:
    if id(branch) not in _branches:
        _branches[id(branch)] = jsonschema_rs.validator_for(branch)
    return _branches[id(branch)].is_valid(value)


# A whole run


def audit_store(store_path: Path) -> list[str]:
    """Violations over everything a stand-in has ever answered, sent and been asked; empty when all is well."""
    found: list[str] = []
    connection = sqlite3.connect(f"file:{store_path}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT method, path, form, status, answer FROM requests ORDER BY seq").fetchall()
        for method, path, form, status, answer in rows:
            if status is not None and status < 400:
                found += check_request(method, path, json.loads(form))
            if status is not None and answer is not None:
                found += check_answer(method, path, status, json.loads(answer))
        for (body,) in connection.execute("SELECT body FROM events ORDER BY seq"):
            found += check_object(json.loads(body))
        for (body,) in connection.execute("SELECT body FROM objects ORDER BY seq"):
            shown = {name: value for name, value in json.loads(body).items() if not name.startswith("_")}
            found += check_object(shown)
    finally:
        connection.close()
    return found
