"""Dragging a panel's picture: the browser counts steps to the left or right, Python hears of them. Without it the slider does the same."""

import anywidget
import traitlets

STEP_PIXELS = 14

SCRIPT = """
export default {
  render({ model, el }) {
    const figure = (event) => {
      const panel = el.closest(".tinylib-panel");
      return panel && panel.contains(event.target) && event.target.classList.contains("tinylib-figure");
    };
    let from = null;
    const down = (event) => {
      if (!figure(event)) return;
      from = event.clientX;
      event.preventDefault();
    };
    const move = (event) => {
      if (from === null) return;
      const steps = Math.trunc((event.clientX - from) / STEP_PIXELS);
      if (steps === 0) return;
      from += steps * STEP_PIXELS;
      model.set("steps", model.get("steps") + steps);
      model.save_changes();
    };
    const up = () => { from = null; };
    document.addEventListener("pointerdown", down);
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", up);
    return () => {
      document.removeEventListener("pointerdown", down);
      document.removeEventListener("pointermove", move);
      document.removeEventListener("pointerup", up);
    };
  },
};
""".replace("STEP_PIXELS", str(STEP_PIXELS))


class PictureTurn(anywidget.AnyWidget):
    """Invisible. `steps` counts up while the picture of its panel is dragged to the right, down to the left."""

    _esm = SCRIPT
    steps = traitlets.Int(0).tag(sync=True)
