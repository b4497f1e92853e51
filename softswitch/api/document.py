"""The OpenAPI 3.1 document of the API, made of its operations. Pure.

Schemas are made of attrs classes, and say what their docstrings say, so that whoever changes a
class has changed the document. What every operation may answer stands here.
"""

import re
import types
from collections.abc import Iterable, Mapping
from inspect import getdoc
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from softswitch.api.operation import JSON, Operation, Parameter
from softswitch.api.problem import PROBLEM, Problem

#: Problems, and when there are any.
_PROBLEMS: Final = {
    400: "A parameter or the body is wrong; `field` says which.",
    401: "No token, or one that is not good.",
    403: "The token's role does not allow it, or a page from elsewhere asks.",
    404: "There is none of that name.",
    406: "Only another media type is to be had.",
    409: "It cannot be done as things stand.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    429: "Too many requests.",
    500: "The switch has failed at it.",
    503: "The switch cannot do it now.",
}

_PLAIN: Final[dict[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Any: {},
    type(None): {"type": "null"},
}


def document(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    """The whole document.

    :param version: of the switch.
    """
    schemas: dict[str, Any] = {}
    _schema(Problem, schemas)
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "softswitch",
            "version": version,
            "description": "What goes on in a running switch, and what an operator does there.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def problems(operation: Operation) -> list[int]:
    """The statuses of the problems that an operation may have."""
    found = {400, 406, 413, 429, 500, *operation.refusals}
    if operation.role is not None:
        found |= {401, 403}
    if operation.read is not None:
        found.add(415)
    return sorted(found)


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, shape in operation.answers.items():
        answers[str(status)] = {"description": _title(operation.about)}
        if shape is not None:
            content = {kind: _content(kind, shape, schemas) for kind in operation.kinds}
            answers[str(status)]["content"] = content
    for status in problems(operation):
        if str(status) not in answers:
            answers[str(status)] = {
                "description": _PROBLEMS[status],
                "content": {PROBLEM: {"schema": _reference(Problem)}},
            }
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "responses": dict(sorted(answers.items())),
        "security": [] if operation.role is None else [{"token": []}],
    }
    if operation.role is not None:
        described["x-role"] = operation.role
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in operation.names
    ]
    parameters += [_parameter(each) for each in operation.parameters]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        required = any(each.default is attrs.NOTHING for each in attrs.fields(operation.body))
        schema = _schema(operation.body, schemas, strict=True)
        described["requestBody"] = {"required": required, "content": {JSON: {"schema": schema}}}
    return described


def _content(kind: str, shape: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    return {"schema": _schema(shape, schemas)} if kind == JSON else {"schema": {"type": "string"}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.kind}
    if parameter.kind == "integer":
        schema |= {"minimum": parameter.least, "maximum": parameter.most}
    elif parameter.choices:
        schema["enum"] = list(parameter.choices)
    elif parameter.kind == "string":
        schema |= {"minLength": 1, "maxLength": parameter.longest}
    if parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.about,
        "required": False,
        "schema": schema,
    }


def _schema(shape: Any, schemas: dict[str, Any], strict: bool = False) -> dict[str, Any]:
    """The schema of a type; those of attrs classes stand among ``schemas``.

    :param strict: whether it is read, so that no other keys may be there.
    """
    if shape in _PLAIN:
        return dict(_PLAIN[shape])
    if attrs.has(shape):
        if shape.__name__ not in schemas:
            schemas[shape.__name__] = {}  # so that a class that names itself comes to an end
            schemas[shape.__name__] = _object(shape, schemas, strict)
        return _reference(shape)
    origin, parts = get_origin(shape), get_args(shape)
    if origin is Literal:
        return {"enum": list(parts)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(part, schemas, strict) for part in parts]}
    if origin in (list, tuple):
        return {"type": "array", "items": _schema(parts[0], schemas, strict)}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(parts[1], schemas, strict)}
    raise TypeError(f"{shape} has no schema: teach {__name__}")


def _object(shape: Any, schemas: dict[str, Any], strict: bool) -> dict[str, Any]:
    types_of, about = get_type_hints(shape), described(shape)
    properties: dict[str, Any] = {}
    for field in attrs.fields(shape):
        schema = _schema(types_of[field.name], schemas, strict)
        properties[field.name] = schema | {"description": about[field.name]}
        if strict and field.default is not attrs.NOTHING:
            properties[field.name]["default"] = field.default
    required = [
        field.name for field in attrs.fields(shape) if not strict or field.default is attrs.NOTHING
    ]
    found = {
        "type": "object",
        "description": _title(getdoc(shape) or ""),
        "properties": properties,
        "required": required,
    }
    return found | {"additionalProperties": False}


def described(shape: Any) -> dict[str, str]:
    """What a class's docstring says of its fields.

    :raises KeyError: from whoever looks up a field of which it says nothing.
    """
    text = getdoc(shape) or ""
    found = re.findall(r"^:ivar (\w+): (.+?)(?=^:|\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: " ".join(words.split()) for name, words in found}


def _title(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def _reference(shape: Any) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}
