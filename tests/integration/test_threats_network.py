"""Hostile and broken peers on the DICOM port (T1-T4, T7, T9, T12, T14, T15, T18): an error for the sender, nothing for anybody else."""
import os
import random
import socket
import struct
import threading
import time

import pytest

from conftest import dataset_bytes
import rawdimse as raw

STORE = [(1, raw.SECONDARY_CAPTURE, [raw.EXPLICIT]), (3, raw.VERIFICATION, [raw.IMPLICIT]), (5, raw.STUDY_FIND, [raw.EXPLICIT])]


def alive(port):
    with raw.Peer(port, timeout=5) as p:
        assert p.associate([(1, raw.VERIFICATION, [raw.IMPLICIT])]) == 2
        assert p.echo()[0][0x900] == 0
        assert p.release() == 6


def gone(peer):
    """The server has aborted or closed."""
    while True:
        try:
            kind, body = peer.pdu()
        except (ConnectionError, socket.timeout, OSError):
            return 'closed'
        if kind is None:
            return 'closed'
        if kind == 7:
            return 'abort %d %d' % (body[2], body[3])
        if kind == 3:
            return 'reject %d %d %d' % (body[1], body[2], body[3])


RQ = raw.associate_rq([(1, raw.VERIFICATION, [raw.IMPLICIT])])


@pytest.mark.parametrize('data', [
    b'\x01\x00\x00\x00\x00\x00', b'\x01\x00\x00\x00\x00\x01\x00', b'\x01\x00\xff\xff\xff\xff' + b'x' * 100, struct.pack('>BBI', 1, 0, 65537) + b'y' * 1000,
    b'\x63\x00\x00\x00\x00\x04abcd', b'\x04\x00\x00\x00\x00\x04abcd', b'\x05\x00\x00\x00\x00\x04\0\0\0\0', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', b'GET / HTTP/1.1\r\n\r\n',
    RQ[:70] + b'\x10\x00\xff\xff' + RQ[74:], RQ[:6] + b'\0\2' + RQ[8:]], ids=['empty-rq', 'one-byte', 'length-4G', 'length-over-limit', 'unknown-pdu', 'data-first', 'release-first', 'tls-hello', 'http', 'item-overruns', 'protocol-version'])
def test_T1_bad_first_pdus(gantry, data):
    g = gantry()
    before = g.rss_kib()
    with raw.Peer(g.port, timeout=5) as p:
        p.send(data)
        answer = gone(p) if not data.startswith(b'\x01\x00\xff') else 'closed'
        assert answer == 'closed' or answer.startswith(('abort 2', 'abort 0', 'reject')), answer
    alive(g.port)
    assert g.rss_kib() - before < 1024 + 512


@pytest.mark.parametrize('pdu', [b'\x04\x00\x00\x00\x00\x00', b'\x04\x00\xff\xff\xff\xff', b'\x04\x00\x00\x00\x00\x05' + b'\0\0\0\1\1', raw.pdata(struct.pack('>IBB', 4000, 1, 3) + b'abc'),
                                 raw.pdata(struct.pack('>IBB', 1, 1, 3)), raw.pdata(raw.pdv(99, 3, b'abcd')), raw.pdata(raw.pdv(1, 0, b'data before command')), b'\x09\x00\x00\x00\x00\x04aaaa', RQ],
                         ids=['empty', 'length-4G', 'pdv-header-cut', 'pdv-overruns', 'pdv-length-1', 'unknown-context', 'data-first', 'unknown-type', 'second-associate'])
def test_T1_T2_bad_data_pdus_are_aborted(gantry, pdu):
    g = gantry()
    with raw.Peer(g.port, timeout=5) as p:
        assert p.associate(STORE) == 2
        p.send(pdu)
        if pdu == b'\x04\x00\x00\x00\x00\x00':
            p.send(raw.pdata(raw.pdv(99, 3, b'x')))
        assert gone(p) in ('abort 2 0', 'abort 2 1', 'abort 2 2', 'abort 2 4', 'abort 2 5', 'abort 2 6', 'closed')
    alive(g.port)


def test_T1_many_contexts_even_and_repeated_ids(gantry):
    g = gantry()
    with raw.Peer(g.port, timeout=5) as p:
        assert p.associate([(i, raw.VERIFICATION, [raw.IMPLICIT]) for i in range(1, 256, 2)]) == 2
        assert len(p.accepted) == 128 and p.echo(255)[0][0x900] == 0
    for contexts in ([(2, raw.VERIFICATION, [raw.IMPLICIT])], [(1, raw.VERIFICATION, [raw.IMPLICIT])] * 2, [(1 + 2 * (i % 128), raw.VERIFICATION, [raw.IMPLICIT]) for i in range(200)]):
        with raw.Peer(g.port, timeout=5) as p:
            p.send(raw.associate_rq(contexts))
            p.pdu()
    for aet in ('', ' ' * 16, '\0' * 16):
        with raw.Peer(g.port, timeout=5) as p:
            assert p.associate([(1, raw.VERIFICATION, [raw.IMPLICIT])], calling=aet) in (2, 3, 7, None)
    alive(g.port)


def test_T2_any_legal_split_stores_the_same_bytes(gantry, tmp_path):
    g = gantry()
    rnd = random.Random(2)
    sent = {}
    with raw.Peer(g.port, timeout=30) as p:
        p.associate(STORE)
        for n in range(30):
            uid = '1.2.2.%d' % n
            data = raw.small_dataset(uid, rows=20, cols=rnd.randrange(2, 60) * 2, pixels=None)
            cmd = raw.command(e0002=raw.SECONDARY_CAPTURE, e0100=1, e0110=n + 1, e0700=0, e0800=1, e1000=uid)
            pdvs = []
            for body, bit in ((cmd, 1), (data, 0)):
                o = 0
                while o < len(body):
                    k = min(len(body) - o, 1 if n == 0 else rnd.choice([0, 1, 2, 7, 100, 1000]))
                    o += k
                    pdvs.append(raw.pdv(1, bit | (2 if o == len(body) else 0), body[o - k:o]))
            while pdvs:
                k = rnd.randrange(1, 40)
                group, size = [], 0
                while pdvs and len(group) < k and size + len(pdvs[0]) < 16000:
                    size += len(pdvs[0])
                    group.append(pdvs.pop(0))
                p.send(raw.pdata(*group))
            assert p.receive_message()[0][0x900] == 0
            sent[uid] = data
    g.stop()
    out = g.export(tmp_path / 'out')
    assert {u: dataset_bytes(f) for u, f in out.items()} == sent


@pytest.mark.parametrize('cmd,want', [
    (raw.command(e0002=raw.VERIFICATION, e0100=0x7777, e0110=1, e0800=0x101), (0x211, 'abort')),
    (raw.command(e0002=raw.VERIFICATION, e0100=0x140, e0110=1, e0800=0x101), (0x211, 0x118, 0x122, 0x124, 'abort')),
    (raw.command(e0100=0x0FFF, e0120=55, e0800=0x101), ('nothing',)),
    (raw.command(e0002=raw.VERIFICATION, e0100=0x30, e0110=1, e0700=99, e0800=0x101), (0,)),
    (raw.command(e0002=raw.VERIFICATION, e0100=0x30, e0110=1, e0800=0x101)[12:], (0,)),
    (raw.element(0, struct.pack('<I', 9999)) + raw.command(e0002=raw.VERIFICATION, e0100=0x30, e0110=1, e0800=0x101)[12:], (0,)),
    (b'\xff' * 40, ('abort',)), (b'', ('abort',))], ids=['unknown-command', 'n-create', 'cancel-of-nothing', 'priority-99', 'no-group-length', 'wrong-group-length', 'garbage', 'empty'])
def test_T3_odd_commands(gantry, cmd, want):
    g = gantry()
    with raw.Peer(g.port, timeout=5) as p:
        assert p.associate([(1, raw.VERIFICATION, [raw.IMPLICIT])]) == 2
        p.send(raw.pdata(raw.pdv(1, 3, cmd)))
        if want == ('nothing',):
            assert p.echo()[0][0x900] == 0
        else:
            m = p.receive_message()
            got = m[0][0x900] if isinstance(m[0], dict) else 'abort'
            assert got in want, m
    alive(g.port)


def test_T3_dataset_that_disagrees_with_the_command_is_A900(gantry):
    g = gantry()
    with raw.Peer(g.port) as p:
        p.associate(STORE)
        cmd, _ = p.store(1, raw.SECONDARY_CAPTURE, '1.2.3.77', raw.small_dataset('1.2.3.78'))
        assert cmd[0x900] == 0xA900 and cmd.get(0x902)
        cmd, _ = p.store(1, raw.SECONDARY_CAPTURE, '1.2.3.79', raw.small_dataset('1.2.3.79', study=''))
        assert cmd[0x900] >> 12 in (0xA, 0xC) and 'StudyInstanceUID' in cmd[0x902]
        assert p.store(1, raw.SECONDARY_CAPTURE, '1.2.3.80', raw.small_dataset('1.2.3.80'))[0][0x900] == 0


def test_T4_silent_and_slow_peers_do_not_keep_others_out(gantry):
    g = gantry()
    silent = []
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        for _ in range(2000):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(('127.0.0.1', g.port))
            silent.append(s)
        t = time.monotonic()
        alive(g.port)
        assert time.monotonic() - t < 2
        dribble = raw.Peer(g.port)
        dribble.send(RQ[:3])
        alive(g.port)
    finally:
        for s in silent:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_T4_association_limit_is_a_transient_rejection_and_ends(gantry):
    g = gantry('--maximum-associations', '5')
    held = [raw.Peer(g.port) for _ in range(5)]
    assert all(p.associate([(1, raw.VERIFICATION, [raw.IMPLICIT])]) == 2 for p in held)
    with raw.Peer(g.port, timeout=5) as p:
        assert p.associate([(1, raw.VERIFICATION, [raw.IMPLICIT])]) == 3
        assert p.answer[1] == 2 and p.answer[2] == 3 and p.answer[3] in (1, 2)
    held[0].release()
    held[0].close()
    time.sleep(0.3)
    alive(g.port)
    for p in held:
        p.close()


def test_T4_timers_end_silent_associations(gantry):
    g = gantry('--artim-timeout', '1', '--idle-timeout', '1', '--message-timeout', '2')
    p, q, r = raw.Peer(g.port, timeout=8), raw.Peer(g.port, timeout=8), raw.Peer(g.port, timeout=8)
    q.associate(STORE)
    r.associate(STORE)
    r.send(raw.pdata(raw.pdv(1, 3, raw.command(e0002=raw.SECONDARY_CAPTURE, e0100=1, e0110=1, e0700=0, e0800=1, e1000='1.2.3'))))
    t = time.monotonic()
    end = time.monotonic() + 6
    stop = threading.Event()

    def dribble():      # zero-length fragments and single bytes are no progress
        while not stop.is_set() and time.monotonic() < end:
            try:
                r.send(raw.pdata(raw.pdv(1, 0, b'')))
            except OSError:
                return
            time.sleep(0.1)
    th = threading.Thread(target=dribble)
    th.start()
    assert gone(p) == 'closed'
    assert time.monotonic() - t < 5
    assert gone(q).startswith(('abort', 'closed')) and gone(r).startswith(('abort', 'closed'))
    assert time.monotonic() - t < 7
    stop.set()
    th.join()
    alive(g.port)


def test_T4_connect_and_reset_leaks_nothing(gantry):
    g = gantry()
    def once():
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.connect(('127.0.0.1', g.port))
        s.send(RQ[:random.randrange(0, len(RQ))])
        s.close()
    for _ in range(500):
        once()
    alive(g.port)
    time.sleep(0.3)
    fds, rss = len(os.listdir('/proc/%d/fd' % g.server_pid())), g.rss_kib()
    for _ in range(5000):
        once()
    alive(g.port)
    time.sleep(0.5)
    assert len(os.listdir('/proc/%d/fd' % g.server_pid())) <= fds + 2
    if 'asan' not in os.environ.get('GANTRY_BIN', ''):   # the sanitizer keeps freed memory for a while
        assert g.rss_kib() - rss < 2048


def nested(depth, undefined):
    """Sequences in sequences, explicit VR little endian."""
    if undefined:
        return b''.join([struct.pack('<HH2sxxI', 0x0040, 0xA730, b'SQ', 0xFFFFFFFF) + struct.pack('<HHI', 0xFFFE, 0xE000, 0xFFFFFFFF)] * depth) + b''.join([struct.pack('<HHI', 0xFFFE, 0xE00D, 0) + struct.pack('<HHI', 0xFFFE, 0xE0DD, 0)] * depth)
    body = b''
    for _ in range(depth):
        body = struct.pack('<HHI', 0xFFFE, 0xE000, len(body)) + body
        body = struct.pack('<HH2sxxI', 0x0040, 0xA730, b'SQ', len(body)) + body
    return body


@pytest.mark.parametrize('tail', [b'\0' * 8, b'\x09\0\x10\0LO\2\0ab'], ids=['zeros', 'elements'])
def test_T6_a_deflated_bomb_costs_its_sender_an_error_and_little_memory(gantry, tail):
    import zlib
    g = gantry()
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = z.compress(raw.small_dataset('1.2.6.1', pixels=None)) + b''.join(z.compress(tail * (1 << 17)) for _ in range(400)) + z.flush()
    with raw.Peer(g.port, timeout=30) as p:
        p.associate([(1, raw.SECONDARY_CAPTURE, [raw.DEFLATED]), (3, raw.VERIFICATION, [raw.IMPLICIT])])
        p.echo(3)
        before, t = g.rss_kib(), time.monotonic()
        cmd, _ = p.store(1, raw.SECONDARY_CAPTURE, '1.2.6.1', data)
        took = time.monotonic() - t
        assert cmd[0x900] != 0 and cmd[0x902]
        if 'asan' not in os.environ.get('GANTRY_BIN', ''):
            peak = next(int(l.split()[1]) for l in open('/proc/%d/status' % g.server_pid()) if l.startswith('VmHWM'))
            assert took < 5 and peak - before < 64 * 1024, '%.1f s, %d KiB' % (took, peak - before)
    alive(g.port)


@pytest.mark.parametrize('depth', [10, 300, 2000])
@pytest.mark.parametrize('undefined', [True, False])
def test_T7_nesting_bombs(gantry, depth, undefined):
    g = gantry()
    base = raw.small_dataset('1.2.7.1')
    at = base.index(struct.pack('<HH', 0x7FE0, 0x0010))
    with raw.Peer(g.port, timeout=10) as p:
        p.associate(STORE)
        t = time.monotonic()
        cmd, _ = p.store(1, raw.SECONDARY_CAPTURE, '1.2.7.1', base[:at] + nested(depth, undefined) + base[at:])
        assert time.monotonic() - t < 2
        assert (cmd[0x900] == 0) == (depth == 10)
    alive(g.port)


@pytest.mark.parametrize('rows,cols', [(65535, 65535), (46341, 46341), (0, 0)])
def test_T9_impossible_dimensions_are_a_warning_with_a_comment_not_a_crash(gantry, rows, cols):
    g = gantry()
    with raw.Peer(g.port) as p:
        p.associate(STORE)
        cmd, _ = p.store(1, raw.SECONDARY_CAPTURE, '1.2.9.1', raw.small_dataset('1.2.9.1', rows=rows, cols=cols, pixels=bytes(64), t00280008=('IS', '2147483647')))
        assert cmd[0x900] >> 12 in (0xB, 0xC) and cmd[0x902]


@pytest.mark.parametrize('uid', ['../../../etc/x', '/etc/passwd', '1.2.3/../4', 'a' * 64, '1..2', '1.2.' + '9' * 80, '1.2\0.3', '%2e%2e'])
def test_T12_uids_never_become_paths(gantry, uid, tmp_path):
    g = gantry()
    with raw.Peer(g.port) as p:
        p.associate(STORE)
        m = p.store(1, raw.SECONDARY_CAPTURE, uid, raw.small_dataset(uid))
        if isinstance(m[0], dict):
            assert m[0][0x900] != 0
    g.stop()
    out = tmp_path / 'out'
    g.export(out)
    outside = [f for f in tmp_path.rglob('*') if f.is_file() and 'data' not in f.parts and out not in f.parents and f.suffix != '.log']
    assert not outside
    assert all(f.parent == out for f in out.rglob('*') if f.is_file())


def test_T14_same_uid_other_content_by_policy(gantry, tmp_path):
    first, other = raw.small_dataset('1.2.14.1', pixels=bytes([1] * 64)), raw.small_dataset('1.2.14.1', pixels=bytes([2] * 64))
    for policy, want_status, want_bytes in (('keep', 0xB, first), ('replace', 0, other), ('reject', None, first)):
        g = gantry('--duplicates', policy, name=policy)
        with raw.Peer(g.port) as p:
            p.associate(STORE)
            send = lambda d: p.store(1, raw.SECONDARY_CAPTURE, '1.2.14.1', d)[0][0x900]
            assert send(first) == 0 and send(first) == 0
            status = send(other)
            assert status >> 12 == want_status if want_status is not None else status >> 12 in (0, 0xA, 0xC) and status != 0, '%s: %04X' % (policy, status)
        g.stop()
        out = g.export(tmp_path / (policy + '-out'))
        assert len(out) == 1 and dataset_bytes(out['1.2.14.1']) == want_bytes
        blobs = [f for f in g.data.rglob('*') if f.is_file() and (bytes([1] * 64) in f.read_bytes() or bytes([2] * 64) in f.read_bytes())]
        both = b''.join(f.read_bytes() for f in blobs)
        assert bytes([1] * 64) in both and (policy == 'reject' or bytes([2] * 64) in both), 'older or newer bytes were lost silently'


def test_T14_T36_two_senders_race_for_one_uid(gantry, tmp_path):
    g = gantry()
    data = [raw.small_dataset('1.2.36.%d' % i) for i in range(100)]
    results = []

    def sender():
        with raw.Peer(g.port, timeout=30) as p:
            p.associate(STORE)
            results.extend(p.store(1, raw.SECONDARY_CAPTURE, '1.2.36.%d' % i, d)[0][0x900] for i, d in enumerate(data))
    threads = [threading.Thread(target=sender) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(results) == 600 and not any(results)
    g.stop()
    out = g.export(tmp_path / 'out')
    assert len(out) == 100 and all(dataset_bytes(out['1.2.36.%d' % i]) == d for i, d in enumerate(data))


def find(p, level='STUDY', **keys):
    k = {0x00080052: ('CS', level), 0x0020000D: ('UI', '')}
    k.update({int(t[1:], 16): v for t, v in keys.items()})
    p.send_message(5, raw.command(e0002=raw.STUDY_FIND, e0100=0x20, e0110=p.next_id(), e0700=0, e0800=1), b''.join(raw.explicit(t, *k[t]) for t in sorted(k)))
    n = 0
    while True:
        m = p.receive_message()
        if not isinstance(m[0], dict) or m[0][0x900] not in (0xFF00, 0xFF01):
            return n, m[0][0x900] if isinstance(m[0], dict) else m
        n += 1


def test_T15_abusive_queries(gantry):
    g = gantry()
    with raw.Peer(g.port, timeout=20) as p:
        p.associate(STORE)
        for i in range(50):
            p.store(1, raw.SECONDARY_CAPTURE, '1.2.15.%d' % i, raw.small_dataset('1.2.15.%d' % i, study='1.2.15.%d' % i, series='1.2.15.%d.1' % i, name='Müller^Jörg' .encode('latin-1'), t00080005=('CS', 'ISO_IR 100')))
        t = time.monotonic()
        assert find(p) == (50, 0)
        assert find(p, t00100010=('PN', '*?*?*?*?*?*?*?*?*?*x')) == (0, 0)
        assert find(p, t00100020=('LO', "x' OR '1'='1")) == (0, 0)
        assert find(p, t00100020=('LO', 'PID1"; DROP TABLE study; --')) == (0, 0)
        assert find(p, t0020000D=('UI', '\\'.join('1.2.15.%d' % i for i in range(4000)))) == (50, 0)
        n, status = find(p, t00080020=('DA', '-'))
        assert status == 0 or status >> 12 in (0xA, 0xC)
        n, status = find(p, t00100010=('PN', '^'.join('a' * 3 for _ in range(500))))
        assert n == 0
        assert find(p, t00100010=('PN', 'muller*')) in ((0, 0), (50, 0))
        assert find(p, t00080005=('CS', 'ISO_IR 192'), t00100010=('PN', 'MÜLLER*'.encode())) == (50, 0)
        n, status = find(p, level='NONSENSE')
        assert n == 0 and status >> 12 in (0xA, 0xC)
        assert find(p) == (50, 0)
        assert time.monotonic() - t < 20
    alive(g.port)


def test_T18_called_and_calling_ae_rules(gantry, tmp_path):
    config = tmp_path / 'c.json'
    config.write_text('{ "DicomCheckCalledAet": true, "DicomAlwaysAllowEcho": false, "DicomAlwaysAllowStore": false, "DicomModalities": { "known": ["KNOWN", "127.0.0.1", 11112] } }')
    g = gantry(config=config)
    for called, calling, want in (('GANTRY', 'KNOWN', 2), ('OTHER', 'KNOWN', 3)):
        with raw.Peer(g.port, timeout=5) as p:
            assert p.associate([(1, raw.VERIFICATION, [raw.IMPLICIT])], called=called, calling=calling) == want
            if want == 3:
                assert p.answer[1:4] == b'\x01\x01\x07'
    with raw.Peer(g.port, timeout=5) as p:
        kind = p.associate([(1, raw.SECONDARY_CAPTURE, [raw.EXPLICIT])], calling='STRANGER')
        assert kind == 3 and p.answer[1:4] == b'\x01\x01\x03' or kind == 2 and not p.accepted
