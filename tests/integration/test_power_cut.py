"""The power is cut in the middle of stores (T29): what was acknowledged is there when the machine is up again.

The archive lies on an ext4 file system of its own, in an image on a loop device. EXT4_IOC_SHUTDOWN stops that file system as a power
cut does: what was not synced, in pages or in the journal, never reaches the disk. Then the program is killed, the image mounted again
(which replays the journal) and the service started. GANTRY_POWER_ROUNDS says how often (10)."""
import fcntl
import os
import random
import shutil
import struct
import subprocess
import time

import pytest

from conftest import BIN, dataset_bytes, need, run
from test_durability import Sender, make

EXT4_IOC_SHUTDOWN = 0x8004587d
WITH_JOURNAL, WITHOUT = 1, 2     # whether the journal is written out first
ROUNDS = int(os.environ.get('GANTRY_POWER_ROUNDS', '10'))


class Disk:
    def __init__(self, folder):
        self.image, self.at = folder / 'image', folder / 'disk'
        self.at.mkdir()
        with open(self.image, 'wb') as f:
            f.truncate(2 << 30)
        run('mkfs.ext4', '-q', '-F', self.image)

    def mount(self):
        return subprocess.run(['mount', '-o', 'loop', str(self.image), str(self.at)], capture_output=True, text=True)

    def cut(self, how):
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack('I', how))
        finally:
            os.close(fd)

    def unmount(self):
        return subprocess.run(['umount', str(self.at)], capture_output=True, text=True)


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip('mounting an image needs root')
    need('mkfs.ext4', 'mount', 'umount')
    d = Disk(tmp_path)
    mounted = d.mount()
    if mounted.returncode:
        pytest.skip('an ext4 image cannot be mounted here: ' + mounted.stderr.strip())
    try:
        yield d
    finally:
        if os.path.ismount(d.at):
            subprocess.run(['umount', '-l', str(d.at)], capture_output=True)


def test_the_cut_loses_what_was_not_synced(disk):
    """Else the other test would prove nothing."""
    with open(disk.at / 'synced', 'wb') as f:
        f.write(b'x' * 100000)
        f.flush()
        os.fsync(f.fileno())
    fd = os.open(disk.at, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    (disk.at / 'unsynced').write_bytes(b'x' * 100000)
    try:
        disk.cut(WITHOUT)
    except OSError as e:
        pytest.skip('EXT4_IOC_SHUTDOWN: %s' % e)
    assert disk.unmount().returncode == 0 and disk.mount().returncode == 0
    assert (disk.at / 'synced').read_bytes() == b'x' * 100000
    assert not (disk.at / 'unsynced').exists()


ALL_SIZES = (8000, 60000, 300000, 1500000)


def test_T29_a_power_cut_loses_nothing_acknowledged(disk, gantry, tmp_path):
    rnd, acked, seen = random.Random(29), {}, 0
    for n in range(ROUNDS):
        g = gantry(name='disk/archive', start=False)
        g.log = tmp_path / ('log%d' % n)    # the log is no matter of the disk that goes away
        g.start()
        sizes = (8000, 8000, 60000, 1500000 if n % 2 else 300000)
        senders = [Sender(g.port, '1.2.29.%d.%d' % (n, s), acked, size) for s, size in enumerate(sizes)]
        for s in senders:
            s.start()
        time.sleep(rnd.uniform(0.05, 0.5))
        try:
            disk.cut(WITH_JOURNAL if n % 4 == 3 else WITHOUT)
        except OSError as e:
            g.kill()
            pytest.skip('EXT4_IOC_SHUTDOWN: %s' % e)
        time.sleep(rnd.uniform(0, 0.05))    # it may still answer; what it then says must be true too
        g.kill()
        for s in senders:
            s.join(10)
        gone = disk.unmount()
        assert gone.returncode == 0, gone.stderr
        again = disk.mount()
        assert again.returncode == 0, again.stderr
        after = gantry(name='disk/archive', start=False)
        after.log = tmp_path / ('after%d' % n)
        after.start()
        assert after.stop() == 0
        held = after.export(tmp_path / 'out')
        lost = [u for u in acked if u not in held]
        damaged = [u for u, p in held.items() if u in acked and dataset_bytes(p) != acked[u]]
        half = [u for u, p in held.items() if u not in acked and dataset_bytes(p) not in {make(u, s) for s in ALL_SIZES} | {make(u, s, int(u.split('.')[-1])) for s in ALL_SIZES}]    # of this round or one before
        assert not lost and not damaged and not half, 'round %d, of %d acknowledged: %d lost %s, %d damaged, %d half\n%s' % (n, len(acked), len(lost), lost[:5], len(damaged), len(half), after.log_text()[-2000:])
        r = run(BIN, 'verify', '--data', after.data, ok=False)
        assert r.returncode == 0, 'round %d\n%s' % (n, r.stdout + r.stderr)
        shutil.rmtree(tmp_path / 'out')
        assert len(acked) > seen, 'nothing was acknowledged in round %d' % n
        seen = len(acked)
    print('%d acknowledged in %d rounds' % (len(acked), ROUNDS))
