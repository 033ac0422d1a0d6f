"""A field on which a small picture is dragged, grown and turned with the mouse: what a panel's `Drag` control looks like in the browser.

One stroke goes from pressing the button to letting it go, as rows of time (ms), right, down (pixels of the field from its centre), size (1 is the
picture as it is) and turn (radians, clockwise). Only whole strokes come to Python.
"""

import math

import anywidget
import traitlets

MOST_ROWS = 600

SCRIPT = """
const MODES = [["move", "move"], ["size", "grow or shrink"], ["turn", "turn"]];

function render({ model, el }) {
  const side = model.get("side"), zoom = Math.floor(264 / side), shape = model.get("shape"), home = model.get("home"), most = model.get("most");
  const sprite = document.createElement("canvas");
  [sprite.height, sprite.width] = shape;
  const bytes = new Uint8Array(model.get("sprite").buffer, model.get("sprite").byteOffset, shape[0] * shape[1]);
  const pixels = sprite.getContext("2d").createImageData(shape[1], shape[0]);
  bytes.forEach((v, i) => pixels.data.set([v, v, v, v > 12 ? 255 : 0], 4 * i));
  sprite.getContext("2d").putImageData(pixels, 0, 0);

  const root = document.createElement("div"), bar = document.createElement("div"), field = document.createElement("canvas");
  const note = document.createElement("div");
  root.className = "tinylib-drag";
  field.className = "tinylib-drag-field";
  field.width = field.height = side * zoom;
  field.setAttribute("role", "img");
  field.setAttribute("aria-label", "Field for drawing with the mouse. The sliders beside it do the same without one.");
  note.className = "tinylib-drag-note";
  let mode = "move", pose = [0, 0, home, 0], stroke = null, begin = 0;

  for (const [name, label] of MODES) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.dataset.mode = name;
    button.setAttribute("aria-pressed", String(name === mode));
    button.onclick = () => {
      mode = name;
      pose = name === "size" ? [0, 0, home / 2, 0] : [0, 0, home, 0];
      for (const other of bar.children) other.setAttribute("aria-pressed", String(other === button));
      say(); draw();
    };
    bar.append(button);
  }

  function say() {
    const hint = { move: "Press on the field, drag, let go. The wheel grows or shrinks on the way.",
                   size: "Press near the centre and pull outwards, or the other way.", turn: "Press above the centre and drag around it." }[mode];
    note.textContent = model.get("value").length ? "Seen. Draw again, or move a slider. " + hint : hint;
  }

  function draw(trail = []) {
    const g = field.getContext("2d"), middle = field.width / 2;
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.fillStyle = "#000";
    g.fillRect(0, 0, field.width, field.height);
    g.imageSmoothingEnabled = false;
    g.translate(middle + pose[0] * zoom, middle + pose[1] * zoom);
    g.rotate(pose[3]);
    g.scale(pose[2] * zoom, pose[2] * zoom);
    g.drawImage(sprite, -shape[1] / 2, -shape[0] / 2);
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.fillStyle = "#E69F00";
    for (const [, x, y] of trail) g.fillRect(middle + x * zoom - 1, middle + y * zoom - 1, 3, 3);
  }

  function place(event) {                       // of the pointer, in pixels of the field from its centre
    const box = field.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map(v => Math.max(-side / 2, Math.min(side / 2, v / box.width * side - side / 2)));
  }

  function follow(event) {
    const [x, y] = place(event);
    if (mode === "move") pose = [x, y, pose[2], 0];
    if (mode === "size") pose = [0, 0, clamp(2 * Math.hypot(x, y) / shape[0]), 0];
    if (mode === "turn") pose = [0, 0, home, pose[3] + wrapped(Math.atan2(x, -y) - pose[3])];
  }

  const clamp = size => Math.max(0.2, Math.min(1.2, size));
  const wrapped = angle => Math.atan2(Math.sin(angle), Math.cos(angle));

  function add(event) {
    stroke.push([Math.round(event.timeStamp - begin), ...pose.map(v => Math.round(v * 1000) / 1000)]);
    if (stroke.length > most) stroke.splice(1, stroke.length - most);
    draw(stroke);
  }

  field.onpointerdown = event => {
    if (event.button !== 0) return;
    event.preventDefault();
    field.setPointerCapture(event.pointerId);
    pose = [0, 0, home, 0];
    stroke = [];
    begin = event.timeStamp;
    follow(event);
    add(event);
  };
  field.onpointermove = event => { if (stroke) { follow(event); add(event); } };
  field.addEventListener("wheel", event => {
    if (!stroke) return;                        // without a pressed button the page scrolls as always
    event.preventDefault();
    pose[2] = clamp(pose[2] * Math.exp(-event.deltaY / 600));
    add(event);
  }, { passive: false });
  field.onpointerup = event => {
    const done = stroke;
    stroke = null;
    if (!done || done.length < 2) return;
    done.push([Math.max(done.at(-1)[0], Math.round(event.timeStamp - begin)), ...done.at(-1).slice(1)]);
    model.set("value", done);
    model.save_changes();
  };
  field.onpointercancel = () => { stroke = null; draw(); };

  model.on("change:value", () => { if (!model.get("value").length) { pose = [0, 0, home, 0]; draw(); } say(); });
  bar.className = "tinylib-drag-bar";
  root.append(bar, field, note);
  el.append(root);
  say(); draw();
}
export default { render };
"""

STYLE = """
.tinylib-drag { width: 264px; margin: 2px 16px 6px 0; }
.tinylib-drag-field { touch-action: none; cursor: grab; border: 1px solid #888; display: block; }
.tinylib-drag-field:active { cursor: grabbing; }
.tinylib-drag-bar button { margin: 0 4px 4px 0; padding: 2px 8px; border: 1px solid #888; background: transparent; color: inherit; cursor: pointer; }
.tinylib-drag-bar button[aria-pressed="true"] { background: #0072B2; color: #fff; border-color: #0072B2; }
.tinylib-drag-note { font-size: 12px; line-height: 1.35; padding-top: 3px; min-height: 2.8em; }
"""


class DragField(anywidget.AnyWidget):
    """The field. `value`: the last stroke, a list of rows (ms, right, down, size, turn); empty when there is none."""

    _esm = SCRIPT
    _css = STYLE
    side = traitlets.Int().tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)
    sprite = traitlets.Bytes().tag(sync=True)
    home = traitlets.Float().tag(sync=True)
    most = traitlets.Int(MOST_ROWS).tag(sync=True)
    value = traitlets.List().tag(sync=True)

    @traitlets.validate("value")
    def _rows(self, proposal) -> list:
        """Only rows of five finite numbers, at most MOST_ROWS + 1."""
        rows = [list(row) if isinstance(row, list | tuple) else [] for row in proposal["value"]]
        good = all(len(row) == 5 and all(isinstance(v, int | float) and math.isfinite(v) for v in row) for row in rows)
        if not good or len(rows) == 1 or len(rows) > MOST_ROWS + 1:
            raise traitlets.TraitError("a stroke has at least two rows of five numbers: ms, right, down, size, turn")
        return rows
