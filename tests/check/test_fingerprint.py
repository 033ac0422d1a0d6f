"""Two functions have one fingerprint only when they are the same code on the same helpers and constants."""

import pytest

from tinylib.check.fingerprint import fingerprint


def made(source, name="f", **names):
    namespace = {"__name__": "__main__", **names}
    exec(source, namespace)
    return namespace[name]


SAME = "def f(x): return g(x) + LIMIT\ndef g(x): return x\nLIMIT = 3"


@pytest.mark.parametrize("other, equal", [
    (SAME, True),
    ("\n\n" + SAME, True),
    (SAME.replace("LIMIT = 3", "LIMIT = 4"), False),
    (SAME.replace("return x\n", "return -x\n"), False),
    (SAME.replace("f(x)", "f(x, y=1)"), False),
    (SAME.replace("+", "-"), False),
])
def test_functions(other, equal):
    assert (fingerprint(made(SAME)) == fingerprint(made(other))) is equal


CLASS = "import torch\nclass f(torch.nn.Module):\n    size = 3\n    def forward(self, x):\n        return [x for _ in range(3)]"


@pytest.mark.parametrize("other, equal", [(CLASS, True), (CLASS.replace("size = 3", "size = 4"), False), (CLASS.replace("range(3)", "range(4)"), False),
                                          (CLASS.replace("torch.nn.Module", "torch.nn.Identity"), False)])
def test_classes(other, equal):
    assert (fingerprint(made(CLASS)) == fingerprint(made(other))) is equal


def test_recursion_ends():
    assert fingerprint(made("def f(x): return g(x)\ndef g(x): return f(x)"))


def test_many_helpers_are_walked_once():
    chain = "\n".join(f"def h{i}(x): return h{i + 1}(x) + h{i + 1}(x) if x else (h{i + 1}, h{i + 2})" for i in range(60))
    assert fingerprint(made(chain + "\ndef h60(x): return 1\ndef h61(x): return 1", "h0"))


def test_what_cannot_be_named_is_never_remembered():
    assert fingerprint(made("import torch\nt = torch.ones(2)\ndef f(x): return x + t")) is None


def test_nobodys_eq_is_asked():
    class Hostile:
        def __eq__(self, other):
            raise AssertionError

    value = Hostile()
    assert fingerprint(lambda: value) is None
