"""Bounded memory and quick starts: what the issue asks in numbers that do not depend on the machine's speed."""
import os
import time

import pytest

from conftest import need
import rawdimse as raw

CONTEXT = [(1, raw.SECONDARY_CAPTURE, [raw.EXPLICIT]), (3, raw.VERIFICATION, [raw.IMPLICIT])]
SANITIZED = 'asan' in os.environ.get('GANTRY_BIN', '') or 'tsan' in os.environ.get('GANTRY_BIN', '')


@pytest.mark.skipif(SANITIZED, reason='memory of a sanitizer build says nothing')
def test_receiving_a_2_gb_multiframe_adds_less_than_16_MiB(gantry, tmp_path):
    free = os.statvfs(tmp_path)
    if free.f_bavail * free.f_frsize < 6 << 30:
        pytest.skip('less than 6 GiB of disk left')
    frames, side = 2000, 1024
    total = frames * side * side
    head = raw.small_dataset('1.2.20.1', rows=side, cols=side, pixels=b'', t00280008=('IS', str(frames)))[:-12]
    g = gantry()
    with raw.Peer(g.port, timeout=120) as p:
        p.associate(CONTEXT, max_pdu=0)
        assert p.store(1, raw.SECONDARY_CAPTURE, '1.2.20.0', raw.small_dataset('1.2.20.0'))[0][0x900] == 0
        before, peak = g.rss_kib(), 0
        p.send(raw.pdata(raw.pdv(1, 3, raw.command(e0002=raw.SECONDARY_CAPTURE, e0100=1, e0110=1, e0700=0, e0800=1, e1000='1.2.20.1'))))
        p.send(raw.pdata(raw.pdv(1, 0, head + b'\xe0\x7f\x10\x00OB\0\0' + total.to_bytes(4, 'little'))))
        size = p.peer_max - 6
        block, sent, n = bytes(size), 0, 0
        while sent < total:
            k = min(size, total - sent)
            sent += k
            p.send(raw.pdata(raw.pdv(1, 2 if sent == total else 0, block[:k])))
            n += 1
            if n % 256 == 0:
                peak = max(peak, g.rss_kib())
        assert p.receive_message()[0][0x900] == 0
        peak = max(peak, g.rss_kib())
    assert peak - before < 16 * 1024, 'grew by %d KiB' % (peak - before)


@pytest.mark.skipif(SANITIZED, reason='memory of a sanitizer build says nothing')
def test_500_idle_associations_fit_in_64_MiB(gantry):
    g = gantry('--maximum-associations', '600')
    peers = []
    for _ in range(500):
        p = raw.Peer(g.port)
        assert p.associate(CONTEXT) == 2
        assert p.echo(3)[0][0x900] == 0
        peers.append(p)
    time.sleep(0.5)
    rss = g.rss_kib()
    assert all(p.echo(3)[0][0x900] == 0 for p in peers[::50])
    for p in peers:
        p.close()
    assert rss < 64 * 1024, '%d KiB' % rss


@pytest.mark.skipif(SANITIZED, reason='memory of a sanitizer build says nothing')
def test_idle_server_stays_under_16_MB_and_stops_at_once(gantry):
    g = gantry()
    with raw.Peer(g.port) as p:
        p.associate(CONTEXT)
        p.echo(3)
    assert g.pss_kib() < 16 * 1000
    t = time.monotonic()
    assert g.stop() == 0
    assert time.monotonic() - t < 0.5


def test_T39_few_descriptors_cost_a_request_not_the_service(gantry):
    need('prlimit')
    g = gantry(wrap=['prlimit', '--nofile=40:40', '--'])
    peers = []
    for _ in range(60):
        try:
            p = raw.Peer(g.port, timeout=3)
            peers.append(p)
        except OSError:
            break
    for p in peers:
        p.close()
    time.sleep(0.5)
    with raw.Peer(g.port, timeout=10) as p:
        assert p.associate(CONTEXT) == 2
        assert p.store(1, raw.SECONDARY_CAPTURE, '1.2.39.1', raw.small_dataset('1.2.39.1'))[0][0x900] == 0
