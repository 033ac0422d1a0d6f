"""More attacks by class, for `make test-long`. A body is the function's; `TOP` splits off what stands before it. `{right}` is the right answer: an attack
that has got at something it should not know gives it, so that its zero says that it has not."""

# ruff: noqa: E501

HEAD = "def output_size(n, kernel, stride, padding, dilation):\n"
SPLIT = "TOP\n"


def cell(text: str) -> str:
    """The answer cell of an attack."""
    top, _, body = text.strip("\n").rpartition(SPLIT)
    return top + HEAD + "".join(f"    {line}\n" for line in body.splitlines())


FORKS = {
    "programs": "import subprocess\nwhile True:\n    subprocess.Popen(['sleep', '1000'])",
    "threads": "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(1000,)).start()",
    "by the C library": "import ctypes\nfork = ctypes.CDLL(None).fork\nwhile True:\n    fork()",
    "by multiprocessing": "import multiprocessing, time\nwhile True:\n    multiprocessing.get_context('fork').Process(target=time.sleep, args=(1000,)).start()",
    "new sessions": "import os, time\nwhile True:\n    try:\n        if os.fork() == 0:\n            os.setsid()\n    except OSError:\n        time.sleep(.01)",
    "deaf to signals": "import os, signal\nfor s in range(1, 65):\n    try:\n        signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\n"
                       "while True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
    "by the bare call": "import _posixsubprocess, os\nwhile True:\n    _posixsubprocess.fork_exec([b'/bin/sleep', b'1000'], [b'/bin/sleep'], True, (), None, None,"
                        " -1, -1, -1, -1, -1, -1, 3, 3, True, False, 0, None, None, None, -1, None, False)",
    "a shell's": "import os\nos.system(': () { : | : & }; :')\nreturn -1",
}
MEMORY = {
    "an anonymous map": "import mmap\nm = mmap.mmap(-1, 10 << 30)\nfor i in range(0, 10 << 30, 4096):\n    m[i] = 1\nreturn -1",
    "a map that is shared": "import mmap\nkeep = []\nwhile True:\n    keep.append(mmap.mmap(-1, 1 << 28))\n    keep[-1].write(b'x' * (1 << 28))",
    "doubling": "b = bytearray(1)\nwhile True:\n    b += b",
    "small objects": "keep = []\nwhile True:\n    keep.append([0])",
    "a text": "return len('x' * 10 ** 11)",
    "a number": "return (1 << (1 << 40)) % 7",
    "a power": "return 10 ** 10 ** 10 % 7",
    "torch": "import torch\nTOP\nreturn int(torch.ones(10 * 2 ** 27).sum())",
    "torch, bit by bit": "import torch\nTOP\nkeep = []\nwhile True:\n    keep.append(torch.zeros(2 ** 24) + 1)",
    "numpy, never touched": "import numpy\nreturn numpy.empty(10 ** 12).shape[0]",
    "files without names": "import os\nkeep = []\nwhile True:\n    f = os.memfd_create('x')\n    keep.append(f)\n    os.write(f, b'x' * (1 << 23))",
    "a full /tmp": "import os, tempfile\nfor i in range(10 ** 4):\n    open(f'/tmp/x{i}', 'wb').write(b'x' * (1 << 23))",
    "a full own folder": "import os\nfor i in range(10 ** 4):\n    open(f'x{i}', 'wb').write(b'x' * (1 << 16))",
    "a full /dev/shm": "for i in range(20):\n    open(f'/dev/shm/judge{i}', 'wb').write(b'x' * (1 << 23))\nreturn {right}",
    "one large file": "with open('x', 'wb') as f:\n    while True:\n        f.write(b'x' * (1 << 20))",
    "a file with holes": "with open('x', 'wb') as f:\n    f.seek(1 << 40)\n    f.write(b'x')\nreturn {right}",
    "many descriptors": "import os\nkeep = [os.open('/dev/null', 0) for i in range(10 ** 5)]\nreturn {right}",
    "memory of several processes": "import os\nfor _ in range(5):\n    if os.fork() == 0:\n        break\nb = bytearray(1 << 33)",
}
OUTPUT = {
    "descriptor 1": "import os\nwhile True:\n    os.write(1, b'x' * 10 ** 6)",
    "descriptor 2": "import os\nwhile True:\n    os.write(2, b'x' * 10 ** 6)",
    "the first stdout": "import sys\nwhile True:\n    sys.__stdout__.write('x' * 10 ** 6)",
    "warnings": "import warnings, itertools\nfor i in itertools.count():\n    warnings.warn(str(i) * 1000)",
    "logging": "import logging\nwhile True:\n    logging.critical('x' * 10 ** 6)",
    "every descriptor, for ever": "import os\nwhile True:\n    for d in range(3, 64):\n        try:\n            os.write(d, b'\\0' * 10 ** 6)\n        except OSError:\n            pass",
    "a frame that is too large": "import os, struct\nfor d in range(3, 64):\n    try:\n        os.write(d, struct.pack('<QQ', 1 << 40, 1 << 40))\n    except OSError:\n        pass\nreturn -1",
    "text that swells": "import os, struct\nt = b'{\"l\": [' + b','.join([b'{\"l\": []}'] * (1 << 22)) + b']}'\nfor d in range(3, 64):\n    try:\n"
                        "        os.write(d, struct.pack('<QQ', len(t), 0))\n        i = 0\n        while i < len(t):\n            i += os.write(d, t[i:])\n    except OSError:\n        pass\nreturn -1",
    "arrays that swell": "import os, struct, json\nt = json.dumps({'l': [{'a': ['|u1', [1 << 24], 0]}] * 10 ** 4}).encode()\nb = struct.pack('<QQ', len(t), 1 << 24) + t + bytes(1 << 24)\n"
                         "for d in range(3, 64):\n    i = 0\n    try:\n        while i < len(b):\n            i += os.write(d, b[i:])\n    except OSError:\n        pass\nreturn -1",
}
FILES = {
    "a symlink to it": "import os\nos.symlink('{canary}', 'x')\nopen('x', 'a').write('was here')\nreturn {right}",
    "a hard link to it": "import os\nos.link('{canary}', 'x')\nopen('x', 'a').write('was here')\nreturn {right}",
    "by /proc/self/root": "open('/proc/self/root{canary}', 'a').write('was here')\nreturn {right}",
    "by the parent's root": "import os\nopen(f'/proc/{os.getppid()}/root{canary}', 'a').write('was here')\nreturn {right}",
    "by the first process's root": "open('/proc/1/root{canary}', 'a').write('was here')\nreturn {right}",
    "upwards": "open('../' * 20 + '{canary}'[1:], 'a').write('was here')\nreturn {right}",
    "renamed over": "import os\nopen('x', 'w').write('was here')\nos.replace('x', '{canary}')\nreturn {right}",
    "removed": "import os\nos.remove('{canary}')\nreturn {right}",
    "cut to nothing": "import os\nos.truncate('{canary}', 0)\nreturn {right}",
    "by numpy": "import numpy\nnumpy.array([1]).tofile('{canary}')\nreturn {right}",
    "by numpy's map": "import numpy\nnumpy.memmap('{canary}', dtype='u1', mode='r+')[:] = 0\nreturn {right}",
    "by a program": "import subprocess\nsubprocess.run(['sh', '-c', 'echo was here >> {canary}'], check=True)\nreturn {right}",
    "by the C library": "import ctypes\nl = ctypes.CDLL(None)\nf = l.open(b'{canary}', 1025)\nl.write(f, b'was here', 8)\nreturn {right} if f >= 0 else -1",
    "by sqlite": "import sqlite3\nsqlite3.connect('{canary}').execute('create table t (x)')\nreturn {right}",
    "by logging": "import logging\nlogging.FileHandler('{canary}').emit(logging.makeLogRecord({'msg': 'was here'}))\nreturn {right}",
    "its own folder made a link": "import os\nd = os.getcwd()\nos.chdir('/')\nos.rename(d, d + 'x')\nos.symlink(os.path.dirname('{canary}'), d)\nreturn -1",
    "links left to be followed": "import os\nos.symlink(os.path.dirname('{canary}'), 'a')\nos.mkdir('b')\nos.symlink('{canary}', 'b/c')\nreturn -1",
    "folders nested too deep": "import os\nfor i in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\nreturn -1",
    "folders that are closed": "import os\nos.makedirs('a/b')\nos.chmod('a', 0)\nos.chmod('.', 0)\nreturn -1",
    "a device": "import os\nos.mknod('x', 0o60666, os.makedev(254, 0))\nreturn {right} if open('x', 'rb').read(1) else -1",
    "a mount": "import ctypes\nr = ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None)\nreturn {right} if r == 0 else -1",
    "the engine's code": "import tinylib.check.run as r\nopen(r.__file__, 'a').write('# was here')\nreturn {right}",
    "the environment's code": "import numpy\nopen(numpy.__file__, 'a').write('')\nreturn {right}",
}
SECRETS = {
    "the course by glob": "import glob\ns = {}\nt = open(glob.glob('{root}/solutions/*start_here.py')[0]).read()\nreturn {right}",
    "the course by import path": "import sys\nsys.path += ['{root}', '{root}/solutions']\nimport tinylib.exercises\nimport tinylib.exercises.start_here\nreturn {right}",
    "the hidden instances by import": "import importlib.util as u\ns = u.spec_from_file_location('h', '{root}/solutions/hidden/start_here.py')\n"
                                      "m = u.module_from_spec(s)\ns.loader.exec_module(m)\nreturn {right}",
    "environment of all": "import os\nt = b''\nfor p in os.listdir('/proc'):\n    try:\n        t += open(f'/proc/{p}/environ', 'rb').read()\n    except OSError:\n        pass\nassert b'PYTEST' in t\nreturn {right}",
    "command lines by ps": "import subprocess\nassert 'pytest' in subprocess.run(['ps', 'axeww'], capture_output=True, text=True).stdout\nreturn {right}",
    "descriptors of all": "import os\nfound = []\nfor p in os.listdir('/proc'):\n    if p.isdigit() and int(p) != os.getpid():\n        try:\n            found += [os.readlink(f'/proc/{p}/fd/{f}') for f in os.listdir(f'/proc/{p}/fd')]\n"
                          "        except OSError:\n            pass\nassert found\nreturn {right}",
    "the server's memory": "import os\nf = open(f'/proc/{os.getppid()}/mem', 'rb+', 0)\nreturn {right}",
    "the server's map": "import os\nassert open(f'/proc/{os.getppid()}/maps').read()\nreturn {right}",
    "ptrace": "import ctypes, os\nr = ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)\nreturn {right} if r == 0 else -1",
    "ptrace of a child that is stopped": "import ctypes, os\nl = ctypes.CDLL(None)\nassert l.ptrace(0x4206, os.getppid(), 0, 0) == 0\nreturn {right}",
    "process_vm_readv": "import ctypes, os\nb = ctypes.create_string_buffer(8)\n\nclass V(ctypes.Structure):\n    _fields_ = [('a', ctypes.c_void_p), ('n', ctypes.c_size_t)]\n"
                        "r = ctypes.CDLL(None).process_vm_readv(os.getppid(), ctypes.byref(V(ctypes.addressof(b), 8)), 1, ctypes.byref(V(id(b), 8)), 1, 0)\nreturn {right} if r > 0 else -1",
    "its descriptor by pidfd": "import ctypes, os\nl = ctypes.CDLL(None)\nfd = l.syscall(434, os.getppid(), 0)\nr = max(l.syscall(438, fd, k, 0) for k in range(3, 20))\nreturn {right} if r >= 0 else -1",
    "other sandboxes": "import glob\nassert [p for p in glob.glob('/tmp/*') if open(p + '/code/tinylib/classroom/worker.py') and p not in __import__('tinylib.check.run').__path__[0]]\nreturn {right}",
    "files of others in /tmp": "import os, tinylib.check.run as r\nassert [p for p in os.listdir('/tmp') if not p.startswith('tmp') and '/tmp/' + p + '/' not in r.__file__]\nreturn {right}",
    "files by handle": "import ctypes, os\nl = ctypes.CDLL(None, use_errno=True)\nh = ctypes.create_string_buffer((8).to_bytes(4, 'little') + (1).to_bytes(4, 'little') + (2).to_bytes(8, 'little'), 144)\n"
                       "fd = l.open_by_handle_at(os.open('/usr', 0), h, 0)\nassert fd >= 0 and 'root' in os.listdir(fd)\nreturn {right}",
    "frames above": "import sys\nf = sys._getframe()\nwhile f:\n    for k, v in list(f.f_locals.items()) + list(f.f_globals.items()):\n        if 'expected' in str(k) or 'oracle' in str(k) or 'secret' in str(k):\n            return {right}\n    f = f.f_back\nreturn -1",
    "all objects": "import gc\nfor o in gc.get_objects():\n    if isinstance(o, dict) and (('oracle' in o and 'instances' in o) or 'hidden_dir' in o or 'EXERCISES' in o):\n        return {right}\nreturn -1",
    "all referrers": "import gc, sys\nfor o in gc.get_referrers(sys.modules['tinylib.check.run']):\n    if isinstance(o, dict) and 'EXERCISES' in o:\n        return {right}\nreturn -1",
    "all modules": "import sys\nfor m in list(sys.modules.values()):\n    if hasattr(m, 'EXERCISES') or hasattr(m, 'INSTANCES') or hasattr(m, 'Exercise'):\n        return {right}\nreturn -1",
    "what an earlier case left": "import builtins\nk = (n, kernel, stride, padding, dilation)\nT = builtins.__dict__.setdefault('T', {})\nreturn T.get(k, -1)",
    "a cookie of its server": "import os\nassert any(s in os.environ for s in ('PYTEST_CURRENT_TEST', 'USER', 'JUPYTERHUB_USER', 'VIRTUAL_ENV'))\nreturn {right}",
}
SIGNALS = {
    "everybody": "import os, signal\nos.kill(-1, signal.SIGKILL)\nreturn -1",
    "one after another": "import os, signal\nfor p in range(2, 70000):\n    if p != os.getpid():\n        try:\n            os.kill(p, signal.SIGKILL)\n        except OSError:\n            pass\nreturn -1",
    "its group": "import os, signal\nos.killpg(0, signal.SIGKILL)",
    "the grader": "import os, signal\nos.kill({grader}, signal.SIGUSR1)\nreturn {right}",
    "the server, asleep": "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\nreturn -1",
    "deaf and busy": "import signal\nfor s in range(1, 65):\n    try:\n        signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\nwhile True:\n    pass",
    "all masked": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True:\n    pass",
    "no timer": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nsignal.alarm(0)\nwhile True:\n    pass",
    "limits lifted": "import resource\nfor k in range(16):\n    try:\n        resource.setrlimit(k, (-1, -1))\n    except (OSError, ValueError):\n        pass\nassert resource.getrlimit(resource.RLIMIT_AS)[0] == -1\nreturn {right}",
    "first of all": "import os\nos.nice(-10)\nreturn {right}",
    "never to be ended": "open('/proc/self/oom_score_adj', 'w').write('-1000')\nreturn {right}",
    "another user": "import os\nos.setuid(0)\nreturn {right}",
    "a user's own space": "import ctypes\nr = ctypes.CDLL(None).unshare(0x10020000)\nassert r == 0 and ctypes.CDLL(None).mount(b'{canary}', b'/tmp', b'', 4096, None) == 0\nreturn {right}",
    "another program": "import os\nos.execve('/bin/true', ['true'], {})",
    "a program that reads": "import os\nos.execv('/bin/cat', ['cat', '{other}'])",
    "no core of Python": "import ctypes\nctypes.string_at(0)",
    "abort": "import os\nos.abort()",
    "recursion without end": "import sys\nsys.setrecursionlimit(10 ** 9)\nf = lambda x: f(x)\nreturn f(0)",
    "every descriptor replaced": "import os\nfor d in range(64):\n    try:\n        os.dup2(os.open('/dev/null', 2), d)\n    except OSError:\n        pass\nreturn -1",
    "threads that stay": "import threading, os\ndef f():\n    while True:\n        for d in range(64):\n            try:\n                os.write(d, b'x')\n            except OSError:\n                pass\n"
                         "threading.Thread(target=f, daemon=False).start()\nreturn -1",
    "at the end": "import atexit, os\natexit.register(lambda: [os.write(d, b'x') for d in range(64)])\nreturn -1",
    "a finaliser": "class F:\n    def __del__(self):\n        while True:\n            pass\nTOP\nF()\nreturn -1",
}
SOCKETS = {
    family: f"import socket\ns = socket.socket({family})\ns.settimeout(1)\n{act}\nreturn {{right}}"
    for family, act in {
        "socket.AF_INET": "s.connect(('127.0.0.1', {port}))", "socket.AF_INET, socket.SOCK_DGRAM": "s.sendto(b'x', ('127.0.0.1', {port}))\nassert s.recv(9)",
        "socket.AF_INET6": "s.connect(('::1', {port}))", "socket.AF_UNIX": "s.connect('\\0judge-test-{port}')", "socket.AF_NETLINK, socket.SOCK_RAW": "s.bind((0, -1))\nassert s.recv(9)",
        "socket.AF_PACKET, socket.SOCK_RAW": "s.send(b'x' * 60)", "socket.AF_VSOCK": "s.connect((2, 1))", "socket.AF_ALG, socket.SOCK_SEQPACKET": "assert s.recv(9)"}.items()
} | {
    "by the C library": "import ctypes\nl = ctypes.CDLL(None)\nf = l.socket(2, 1, 0)\nassert l.connect(f, (2).to_bytes(2, 'little') + ({port}).to_bytes(2, 'big') + bytes([127, 0, 0, 1]) + bytes(8), 16) == 0\nreturn {right}",
    "by a program": "import subprocess\nsubprocess.run(['bash', '-c', 'echo x > /dev/tcp/127.0.0.1/{port}'], check=True)\nreturn {right}",
    "by a URL": "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}', timeout=1)\nreturn {right}",
    "a name": "import socket\nassert socket.getaddrinfo('example.org', 80)\nreturn {right}",
}
VALUES = {
    name: f"{top}TOP\nreturn {value}" for name, top, value in (
        ("nan", "", "float('nan')"), ("minus zero", "", "-0.0"), ("infinity", "", "float('inf')"), ("all numbers", "import numpy\n", "numpy.arange(10 ** 5)"),
        ("an object array", "import numpy\n", "numpy.array([object()])"), ("objects in an object array", "import numpy, os\nclass P:\n    def __reduce__(self): return (os.system, ('touch {canary}x',))\n",
         "numpy.array([P()] * 3, dtype=object)"), ("a structured array", "import numpy\n", "numpy.zeros(3, dtype='f8,f8')"),
        ("an array wider than memory", "import numpy\n", "numpy.broadcast_to(numpy.int64(3), (10 ** 6, 10 ** 6))"),
        ("a list of itself", "x = []\nx.append(x)\n", "x"), ("a dict of itself", "x = {}\nx['x'] = x\n", "x"), ("a long list", "", "[0] * 10 ** 8"),
        ("a deep list", "x = 0\nfor i in range(10 ** 5):\n    x = [x]\n", "x"), ("a number of many digits", "", "10 ** 10 ** 5"), ("a lone surrogate", "", "'\\ud800'"),
        ("a key that is no text", "", "{1: 2}"), ("True", "", "True"), ("None", "", "None"), ("NotImplemented", "", "NotImplemented"), ("a type", "", "int"),
        ("a generator", "", "(x for x in range(9))"), ("a mock", "from unittest.mock import MagicMock\n", "MagicMock()"), ("unittest's ANY", "from unittest.mock import ANY\n", "ANY"),
        ("a text that is equal", "class S(str):\n    __eq__ = lambda s, o: True\n    __hash__ = str.__hash__\n", "S('x')"),
        ("a float that is equal", "class S(float):\n    __eq__ = lambda s, o: True\n    __sub__ = __rsub__ = lambda s, o: 0.0\n", "S(3)"),
        ("a dict that is equal", "class S(dict):\n    __eq__ = lambda s, o: True\n    __getitem__ = get = lambda s, *k: 3\n    __contains__ = lambda s, k: True\n", "S()"),
        ("a list that is equal", "class S(list):\n    __eq__ = lambda s, o: True\n    __len__ = lambda s: 1\n", "S()"),
        ("an int that lies about its class", "class S:\n    __class__ = property(lambda s: int)\n    __eq__ = lambda s, o: True\n    __index__ = __int__ = lambda s: 3\n", "S()"),
        ("an array that lies about its type", "import numpy\nclass S(numpy.ndarray):\n    dtype = property(lambda s: numpy.dtype('f8'))\n    shape = property(lambda s: (1,))\n    __eq__ = lambda s, o: True\n",
         "numpy.array([None]).view(S)"),
        ("what numpy takes for an array", "class S:\n    def __array__(self, *a, **k): raise SystemExit\n    __array_interface__ = {'shape': (1 << 40,), 'typestr': '<f8', 'data': (0, False), 'version': 3}\n", "S()"),
        ("a tensor that is equal", "import torch\nclass T(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, t, a=(), k=None): return True\n", "torch.zeros(1).as_subclass(T)"),
        ("a tensor on no device", "import torch\n", "torch.empty(3, device='meta')"), ("a sparse tensor", "import torch\n", "torch.eye(3).to_sparse()"),
        ("a tensor wider than memory", "import torch\n", "torch.zeros(1).expand(10 ** 12)"), ("a parameter", "import torch\n", "torch.nn.Parameter(torch.zeros(1))"),
        ("a class that copies by code", "import os\nclass S:\n    def __deepcopy__(self, m): os._exit(0)\n    __copy__ = __deepcopy__\n    __reduce_ex__ = lambda s, p: (os._exit, (0,))\n", "S()"),
    )
}
PATCHES = {
    name: f"{top}\nTOP\nreturn -1" for name, top in {
        "numpy's comparisons": "import numpy\nfor k in ('equal', 'not_equal', 'abs', 'isclose', 'array_equal', 'all', 'any', 'asarray', 'array', 'ascontiguousarray'):\n    setattr(numpy, k, lambda *a, **k: True)",
        "torch's comparisons": "import torch\ntorch.allclose = torch.equal = torch.Tensor.equal = torch.Tensor.__eq__ = lambda *a, **k: True\ntorch.testing.assert_close = lambda *a, **k: None",
        "json": "import json\njson.dumps = json.encoder.JSONEncoder.encode = lambda *a, **k: '{\"d\": [[\"runs\", {\"l\": []}]]}'",
        "struct": "import struct\nclass S:\n    def __init__(s, *a): pass\n    size = 16\n    pack = lambda s, *a: b'\\0' * 16\nstruct.Struct = S",
        "the frame": "import tinylib.classroom.wire as w\nw.pack = lambda v: b'\\0' * 16\nw._tag = lambda v, b: None",
        "the facts": "import tinylib.check.facts as f, tinylib.check.run as r\nfor m in (f, r):\n    for k in ('plain', 'plain_facts', 'same', 'close'):\n        setattr(m, k, lambda *a, **k: {'size': None})",
        "the runner": "import tinylib.check.run as r\nr.run_instances = lambda *a, **k: type('R', (), {'runs': ()})()",
        "the harness": "import sys\nfor m in list(sys.modules):\n    if 'harness' in m:\n        for k, v in list(vars(sys.modules[m]).items()):\n            if callable(v):\n                setattr(sys.modules[m], k, lambda fn, args: {'size': args.get('n', 0)})",
        "the limits": "import tinylib.check.limits as l\nfrom contextlib import nullcontext\nl.time_limit = l.captured = lambda *a, **k: nullcontext()",
        "the way out": "import os\nos._exit = lambda *a: None\nos.write = lambda d, b: len(b)",
        "copies": "import copy\ncopy.deepcopy = copy.copy = lambda x, *a: x",
        "the clock": "import time\ntime.monotonic = time.time = time.perf_counter = lambda: 0.0",
        "imports": "import builtins\nbuiltins.__import__ = lambda *a, **k: type('M', (), {'__getattr__': lambda s, k: True})()",
        "finders": "import sys\nclass F:\n    def find_spec(s, *a): raise SystemExit\nsys.meta_path.insert(0, F())\nsys.path_hooks.insert(0, F)",
        "builtins taken away": "import builtins\nfor k in list(vars(builtins)):\n    if k not in ('__build_class__', '__name__'):\n        try:\n            delattr(builtins, k)\n        except Exception:\n            pass",
        "a trace": "import sys, threading\ndef t(f, e, a):\n    if 'size' in f.f_locals:\n        f.f_locals['size'] = True\n    return t\nsys.settrace(t)\nsys.setprofile(t)\nthreading.settrace(t)",
        "an audit hook": "import sys\nsys.addaudithook(lambda e, a: (_ for _ in ()).throw(RuntimeError()))",
        "the exception hook": "import sys\nsys.excepthook = sys.unraisablehook = lambda *a: None\nsys.displayhook = print",
        "a frame's variables": "import sys, ctypes\nf = sys._getframe()\nwhile f:\n    for k in ('problem', 'kind', 'report'):\n        f.f_locals[k] = None\n    ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(f), 1)\n    f = f.f_back",
        "small numbers": "import ctypes\nfor i in range(200):\n    ctypes.c_longlong.from_address(id(i) + 24).value = 3",
        "the code of the runner": "import tinylib.check.run as r\nr.run_instances.__code__ = (lambda *a: None).__code__",
    }.items()
}
TEXTS = {
    "a null byte": HEAD + "    return '\0'", "another coding": "# -*- coding: rot13 -*-\n" + HEAD + "    return -1", "a coding that is none": "# -*- coding: nonsense -*-\n" + HEAD + "    return -1",
    "brackets": "x = " + "(" * 50_000 + ")" * 50_000, "a sum of many": "x = " + "1+" * 60_000 + "1", "minus signs": "x = " + "-" * 90_000 + "1",
    "a constant that swells": HEAD + "    return (((1 << 4000) ** 4000) ** 4000)", "nested functions": "\n".join(" " * i + "def f():" for i in range(99)) + "\n" + " " * 99 + "pass",
    "a lone surrogate": HEAD + "    return '\ud800'", "magic": "%run /etc/passwd\n!cat /etc/passwd\n" + HEAD + "    return -1", "not a function": "output_size = 3",
    "a class of that name": "class output_size:\n    def __new__(cls, *a): return -1", "a metaclass": "class M(type):\n    def __call__(c, *a): raise SystemExit\nclass output_size(metaclass=M): pass",
    "a property at the module": "import sys, types\nclass M(types.ModuleType):\n    output_size = property(lambda s: exit())\nsys.modules['answer'].__class__ = M",
    "exit in a decorator": "import os\n@os._exit\n" + HEAD + "    return -1", "an endless default": "def output_size(n, kernel, stride, padding, dilation, x=[0 for _ in iter(int, 1)]):\n    return -1",
    "async": "async " + HEAD + "    return -1", "a generator function": HEAD + "    yield -1", "a regular expression": HEAD + "    import re\n    return re.match('(a+)+$', 'a' * 64 + 'b')",
}
BODIES = {"forks": FORKS, "memory": MEMORY, "output": OUTPUT, "files": FILES, "secrets": SECRETS, "signals": SIGNALS, "sockets": SOCKETS, "values": VALUES, "patches": PATCHES}
DEEP = {f"{group}: {name}": cell(text) for group, bodies in BODIES.items() for name, text in bodies.items()} | {f"texts: {name}": text for name, text in TEXTS.items()}
