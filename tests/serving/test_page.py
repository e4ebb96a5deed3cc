"""The script of the page, run by Node.js where that is installed: how words are shown, and what it keeps of images."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.serving import server

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")

# As much of a browser as the script needs.
BROWSER = """
class Element {
  constructor(tag) { this.tag = tag; this.children = []; this.style = {}; this.attributes = {}; this.on = {}; }
  get classList() { return { add() {}, remove() {} }; }
  addEventListener(name, does) { this.on[name] = does; }
  setAttribute(name, value) { this.attributes[name] = value; }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  get text() { return this.children.map((child) => child.text === undefined ? String(child) : child.text).join(""); }
  find(is) {
    return [...(is(this) ? [this] : []), ...this.children.flatMap((child) => child.find ? child.find(is) : [])];
  }
}
globalThis.document = { createElement: (tag) => new Element(tag) };
globalThis.location = { origin: "http://localhost" };
globalThis.FormData = class { append() {} };
let made = 0;
const kept = new Set();
URL.createObjectURL = () => { kept.add("blob:" + ++made); return "blob:" + made; };
URL.revokeObjectURL = (url) => kept.delete(url);
"""


def run(script):
    """Returns what a script prints as JSON that is run behind that of the page, which does not start."""
    page = Path(server.__file__).with_name("page.html").read_text(encoding="utf-8")
    (own,) = re.findall(r"<script>(.*?)\nstart\(\);\n</script>", page, re.DOTALL)
    ended = subprocess.run([NODE, "-"], input=f"{own}\n{BROWSER}\n{script}", capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def tagged(line, *words):
    """Returns the parts that the page shows of a line, given (token, tag, start, end) of its words."""
    names = ("token", "tag", "start", "end")
    rows = [dict(zip(names, word, strict=False), probability=0.5) for word in words]
    shown = "children.map((part) => part.children.map((child) => child.text === undefined ? child : child.text))"
    return run(f"console.log(JSON.stringify(tagged({json.dumps(rows)}, {json.dumps(line)}).{shown}));")


def test_words_stand_with_their_tags():
    found = tagged("In Rio de Janeiro.", *_spans("In Rio de Janeiro .", "O B-LOC I-LOC I-LOC O"))
    assert found == [["In"], [" "], ["Rio de Janeiro", "LOC"], ["."]]
    assert tagged("", ("a", "B-X"), ("b", "I-X"), ("c", "O")) == [[" "], ["a b", "X"], [" "], ["c"]]


def _spans(words, tags):
    found, start = [], 0
    for word, tag in zip(words.split(), tags.split(), strict=True):
        start += not (start == 0 or word == ".")
        found.append((word, tag, start, start + len(word)))
        start += len(word)
    return found


@pytest.mark.parametrize(
    ("tags", "shown"),
    [
        (("O", "O"), [["du"]]),
        (("ADP", "DET"), [["du", "ADP+DET"]]),
        (("PRON", "PRON"), [["du", "PRON+PRON"]]),
        (("O", "B-LOC"), [["du", "LOC"]]),
        (("B-LOC", "O"), [["du", "LOC"]]),
        (("B-LOC", "I-LOC"), [["du", "LOC"]]),
    ],
)
def test_words_of_one_token_are_shown_once(tags, shown):
    found = tagged(
        "vin du nord", ("vin", "O", 0, 3), ("de", tags[0], 4, 6), ("le", tags[1], 4, 6), ("nord", "O", 7, 11)
    )
    assert found == [["vin"], [" "], *shown, [" "], ["nord"]]


def test_an_entity_that_begins_within_a_token_goes_on_behind_it():
    words = ("de", "O", 0, 2), ("le", "B-LOC", 0, 2), ("nord", "I-LOC", 3, 7)
    assert tagged("du nord", *words) == [["du nord", "LOC"]]


def test_images_that_are_no_longer_shown_are_let_go():
    about = {
        **{"name": "x", "recipe": "x", "title": "X", "purpose": "", "takes": "images", "makes": False},
        **{"animates": False, "image_shape": [8, 8, 1], "classes": [], "settings": [], "scores": []},
    }
    script = """
    (async () => {
      const answered = [];
      globalThis.fetch = () => new Promise((answer) => answered.push(answer));
      const good = { ok: true, json: async () => ({ predictions: [{ label: "a", probability: 1 }] }) };
      const tick = () => new Promise((done) => setTimeout(done, 5));
      const whole = section(ABOUT, { batch_size: 4, max_upload: 1 });
      const [drop] = whole.find((each) => each.attributes.class === "drop");
      const send = (...files) => drop.on.drop({ preventDefault() {}, dataTransfer: { files } });
      const shown = () => whole.find((each) => each.tag === "img").map((each) => each.attributes.src);
      const seen = [];
      send({ name: "1" }); answered[0](good); await tick();
      seen.push([shown(), [...kept]]);
      send({ name: "2" }); send({ name: "3" });  // the answer to 2 comes when nobody looks at it any more
      answered[2](good); answered[1](good); await tick();
      seen.push([shown(), [...kept]]);
      console.log(JSON.stringify(seen));
    })();
    """
    seen = run(script.replace("ABOUT", json.dumps(about)))
    assert seen == [[["blob:1"], ["blob:1"]], [["blob:3"], ["blob:3"]]]
