"""Shared by the integration tests: the program under test, free ports, peers that are started and stopped by the test itself.

GANTRY_BIN names the program (default build/gantry). GANTRY_TESTDATA names the folder of real files; tests that need it skip by
name where it is absent, as do tests whose peer is not installed. All servers listen on loopback; only own processes are ended."""
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = os.environ.get('GANTRY_BIN', str(ROOT / 'build' / 'gantry'))
TESTDATA = Path(os.environ.get('GANTRY_TESTDATA', ROOT.parent / 'shared' / 'testdata'))
VENV_PYTHON = ROOT / 'build' / 'venv' / 'bin' / 'python3'
sys.path.insert(0, str(Path(__file__).resolve().parent))


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_port(port, process=None, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            raise RuntimeError('process ended with %s before listening on %d' % (process.returncode, port))
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError('nothing listens on port %d' % port)


def need(*tools):
    for t in tools:
        if not shutil.which(t):
            pytest.skip('%s is not installed' % t)


def run(*args, ok=True, timeout=120, **kw):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=timeout, errors='replace', **kw)
    if ok and r.returncode:
        raise AssertionError('%s ended with %d\n%s\n%s' % (' '.join(map(str, args)), r.returncode, r.stdout[-3000:], r.stderr[-3000:]))
    return r


class Gantry:
    """`gantry serve` on a free port over its own data directory."""

    def __init__(self, directory, *flags, config=None, aet='GANTRY', wrap=()):
        self.data, self.aet, self.port, self.http_port, self.flags, self.wrap = Path(directory), aet, free_port(), free_port(), list(flags), list(wrap)
        self.config, self.process, self.log = config, None, Path(str(directory) + '.log')

    def start(self, wait=True):
        args = self.wrap + [BIN, 'serve', '--data', str(self.data), '--dicom-port', str(self.port), '--http-port', str(self.http_port), '--aet', self.aet, '--auth', 'none', '--log-level', 'info'] + self.flags
        if self.config:
            args[len(self.wrap) + 2:len(self.wrap) + 2] = ['--config', str(self.config)]
        env = dict(os.environ)
        if 'strace' in self.wrap:   # LeakSanitizer cannot run under another tracer
            env['ASAN_OPTIONS'] = env.get('ASAN_OPTIONS', '') + ':detect_leaks=0'
        self.process = subprocess.Popen(args, stdout=open(self.log, 'ab'), stderr=subprocess.STDOUT, env=env)
        if wait:
            wait_port(self.port, self.process)
        return self

    def server_pid(self):
        """The pid of gantry itself, also when it runs under a wrapper."""
        if not self.wrap:
            return self.process.pid
        kids = subprocess.run(['pgrep', '-P', str(self.process.pid)], capture_output=True, text=True).stdout.split()
        return int(kids[0]) if kids else self.process.pid

    def stop(self, seconds=20):
        if self.process is None or self.process.poll() is not None:
            return None
        os.kill(self.server_pid(), signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError('gantry did not stop within %d s' % seconds)

    def kill(self):
        if self.process and self.process.poll() is None:
            os.kill(self.server_pid(), signal.SIGKILL)
            self.process.wait()

    def rss_kib(self):
        for line in open('/proc/%d/status' % self.server_pid()):
            if line.startswith('VmRSS'):
                return int(line.split()[1])

    def pss_kib(self):
        for line in open('/proc/%d/smaps_rollup' % self.server_pid()):
            if line.startswith('Pss:'):
                return int(line.split()[1])

    def log_text(self):
        return self.log.read_text(errors='replace')

    def export(self, out):
        """Stored objects, {SOP Instance UID: path}."""
        run(BIN, 'export', '--data', self.data, '--all', out)
        return {p.stem if p.suffix == '.dcm' else p.name: p for p in Path(out).rglob('*') if p.is_file()}


@pytest.fixture
def gantry(tmp_path):
    """A factory: gantry(*flags, …) starts a server; all are stopped at the end, and none may have crashed."""
    made = []

    def make(*flags, start=True, name='data', **kw):
        g = Gantry(tmp_path / name, *flags, **kw)
        made.append(g)
        return g.start() if start else g

    yield make
    for g in made:
        crashed = g.process is not None and g.process.poll() is not None and g.process.returncode not in (0, -signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGKILL)
        g.stop()
        text = g.log_text() if g.log.exists() else ''
        assert not crashed, 'gantry ended with %s\n%s' % (g.process.returncode, text[-4000:])
        assert 'ERROR: AddressSanitizer' not in text and 'runtime error:' not in text and 'ERROR: LeakSanitizer' not in text, text[-6000:]


@pytest.fixture
def storescp(tmp_path):
    """A factory: storescp(*flags) -> (port, folder of received files)."""
    need('storescp')
    made = []

    def make(*flags, aet='SINK'):
        port, out = free_port(), tmp_path / ('received%d' % len(made))
        out.mkdir()
        p = subprocess.Popen(['storescp', '-aet', aet, '-od', str(out), '--fork', '+B', *flags, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        made.append(p)
        wait_port(port, p)
        return port, out

    yield make
    for p in made:
        p.terminate()
        p.wait()


@pytest.fixture(scope='session')
def testdata():
    if not TESTDATA.is_dir():
        pytest.skip('folder of real DICOM files is not here')
    return TESTDATA


def dataset_bytes(path):
    """The bytes behind the meta group of a Part 10 file (PS3.10 §7.1)."""
    b = Path(path).read_bytes()
    if b[128:132] != b'DICM':
        return b
    o = 132
    while o + 8 <= len(b) and b[o:o + 2] == b'\2\0':
        if b[o + 4:o + 6] in (b'OB', b'OW', b'UN', b'SQ', b'UT', b'OF'):
            n, head = int.from_bytes(b[o + 8:o + 12], 'little'), 12
        else:
            n, head = int.from_bytes(b[o + 6:o + 8], 'little'), 8
        o += head + n
    return b[o:]


def sha(path):
    return hashlib.sha256(dataset_bytes(path)).hexdigest()


def content(path):
    """What a file says, however it is encoded: for peers that write sequences and lengths their own way (DCMTK's tools do)."""
    import pydicom
    ds = pydicom.dcmread(path, force=True)
    text = '\n'.join('%s %r' % (e.tag, e.value) for e in ds.iterall() if e.tag.element != 0 and e.VR != 'SQ' and not e.tag.is_private and e.tag != 0xFFFCFFFC)
    return hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()
