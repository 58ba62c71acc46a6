"""Every system call may fail once (T39): a short life of the service again and again, each time with another call failing.

A scenario is: start on an archive that holds an object, store five more, find, get, stop. strace makes the N-th call of a kind fail
(counted by strace in each thread of its own), N stepping through all that an undisturbed life makes after it was loaded. Whatever fails,
nothing may crash or hang, and after an undisturbed start every acknowledged object is there, whole, and `verify` finds nothing.

The points are taken in a fixed shuffled order until the time is used up; GANTRY_TORTURE=long takes all of them."""
import collections
import concurrent.futures
import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BIN, dataset_bytes, free_port, need, run
import rawdimse as raw

LONG = os.environ.get('GANTRY_TORTURE') == 'long'
SECONDS = 3600 if LONG else 60
STUDY = '1.2.39'
CONTEXTS = [(1, raw.SECONDARY_CAPTURE, [raw.EXPLICIT]), (3, raw.STUDY_FIND, [raw.EXPLICIT]), (5, raw.STUDY_GET, [raw.EXPLICIT])]
# What the calls of a storing, answering server may come back with. Not brk: when it fails the kernel returns the old break, which strace
# cannot make it do, and the C library takes an error code for an address.
ERRORS = {
    'openat': ('EMFILE', 'EIO'), 'read': ('EIO',), 'pread64': ('EIO',), 'write': ('ENOSPC',), 'pwrite64': ('ENOSPC', 'EIO'),
    'pwritev': ('ENOSPC', 'EIO'), 'fsync': ('EIO',), 'fdatasync': ('EIO', 'ENOSPC'), 'ftruncate': ('EIO',), 'fallocate': ('ENOSPC',),
    'linkat': ('EIO',), 'renameat': ('EIO',), 'unlink': ('EIO',), 'unlinkat': ('EIO',), 'mkdirat': ('ENOSPC',), 'newfstatat': ('EIO',),
    'fstatfs': ('EIO',), 'getdents64': ('EIO',), 'fcntl': ('EACCES',), 'flock': ('EINTR',), 'mmap': ('ENOMEM',),
    'mprotect': ('ENOMEM',), 'madvise': ('EINVAL',), 'clone3': ('EAGAIN',), 'socket': ('EMFILE',), 'bind': ('EADDRINUSE',),
    'listen': ('EADDRINUSE',), 'accept4': ('EMFILE', 'ECONNABORTED'), 'readv': ('ECONNRESET', 'EINTR'), 'recvfrom': ('ECONNRESET', 'EINTR'),
    'sendmsg': ('EPIPE', 'EINTR'), 'sendto': ('EPIPE',), 'poll': ('EINTR', 'ENOMEM'), 'epoll_create1': ('EMFILE',), 'epoll_ctl': ('ENOMEM',),
    'epoll_wait': ('EINTR',), 'eventfd2': ('EMFILE',), 'setsockopt': ('EINVAL',), 'getrandom': ('EINTR',), 'prlimit64': ('EPERM',),
}

# The sanitizers' own runtime makes these too, and ends the program when one fails: there only the build without them says anything.
if 'asan' in BIN or 'tsan' in BIN:
    ERRORS = {call: errors for call, errors in ERRORS.items() if call not in ('mmap', 'mprotect', 'madvise', 'prlimit64', 'clone3')}


def objects():
    """The first lies in the archive before; the last is too large for a pack."""
    return {'%s.%d' % (STUDY, i): raw.small_dataset('%s.%d' % (STUDY, i), study=STUDY, series=STUDY + '.0.1', rows=40, cols=4000 if i == 5 else 40 + i,
                                                    pixels=random.Random(i).randbytes(40 * (4000 if i == 5 else 40 + i))) for i in range(6)}


OBJECTS = objects()


def identifier():
    return raw.explicit(0x00080052, 'CS', 'STUDY') + raw.explicit(0x0020000D, 'UI', STUDY)


def ask(p, cid, sop_class, kind):
    """C-FIND or C-GET; images that come are taken."""
    p.send_message(cid, raw.command(e0002=sop_class, e0100=kind, e0110=p.next_id(), e0700=0, e0800=1), identifier())
    while True:
        m = p.receive_message()
        if not isinstance(m[0], dict):
            return
        if m[0][0x100] == 1:
            p.send_message(p.last_context, raw.command(e0002=m[0][2], e0100=0x8001, e0120=m[0][0x110], e0800=0x101, e0900=0, e1000=m[0][0x1000]))
        elif m[0][0x900] not in (0xFF00, 0xFF01):
            return


def live(port, acked):
    """What a sender and a viewer do in the service's life; they bear everything, and note what was acknowledged."""
    for visit in ('store', 'ask'):   # an association lost is no reason not to come again
        try:
            with raw.Peer(port, timeout=6) as p:
                if p.associate(CONTEXTS, roles=[(raw.SECONDARY_CAPTURE, 1, 1)]) != 2:
                    continue
                for uid, data in list(OBJECTS.items())[1:] if visit == 'store' else ():
                    m = p.store(1, raw.SECONDARY_CAPTURE, uid, data)
                    if not isinstance(m[0], dict):
                        break
                    if m[0][0x900] == 0 or m[0][0x900] >> 12 == 0xB:
                        acked.add(uid)
                if visit == 'ask':
                    ask(p, 3, raw.STUDY_FIND, 0x20)
                    ask(p, 5, raw.STUDY_GET, 0x10)
                p.release()
        except (OSError, ConnectionError):
            pass


def tracee(strace):
    """The pid of the program under strace, None when it is gone."""
    kids = subprocess.run(['pgrep', '-P', str(strace.pid)], capture_output=True, text=True).stdout.split()
    return int(kids[0]) if kids else None


def one_life(data, trace, log):
    """Returns (exit status, acknowledged). A life that does not end is ended, and its status says so."""
    acked, port = set(), free_port()
    env = dict(os.environ, ASAN_OPTIONS=os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0:allocator_may_return_null=1')    # malloc gives NULL, as it does without sanitizer
    with open(log, 'wb') as out:
        args = ['strace', '-f', '--seccomp-bpf', '-qq'] + trace + [BIN, 'serve', '--data', str(data), '--dicom-port', str(port), '--http-port', '0', '--auth', 'none', '--pack-limit', '64K']
        p = subprocess.Popen(args, stdout=out, stderr=subprocess.STDOUT, env=env)
    end = time.monotonic() + 15
    while p.poll() is None and time.monotonic() < end and b'service.ready' not in log.read_bytes():
        time.sleep(0.01)
    if p.poll() is None:
        live(port, acked)
    pid = tracee(p)
    if p.poll() is None and pid:
        os.kill(pid, signal.SIGTERM)
    try:
        status = p.wait(30)
    except subprocess.TimeoutExpired:
        status = 'did not end'
        if pid:
            os.kill(pid, signal.SIGKILL)
        p.wait()
    return status, acked


def undisturbed(data, log):
    """Starts and stops: recovery of whatever was left. Returns the exit status."""
    port = free_port()
    with open(log, 'ab') as out:
        p = subprocess.Popen([BIN, 'serve', '--data', str(data), '--dicom-port', str(port), '--http-port', '0', '--auth', 'none', '--pack-limit', '64K'], stdout=out, stderr=subprocess.STDOUT)
    end = time.monotonic() + 20
    while p.poll() is None and time.monotonic() < end and log.read_bytes().count(b'"service.ready"') + log.read_bytes().count(b' service.ready') < 1:
        time.sleep(0.01)
    time.sleep(0.02)
    p.terminate()
    return p.wait(30)


def torture(template, folder, call, error, n):
    """One point; None or what went wrong there."""
    point = '%s:%s:%d' % (call, error, n)
    data, log = folder / 'data', folder / 'log'
    shutil.copytree(template, data)
    inject = ['-o', '/dev/null', '-e', 'trace=' + call, '-e', 'inject=%s:error=%s:when=%d' % (call, error, n)]
    status, acked = one_life(data, inject, log)
    text = log.read_text(errors='replace')
    if status == 'did not end' or status < 0 or status >= 128 or 'AddressSanitizer' in text or 'runtime error:' in text or 'Assertion' in text:
        return '%s: ended with %s\n%s' % (point, status, text[-3000:])
    after = folder / 'after'
    again = undisturbed(data, after)
    if again:
        return '%s: the next start ended with %s\n%s' % (point, again, after.read_text(errors='replace')[-2000:])
    r = run(BIN, 'verify', '--data', data, ok=False)
    if r.returncode:
        return '%s: verify: %s' % (point, (r.stdout + r.stderr)[-1500:])
    run(BIN, 'export', '--data', data, '--all', folder / 'out')
    held = {p.stem if p.suffix == '.dcm' else p.name: p for p in (folder / 'out').rglob('*') if p.is_file()}
    bad = [u for u in sorted(acked | {STUDY + '.0'}) if u not in held or dataset_bytes(held[u]) != OBJECTS[u]]
    half = [u for u in held if u not in OBJECTS or dataset_bytes(held[u]) != OBJECTS[u]]
    if bad or half:
        return '%s: acknowledged and not there: %s; not whole: %s\n%s' % (point, bad, half, text[-3000:])
    return None


def count_calls(template, folder):
    """{call: (calls of the main thread before it begins to serve, most calls of one thread)} of an undisturbed life."""
    folder.mkdir()
    data, log, trace = folder / 'data', folder / 'log', folder / 'trace'
    shutil.copytree(template, data)
    status, acked = one_life(data, ['-o', str(trace), '-e', 'trace=rt_sigprocmask,' + ','.join(ERRORS)], log)
    assert status == 0 and len(acked) == 5, '%s, %d acknowledged\n%s' % (status, len(acked), log.read_text())
    counts, loaded, main = collections.defaultdict(collections.Counter), {}, None
    for line in trace.read_text(errors='replace').splitlines():
        m = re.match(r'(\d+) +(\w+)\(', line)   # a resumed call has no name here
        if not m:
            continue
        main = main or m[1]
        if m[2] == 'rt_sigprocmask' and not loaded and 'SIG_BLOCK, [HUP INT TERM]' in line:
            loaded = dict(counts[main])
        counts[m[1]][m[2]] += 1
    assert loaded
    return {c: (loaded.get(c, 0), max(t[c] for t in counts.values())) for c in ERRORS if any(t[c] for t in counts.values())}


def points(calls):
    """Others' threads count from 1, so the calls of loading are skipped only where no other thread makes that many."""
    all_of_them = [(c, e, n) for c, (loaded, most) in calls.items() for e in ERRORS[c] for n in range(1 if loaded < 8 else loaded + 1, most + 1)]
    random.Random(39).shuffle(all_of_them)
    return all_of_them


@pytest.fixture
def template(tmp_path):
    need('strace', 'pgrep')
    probe = ['strace', '-f', '--seccomp-bpf', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=1', 'true']
    if subprocess.run(probe, capture_output=True).returncode:
        pytest.skip('strace cannot inject faults here')
    data, log = tmp_path / 'template', tmp_path / 'template.log'
    port = free_port()
    with open(log, 'wb') as out:
        p = subprocess.Popen([BIN, 'serve', '--data', str(data), '--dicom-port', str(port), '--http-port', '0', '--auth', 'none'], stdout=out, stderr=subprocess.STDOUT)
    while p.poll() is None and b'service.ready' not in log.read_bytes():
        time.sleep(0.01)
    with raw.Peer(port) as peer:
        peer.associate(CONTEXTS)
        assert peer.store(1, raw.SECONDARY_CAPTURE, STUDY + '.0', OBJECTS[STUDY + '.0'])[0][0x900] == 0
    p.terminate()
    assert p.wait(20) == 0
    return data


def test_T39_any_system_call_may_fail(template, tmp_path):
    began, done, wrong = time.monotonic(), 0, []
    todo = points(count_calls(template, tmp_path / 'count'))
    assert len(todo) > 100

    def work(i):
        if time.monotonic() - began > SECONDS:
            return False
        folder = tmp_path / ('p%d' % i)
        folder.mkdir()
        try:
            fault = torture(template, folder, *todo[i])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if fault:
            wrong.append(fault)
        return True

    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        done = sum(pool.map(work, range(len(todo))))
    print('%d of %d points in %.0f s, %d wrong' % (done, len(todo), time.monotonic() - began, len(wrong)))
    assert not wrong, '\n\n'.join(wrong[:8]) + '\n%d points wrong of %d' % (len(wrong), done)
    assert done >= (len(todo) if LONG else 20)
