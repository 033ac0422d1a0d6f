"""Verses: parsing, passages, and what ships."""

import numpy as np
import pytest

from tinylib.core.errors import TinylibError
from tinylib.datasets import verses


def test_lines_are_parsed_and_cut_within_a_chapter():
    found = verses.parse(["1Ki2:3 And the LORD's house, was", "1Ki2:4 " + "word " * 60])
    assert found[0] == ("1Ki2", ["and", "the", "lord's", "house", "was"])
    cut = verses.passages(found)
    assert [(c, len(w)) for c, w in cut] == [("1Ki2", 47)] and cut[0][1][:5] == found[0][1]
    with pytest.raises(TinylibError, match="not a verse"):
        verses.parse(["no verse"])


def test_what_ships():
    data = verses.load()
    parts = (data.train, data.val, data.test)
    assert [len(p) for p in parts] == [12172, 1994, 2070] and len(data.words) == 2003
    assert all(p.tokens.shape[1] == 48 and (p.tokens[:, 0] == verses.CLS).all() and p.tokens.max() < 2003 for p in parts)
    assert (np.bincount(data.test.labels, minlength=6) > 100).all()
    rows = [{tuple(row) for row in p.tokens.tolist()} for p in parts]
    assert len(rows[0] & rows[2]) <= 2          # repeated chapters exist in the text itself
