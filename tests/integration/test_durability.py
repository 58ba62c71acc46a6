"""What was acknowledged is there: after kill -9, a full disk, a failing fsync, a torn tail (T28, T30, T31, T32, T37, T38)."""
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import BIN, dataset_bytes, need, run
import rawdimse as raw

CONTEXT = [(1, raw.SECONDARY_CAPTURE, [raw.EXPLICIT]), (3, raw.VERIFICATION, [raw.IMPLICIT])]


def make(uid, size=30000, seed=0):
    r = random.Random(uid)
    return raw.small_dataset(uid, study='1.2.9.%d' % (seed % 7), series='1.2.9.%d.1' % (seed % 7), rows=100, cols=size // 100, pixels=r.randbytes(size // 100 * 100))


class Sender(threading.Thread):
    """Stores until the connection breaks; notes what was acknowledged."""

    def __init__(self, port, prefix, acked, size):
        super().__init__(daemon=True)
        self.port, self.prefix, self.acked, self.size = port, prefix, acked, size

    def run(self):
        try:
            with raw.Peer(self.port, timeout=10) as p:
                if p.associate(CONTEXT, max_pdu=131072) != 2:
                    return
                for i in range(100000):
                    uid = '%s.%d' % (self.prefix, i)
                    data = make(uid, self.size, i)
                    m = p.store(1, raw.SECONDARY_CAPTURE, uid, data)
                    if not isinstance(m[0], dict) or m[0][0x900] != 0:
                        return
                    self.acked[uid] = data
        except (OSError, ConnectionError):
            pass


def test_T28_kill_nine_a_hundred_times_loses_nothing_acknowledged(gantry, tmp_path):
    rounds = int(os.environ.get('GANTRY_KILL_ROUNDS', '100'))
    rnd, acked = random.Random(28), {}
    g = gantry(start=False)
    for n in range(rounds):
        g.start()
        senders = [Sender(g.port, '1.2.28.%d.%d' % (n, s), acked, 300000 if s == 3 and n % 4 == 0 else 1500000 if s == 2 and n % 10 == 0 else 8000) for s in range(4)]
        for s in senders:
            s.start()
        time.sleep(rnd.uniform(0.01, 0.12))
        g.kill()
        for s in senders:
            s.join(10)
    g.start()
    g.stop()
    out = g.export(tmp_path / 'out')
    lost = [u for u in acked if u not in out]
    damaged = [u for u in acked if u in out and dataset_bytes(out[u]) != acked[u]]
    assert len(acked) > rounds
    assert not lost and not damaged, 'of %d acknowledged: %d lost, %d damaged' % (len(acked), len(lost), len(damaged))
    extra = [u for u in out if u not in acked]
    for u in extra:   # what was not acknowledged is there whole or not at all
        assert len(dataset_bytes(out[u])) in {len(v) for v in acked.values()} | {len(make(u, s)) for s in (8000, 300000, 1500000)}
    assert run(BIN, 'verify', '--data', g.data).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason='mounting a small tmpfs needs root')
def test_T31_full_disk_answers_A700_and_recovers(gantry, tmp_path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=48m', 'none', str(disk)], capture_output=True).returncode:
        pytest.skip('tmpfs cannot be mounted here')
    g = gantry('--reserve-space', str(4 << 20), name='disk/data', start=False)
    try:
        g.start()
        stored, status = {}, 0
        with raw.Peer(g.port, timeout=30) as p:
            p.associate(CONTEXT)
            for i in range(2000):
                uid = '1.2.31.%d' % i
                data = make(uid, 90000)
                cmd, _ = p.store(1, raw.SECONDARY_CAPTURE, uid, data)
                status = cmd[0x900]
                if status:
                    break
                stored[uid] = data
            assert status == 0xA700, '%04X after %d objects' % (status, len(stored))
            assert p.echo(3)[0][0x900] == 0      # reads go on
            subprocess.run(['mount', '-o', 'remount,size=96m', str(disk)], check=True)
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:     # room again: recovers alone
                data = make('1.2.31.9999', 90000)
                if p.store(1, raw.SECONDARY_CAPTURE, '1.2.31.9999', data)[0][0x900] == 0:
                    stored['1.2.31.9999'] = data
                    break
                time.sleep(0.2)
            assert '1.2.31.9999' in stored
        g.stop()
        out = g.export(tmp_path / 'out')
        assert all(dataset_bytes(out[u]) == d for u, d in stored.items())
        assert run(BIN, 'verify', '--data', g.data).returncode == 0
    finally:
        g.kill()
        subprocess.run(['umount', '-l', str(disk)])


def test_T30_failing_sync_is_a_failed_store_never_a_success(gantry, tmp_path):
    need('strace')
    probe = subprocess.run(['strace', '-f', '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=1', 'true'], capture_output=True)
    if probe.returncode:
        pytest.skip('strace cannot inject faults here')
    # The counter is each thread's own: the start stays below 12, the one association's thread goes beyond it.
    g = gantry(wrap=['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync,fsync', '-e', 'inject=fdatasync:error=EIO:when=12+4'])
    ok, bad = {}, []
    with raw.Peer(g.port, timeout=20) as p:
        assert p.associate(CONTEXT) == 2
        for i in range(40):
            uid = '1.2.30.%d' % i
            data = make(uid, 5000)
            cmd, _ = p.store(1, raw.SECONDARY_CAPTURE, uid, data)
            if cmd[0x900] == 0:
                ok[uid] = data
            else:
                bad.append(cmd[0x900])
    assert len(ok) >= 11
    assert bad and all(s >> 8 in (0xA7, 0x01) for s in bad), bad
    g.stop()
    out = g.export(tmp_path / 'out')
    assert all(u in out and dataset_bytes(out[u]) == d for u, d in ok.items()), 'a success without its bytes'


def test_T37_connection_cut_in_the_middle_leaves_nothing_half(gantry, tmp_path):
    g = gantry()
    data = make('1.2.37.1', 60000)
    for cut in range(0, len(data), 6000):
        p = raw.Peer(g.port)
        p.associate(CONTEXT)
        p.send(raw.pdata(raw.pdv(1, 3, raw.command(e0002=raw.SECONDARY_CAPTURE, e0100=1, e0110=1, e0700=0, e0800=1, e1000='1.2.37.1'))))
        for o in range(0, cut, 3000):
            p.send(raw.pdata(raw.pdv(1, 0, data[o:o + 3000])))
        p.close()
    time.sleep(0.3)
    with raw.Peer(g.port) as p:
        p.associate(CONTEXT)
        assert p.store(1, raw.SECONDARY_CAPTURE, '1.2.37.1', data)[0][0x900] == 0
    g.stop()
    out = g.export(tmp_path / 'out')
    assert list(out) == ['1.2.37.1'] and dataset_bytes(out['1.2.37.1']) == data


def flip(path, offset):
    with open(path, 'r+b') as f:
        f.seek(offset)
        b = f.read(1)
        f.seek(offset)
        f.write(bytes([b[0] ^ 0x10]))


@pytest.mark.parametrize('size', [9000, 2000000])
def test_T38_one_flipped_bit_is_found_by_verify(gantry, size):
    g = gantry()
    with raw.Peer(g.port, timeout=30) as p:
        p.associate(CONTEXT)
        for i in range(5):
            assert p.store(1, raw.SECONDARY_CAPTURE, '1.2.38.%d' % i, make('1.2.38.%d' % i, size))[0][0x900] == 0
    g.stop()
    assert run(BIN, 'verify', '--data', g.data).returncode == 0
    needle = make('1.2.38.3', size)[-200:-100]
    hit = [(f, f.read_bytes().find(needle)) for f in g.data.rglob('*') if f.is_file()]
    hit = [(f, o) for f, o in hit if o > 0]
    assert len(hit) == 1
    flip(*hit[0])
    r = run(BIN, 'verify', '--data', g.data, ok=False)
    assert r.returncode == 1 and '1.2.38.3' in r.stdout + r.stderr and '1.2.38.2' not in r.stdout + r.stderr


def test_T38_dropped_and_foreign_files_are_found_by_verify(gantry):
    g = gantry()
    with raw.Peer(g.port, timeout=30) as p:
        p.associate(CONTEXT)
        for i in range(3):
            p.store(1, raw.SECONDARY_CAPTURE, '1.2.39.%d' % i, make('1.2.39.%d' % i, 2000000))
    g.stop()
    large = sorted(f for f in g.data.rglob('*') if f.is_file() and f.stat().st_size >= 2000000 and f.suffix != '.pack')
    assert len(large) == 3
    shutil.copy(large[0], large[0].with_name('f' * len(large[0].stem) + large[0].suffix))
    large[1].unlink()
    r = run(BIN, 'verify', '--data', g.data, ok=False)
    assert r.returncode == 1
    lines = (r.stdout + r.stderr)
    assert 'missing' in lines and 'unknown' in lines, lines


def test_T32_an_empty_folder_in_place_of_the_archive_is_not_filled(gantry, tmp_path):
    """A mount that has gone away: the marker is missing although the folder was used before by this configuration."""
    g = gantry()
    with raw.Peer(g.port) as p:
        p.associate(CONTEXT)
        p.store(1, raw.SECONDARY_CAPTURE, '1.2.32.1', make('1.2.32.1', 5000))
    g.stop()
    for f in g.data.rglob('*.marker'):
        f.unlink()
    r = subprocess.run([BIN, 'serve', '--data', str(g.data), '--dicom-port', '0', '--http-port', '0'], capture_output=True, text=True, timeout=20)
    assert r.returncode != 0 and 'marker' in (r.stdout + r.stderr)


def test_T32_an_empty_mount_point_is_left_empty_when_storage_must_exist(gantry):
    g = gantry()
    with raw.Peer(g.port) as p:
        p.associate(CONTEXT)
        assert p.store(1, raw.SECONDARY_CAPTURE, '1.2.32.2', make('1.2.32.2', 5000))[0][0x900] == 0
    g.stop()
    disk = g.data.with_name('disk')
    g.data.rename(disk)     # the disk is away, its mount point is there
    g.data.mkdir()
    serve = [BIN, 'serve', '--data', str(g.data), '--dicom-port', '0', '--http-port', '0', '--storage-must-exist']
    r = subprocess.run(serve, capture_output=True, text=True, timeout=20)
    assert r.returncode != 0 and 'is the disk mounted?' in r.stderr and '--no-storage-must-exist' in r.stderr, r.stderr
    assert list(g.data.iterdir()) == []
    g.data.rmdir()
    disk.rename(g.data)
    g.flags.append('--storage-must-exist')
    g.start()
    assert g.stop() == 0


def test_a_rebuild_of_the_index_is_told_to_the_log_and_the_service_manager(gantry, tmp_path, monkeypatch):
    g = gantry()
    with raw.Peer(g.port) as p:
        p.associate(CONTEXT)
        for i in range(20):
            assert p.store(1, raw.SECONDARY_CAPTURE, '1.2.33.%d' % i, make('1.2.33.%d' % i, 5000))[0][0x900] == 0
    g.stop()
    for f in g.data.glob('index.sqlite*'):
        f.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / 'notify'))
        manager.settimeout(10)
        monkeypatch.setenv('NOTIFY_SOCKET', str(tmp_path / 'notify'))
        g.start()
        told = manager.recv(4096).decode()
        assert told.startswith('EXTEND_TIMEOUT_USEC=') and '\nSTATUS=reading the archive again: 0 B of ' in told, told
        assert manager.recv(4096).decode().startswith('READY=1')
    assert 'archive.recovering' in g.log_text()
    g.stop()
    assert len(g.export(tmp_path / 'out')) == 20


def test_second_server_on_the_same_archive_is_refused(gantry):
    g = gantry()
    r = subprocess.run([BIN, 'serve', '--data', str(g.data), '--dicom-port', '0', '--http-port', '0'], capture_output=True, text=True, timeout=20)
    assert r.returncode != 0 and 'stop the other gantry' in (r.stdout + r.stderr)
    assert g.process.poll() is None


def test_sigterm_finishes_the_store_in_flight(gantry, tmp_path):
    g = gantry()
    data = make('1.2.15.1', 400000)
    p = raw.Peer(g.port, timeout=20)
    p.associate(CONTEXT)
    p.send(raw.pdata(raw.pdv(1, 3, raw.command(e0002=raw.SECONDARY_CAPTURE, e0100=1, e0110=1, e0700=0, e0800=1, e1000='1.2.15.1'))))
    p.send(raw.pdata(raw.pdv(1, 0, data[:10000])))
    os.kill(g.server_pid(), signal.SIGTERM)
    time.sleep(0.1)
    for o in range(10000, len(data), 10000):
        p.send(raw.pdata(raw.pdv(1, 2 if o + 10000 >= len(data) else 0, data[o:o + 10000])))
    assert p.receive_message()[0][0x900] == 0
    assert g.process.wait(20) == 0
    assert dataset_bytes(g.export(tmp_path / 'out')['1.2.15.1']) == data
