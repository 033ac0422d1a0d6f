"""Attacks by name: the answer cell that each hands in. Names in braces are filled in by the test."""

ATTACKS = {
    "always equal": r"""
class E:
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
    __sub__ = __rsub__ = __abs__ = lambda s, *o: s
    __bool__ = lambda s: True
    __int__ = __index__ = lambda s: 3
    __hash__ = lambda s: 0
def output_size(n, kernel, stride, padding, dilation):
    return E()
""",
    "int that is always equal": r"""
class E(int):
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
    __hash__ = int.__hash__
def output_size(n, kernel, stride, padding, dilation):
    return E(3)
""",
    "patched comparison": r"""
import numpy, builtins
numpy.all = numpy.allclose = numpy.array_equal = builtins.all = lambda *a, **k: True
def output_size(n, kernel, stride, padding, dilation):
    return -1
""",
    "patched engine": r"""
import tinylib.check.run as r, tinylib.check.facts as f
r.plain_facts = f.plain_facts = lambda *a: {'size': 0}
f.same = f.close = lambda *a: True
def output_size(n, kernel, stride, padding, dilation):
    return -1
""",
    "input transformer": r"""
try:
    get_ipython().input_transformers_post.append(lambda lines: [])
except NameError:
    pass
def output_size(n, kernel, stride, padding, dilation):
    return -1
""",
    "replaced builtins": r"""
import builtins
builtins.len = builtins.isinstance = builtins.type = lambda *a: True
def output_size(n, kernel, stride, padding, dilation):
    return -1
""",
    "replaced modules": r"""
import sys, types
for m in list(sys.modules):
    if m.startswith(('tinylib', 'numpy')):
        sys.modules[m] = types.ModuleType(m)
def output_size(n, kernel, stride, padding, dilation):
    return -1
""",
    "os._exit": r"""
import os
def output_size(n, kernel, stride, padding, dilation):
    os._exit(0)
""",
    "os._exit at the top": r"""
import os
os._exit(0)
def output_size(n, kernel, stride, padding, dilation):
    return 1
""",
    "SystemExit": r"""
def output_size(n, kernel, stride, padding, dilation):
    raise SystemExit(0)
""",
    "SystemExit at the top": r"""
raise SystemExit(0)
def output_size(n, kernel, stride, padding, dilation):
    return 1
""",
    "kills its server": r"""
import os, signal
def output_size(n, kernel, stride, padding, dilation):
    os.kill(os.getppid(), signal.SIGKILL)
    return -1
""",
    "closes every descriptor": r"""
import os
def output_size(n, kernel, stride, padding, dilation):
    os.closerange(0, 1000)
    return -1
""",
    "garbage on every descriptor": r"""
import os
def output_size(n, kernel, stride, padding, dilation):
    for d in range(64):
        try:
            os.write(d, b'\xff' * 4000)
        except OSError:
            pass
    return -1
""",
    "a forged frame": r"""
import os
def output_size(n, kernel, stride, padding, dilation):
    import tinylib.classroom.wire as w
    frame = w.pack({'runs': [{'kind': 'facts', 'facts': {'size': 0, 'passed': True, 'points': 99}, 'sentence': '', 'line_number': 0}] * 19, 'points': 99})
    for d in range(64):
        try:
            os.write(d, frame)
        except OSError:
            pass
    return -1
""",
    "endless loop": r"""
def output_size(n, kernel, stride, padding, dilation):
    while True:
        try:
            pass
        except BaseException:
            pass
""",
    "endless sleep": r"""
def output_size(n, kernel, stride, padding, dilation):
    import time
    time.sleep(10 ** 6)
""",
    "fork bomb": r"""
import os
def output_size(n, kernel, stride, padding, dilation):
    while True:
        try:
            os.fork()
        except OSError:
            pass
""",
    "10 GB": r"""
import numpy
def output_size(n, kernel, stride, padding, dilation):
    return int(numpy.ones(10 * 2 ** 27).sum())
""",
    "endless output": r"""
def output_size(n, kernel, stride, padding, dilation):
    while True:
        print('x' * 10 ** 6)
""",
    "a giant result": r"""
import numpy
def output_size(n, kernel, stride, padding, dilation):
    return numpy.zeros(19_000_000)
""",
    "an object with code in its reading": r"""
import os
class P:
    def __reduce__(self): return (os.system, ('touch {canary}',))
    def __repr__(self): os._exit(1)
def output_size(n, kernel, stride, padding, dilation):
    return P()
""",
    "an array subclass with code": r"""
import numpy
class A(numpy.ndarray):
    def __array_finalize__(self, o): pass
    def astype(self, *a): raise SystemExit
    def __eq__(self, o): return True
def output_size(n, kernel, stride, padding, dilation):
    return numpy.zeros(()).view(A)
""",
    "writes files": r"""
def output_size(n, kernel, stride, padding, dilation):
    for p in ('{canary}', '{root}/DECISIONS.md', '{root}/tinylib/check/verdict.py'):
        try:
            open(p, 'a').write('# was here')
        except OSError:
            pass
    return -1
""",
    "reads the solution": r"""
def output_size(n, kernel, stride, padding, dilation):
    text = open('{root}/solutions/01_start_here.py').read()
    space = {}
    exec(text[text.index('def output_size'):text.index('### END')], space)
    return space['output_size'](n, kernel, stride, padding, dilation)
""",
    "reads hidden instances": r"""
def output_size(n, kernel, stride, padding, dilation):
    assert 'windows' in open('{root}/solutions/hidden/start_here.py').read()
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
""",
    "reads another's work": r"""
def output_size(n, kernel, stride, padding, dilation):
    space = {}
    exec(open('{other}').read(), space)
    return space['output_size'](n, kernel, stride, padding, dilation)
""",
    "another's work by numpy": r"""
import numpy
def output_size(n, kernel, stride, padding, dilation):
    space = {}
    exec(bytes(numpy.fromfile('{other}', dtype='uint8')), space)
    return space['output_size'](n, kernel, stride, padding, dilation)
""",
    "another's work by a program": r"""
import subprocess
def output_size(n, kernel, stride, padding, dilation):
    space = {}
    exec(subprocess.run(['cat', '{other}'], capture_output=True).stdout, space)
    return space['output_size'](n, kernel, stride, padding, dilation)
""",
    "opens a socket": r"""
def output_size(n, kernel, stride, padding, dilation):
    import socket
    s = socket.create_connection(('127.0.0.1', {port}), 2)
    s.sendall(b'hello')
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
""",
    "calls the reference": r"""
def output_size(n, kernel, stride, padding, dilation):
    import sys
    sys.path.insert(0, '{root}')
    for m in [m for m in sys.modules if m.startswith('tinylib')]:
        del sys.modules[m]
    from tinylib.exercises.start_here import output_size as f
    return f(n, kernel, stride, padding, dilation)
""",
    "reads the grader's memory": r"""
def output_size(n, kernel, stride, padding, dilation):
    import os
    text = b''
    for p in os.listdir('/proc'):
        try:
            text += open(f'/proc/{p}/environ', 'rb').read() + open(f'/proc/{p}/cmdline', 'rb').read()
        except OSError:
            pass
    assert b'pytest' in text or b'python -m' in text
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
""",
    "leaves a process behind": r"""
import os, time
def output_size(n, kernel, stride, padding, dilation):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True: time.sleep(1)
        os._exit(0)
    return -1
""",
    "right for the visible cases only": r"""
{visible}
""",
    "visible cases by heart": r"""
{by_heart}
""",
}
