"""Requests of the HTTP service: what a body holds, as inputs and settings; and how OpenAPI describes it."""

import json

from kit.config import Text
from kit.errors import KitError, SettingError, guess, shown

_JSON_KEYS = ("text", "settings", "animation")


class Unsupported(KitError):
    """A body of a kind that the run does not take."""


async def read(request, served):
    """Returns inputs, settings and whether an animation is asked for, as `ServedRun.job` takes them.

    Args:
        request: The request of Starlette.
        served: The `ServedRun`.

    Raises:
        KitError: the body is damaged, or of a kind that the run does not take.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data" and served.takes == "images":
        return await _read_form(request, served.limits.batch_size)
    body = await request.body()
    if kind == "application/json" or not body:
        return _read_json(body, served.takes == "text")
    if served.takes == "images" and (kind.startswith("image/") or kind == "application/octet-stream"):
        return [("image", body)], {}, False
    if served.takes == "text" and kind == "text/plain":
        return [_decoded(body)], {}, False
    expected = {"images": "an image, or a form with images", "text": "JSON, or text/plain", "nothing": "JSON"}
    raise Unsupported(f"content-type: {kind[:60]!r}; expected {expected[served.takes]}")


async def _read_form(request, most):
    """Reads a form: its files are images, its other fields settings."""
    images, asked = [], {}
    # A field is a setting; all that is larger is refused by the parser.
    async with request.form(max_files=most, max_fields=20, max_part_size=10_000) as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                asked[name] = Text(value)
            elif value.filename or value.size:  # a browser sends an empty one where no file was chosen
                images.append(((value.filename or "image")[:200], await value.read()))
    return images, asked, False


def _decoded(body):
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KitError(f"body: not UTF-8 ({error.reason} at byte {error.start}); expected text") from None


def _read_json(body, is_text):
    if not body:
        return [], {}, False
    try:
        content = json.loads(_decoded(body), parse_constant=_refuse_constant)
    except KitError:
        raise
    except (ValueError, RecursionError) as error:
        raise KitError(f"body: no JSON ({' '.join(str(error).split())[:120]})") from None
    if not isinstance(content, dict):
        raise KitError(f"body: expected a JSON object, got {shown(content)[:60]}")
    for key in content:
        if key not in _JSON_KEYS:
            raise SettingError(key[:60], f"no such key; expected {', '.join(_JSON_KEYS)}{guess(key[:60], _JSON_KEYS)}")
    text, asked, animation = content.get("text", []), content.get("settings", {}), content.get("animation", False)
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise SettingError("text", "expected a text, or a list of texts")
    if texts and not is_text:
        raise SettingError("text", "expected none: this run takes no text")
    if not isinstance(asked, dict):
        raise SettingError("settings", "expected an object of settings by name")
    if not isinstance(animation, bool):
        raise SettingError("animation", "expected true or false")
    return texts, asked, animation


def _refuse_constant(name):
    raise ValueError(f"{name} is no number of JSON")


def described(served):
    """Returns how OpenAPI describes the body of a request to a run."""
    about = served.describe()
    properties = {each["name"]: _schema(each) for each in about["settings"]}
    settings = {"type": "object", "properties": properties, "additionalProperties": False}
    fields = {"settings": settings} if properties else {}
    content = {}
    if served.takes == "text":
        text = {"type": "string", "maxLength": served.limits.max_text}
        if len(served.parts) > 1:
            text["description"] = f"In each line {' and '.join(served.parts)}, with a tab between them."
        fields = {"text": {"oneOf": [text, {"type": "array", "items": text}]}, **fields}
        content["text/plain"] = {"schema": text}
    if served.animates:
        fields["animation"] = {"type": "boolean", "default": False, "description": "Send an animation of it (GIF)."}
    if served.takes != "images" or served.makes:
        required = ["text"] if served.takes == "text" else []
        schema = {"type": "object", "properties": fields, "required": required, "additionalProperties": False}
        content["application/json"] = {"schema": schema}
    if served.takes == "images":
        file = {"type": "string", "format": "binary"}
        images = {"type": "array", "items": file, "maxItems": served.limits.batch_size}
        form = {"type": "object", "properties": {"images": images, **properties}, "required": ["images"]}
        content = {"multipart/form-data": {"schema": form}, "image/*": {"schema": file}, **content}
    return {"required": served.takes != "nothing" and not served.makes, "content": content}


def _schema(setting):
    kinds = {"integer": "integer", "number": "number", "list": "array"}
    schema = {"type": kinds.get(setting["kind"], "string"), "description": setting["meaning"]}
    if setting["kind"] == "list":
        schema["items"] = {"type": "string"}
    named = {"enum": "options", "default": "default", "minimum": "least", "maximum": "most"}
    return schema | {key: setting[name] for key, name in named.items() if setting[name] is not None}
