"""A second, differently written right answer for each exercise of `tsm`."""

import torch
import torch.nn.functional as F


def temporal_shift(x, fraction=1 / 8, mode="both"):
    m = int(x.shape[2] * fraction) * (mode != "none")
    later, rest = x[:, :, :m], x[:, :, m:]
    parts = [F.pad(later, (0, 0, 0, 0, 0, 0, 1, 0))[:, :-1]]
    if mode == "both":
        earlier, rest = rest[:, :, :m], rest[:, :, m:]
        parts.append(F.pad(earlier, (0, 0, 0, 0, 0, 0, 0, 1))[:, 1:])
    return torch.cat([*parts, rest], dim=2)


class StreamingShift:
    def __init__(self, fraction):
        self.fraction = fraction
        self.reset()

    def __call__(self, frame):
        m = int(frame.shape[1] * self.fraction)
        out = frame.clone()
        out[:, :m] = 0 if self.last is None else self.last[:, :m]
        self.last = frame.clone()
        return out

    def reset(self):
        self.last = None


def order_gap(model, clips):
    backwards = torch.stack([clips[:, t] for t in reversed(range(clips.shape[1]))], dim=1)
    return float(torch.max(torch.abs(model(clips) - model(backwards))))


def bytes_moved(c, t, h, w, fraction, mode, bytes_each):
    directions = ["past"] if mode == "past" else ["past", "future"] if mode == "both" else []
    return sum(int(c * fraction) * max(t - 1, 0) * h * w * bytes_each for _ in directions)


ALTERNATIVES = {"tsm.temporal_shift": temporal_shift, "tsm.streaming_shift": StreamingShift, "tsm.order_gap": order_gap, "tsm.bytes_moved": bytes_moved}
