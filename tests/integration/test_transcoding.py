"""Receivers that do not take what is stored: compressed objects are decoded (or compressed again without loss) on their way out.

Every compressed real file is stored, and given to pynetdicom by C-GET and to DCMTK's storescp by C-MOVE in forms that they take. What
arrives must have the frames that two reference decoders agree on (expected_frames.csv)."""
import csv
import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from conftest import BIN, TESTDATA, free_port, need, run
from test_peers_pynetdicom import script
from test_real_files import has_meta, identify

EXPLICIT, IMPLICIT, JPEG_LS, J2K = '1.2.840.10008.1.2.1', '1.2.840.10008.1.2', '1.2.840.10008.1.2.4.80', '1.2.840.10008.1.2.4.90'
LOSSY = ('1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.51')

GET = '''
    from pynetdicom import AE, evt, build_role
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as G
    from pydicom.dataset import Dataset
    q = json.load(open(sys.argv[1])); got = {}
    def store(e):
        path = '%s/%d' % (q['out'], len(got)); open(path, 'wb').write(e.encoded_dataset(include_meta=False))
        got[str(e.request.AffectedSOPInstanceUID)] = [path, str(e.context.transfer_syntax)]
        return 0
    ae = AE(); ae.add_requested_context(G); ae.maximum_pdu_size = 0; ae.network_timeout = ae.dimse_timeout = 110
    for c in q['classes']: ae.add_requested_context(c, q['syntaxes'])
    a = ae.associate('127.0.0.1', q['port'], ae_title='GANTRY', ext_neg=[build_role(c, scp_role=True) for c in q['classes']], evt_handlers=[(evt.EVT_C_STORE, store)])
    d = Dataset(); d.QueryRetrieveLevel = 'IMAGE'; d.SOPInstanceUID = q['uids']
    last, ident = [r for r in a.send_c_get(d, G)][-1]
    a.release()
    assert 'NumberOfCompletedSuboperations' in last, last
    failed = ident.get('FailedSOPInstanceUIDList', []) if ident else []
    print(json.dumps([got, last.Status, last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations, [failed] if isinstance(failed, str) else [str(x) for x in failed], str(last.get('ErrorComment', ''))]))
'''


def expected():
    """{path: [(frame, sha256, bytes, layout)]} of the compressed files that can be stored as they are."""
    if not TESTDATA.is_dir():
        pytest.skip('folder of real DICOM files is not here')
    syntax = {r['path']: r['transfer_syntax'] for r in csv.DictReader(open(TESTDATA / 'MANIFEST.csv', encoding='utf-8'))}
    rows = {}
    for r in csv.DictReader(open(TESTDATA / 'expected_frames.csv', encoding='utf-8')):
        if syntax[r['path']].startswith(('1.2.840.10008.1.2.4.', '1.2.840.10008.1.2.5')) and has_meta(TESTDATA / r['path']):
            rows.setdefault(r['path'], []).append((r['frame'], r['sha256'], int(r['bytes']), r['layout']))
    whole = {path: identify(TESTDATA / path) for path in rows}
    rows = {path: r for path, r in rows.items() if whole[path] and set(whole[path][1]) <= set('0123456789.')}
    assert len(rows) > 30
    return rows


def unique_copy(path, to, taken):
    """A copy whose SOP Instance UID nobody else has: many samples are one image in several encodings. Only its digits change."""
    import pydicom
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    old, data = str(ds.SOPInstanceUID), Path(path).read_bytes()
    uid, n = old, 0
    while uid in taken:
        n += 1
        tail = str(100 + n)
        uid = old[:-len(tail)].rstrip('.') + tail
        uid = uid if len(uid) == len(old) else old[:-len(tail) - 1] + '9' + tail
    taken.add(uid)
    to.write_bytes(data.replace(old.encode(), uid.encode()))
    return uid, str(ds.SOPClassUID), str(ds.file_meta.TransferSyntaxUID)


@pytest.fixture
def store(gantry, testdata, tmp_path):
    """A factory: store(paths, *flags) -> a server with these test files, its .objects {SOP Instance UID: (path, class, syntax)}."""
    def make(paths, *flags, change=lambda path, copy: None):
        folder, taken, objects = tmp_path / 'copies', set(), {}
        folder.mkdir()
        for i, path in enumerate(sorted(paths)):
            copy = folder / ('%d.dcm' % i)
            uid, sop_class, ts = unique_copy(testdata / path, copy, taken)
            change(path, copy)
            objects[uid] = (path, sop_class, ts)
        g = gantry(*flags, start=False)
        run(BIN, 'import', '--data', g.data, folder)
        g.objects = objects
        return g.start()
    return make


def get(g, tmp_path, *syntaxes, uids=None):
    out = tmp_path / ('got-%d' % len(list(tmp_path.glob('got-*'))))
    out.mkdir()
    ask = tmp_path / 'ask.json'
    ask.write_text(json.dumps({'port': g.port, 'out': str(out), 'uids': uids or list(g.objects), 'syntaxes': list(syntaxes), 'classes': sorted({o[1] for o in g.objects.values()})}))
    return script(GET, str(ask))


def dataset(path, ts):
    """A data set without its file header, as pydicom reads it."""
    import pydicom
    with open(path, 'rb') as f:
        return pydicom.filereader.read_dataset(f, ts == IMPLICIT, True)


def unpack(bits, n):
    return bytes((bits[i // 8] >> (i % 8)) & 1 for i in range(n))


def check_frames(ds, rows, path):
    """The native frames of a data set against the reference."""
    pixels = ds.PixelData
    for frame, sha256, n, layout in rows:
        data = unpack(pixels, n) if '1bit' in layout and frame == 'all' else pixels[:n] if frame == 'all' else pixels[(int(frame) - 1) * n:int(frame) * n]
        assert hashlib.sha256(data).hexdigest() == sha256, (path, frame)


def check_all(objects, rows, read, ts_of):
    """`read(uid)` gives what arrived; all must be there, with the right frames and attributes that are still true."""
    for uid, (path, _, stored) in objects.items():
        ds = read(uid)
        check_frames(ds, rows[path], path)
        assert str(ds.SOPInstanceUID) == uid
        assert ds.get('PhotometricInterpretation') not in ('YBR_RCT', 'YBR_ICT', 'YBR_PARTIAL_420'), path
        if stored in LOSSY:
            assert ds.get('LossyImageCompression') == '01', path
        assert ts_of(uid) in (EXPLICIT, IMPLICIT), path


@pytest.mark.parametrize('syntax', [EXPLICIT, IMPLICIT], ids=['explicit', 'implicit'])
def test_get_by_a_receiver_that_takes_only_native(store, tmp_path, syntax):
    rows = expected()
    g = store(rows)
    got, status, completed, failed, list_, _ = get(g, tmp_path, syntax)
    assert (status, failed, list_) == (0, 0, []), g.log_text()[-3000:]
    assert completed == len(g.objects) and {t for _, t in got.values()} == {syntax}
    check_all(g.objects, rows, lambda uid: dataset(got[uid][0], syntax), lambda uid: got[uid][1])


@pytest.mark.parametrize('flag', ['+xe', '+xi'])
def test_move_to_storescp_that_takes_only_native(store, storescp, tmp_path, flag):
    import pydicom
    rows = expected()
    port, out = storescp(flag)
    g = store(rows, '--peer', 'sink=SINK@127.0.0.1:%d' % port)
    r = run(BIN, 'move', 'GANTRY@127.0.0.1:%d' % g.port, '--to', 'SINK', '--level', 'IMAGE', '-k', 'SOPInstanceUID=' + '\\'.join(g.objects), ok=False)
    assert r.returncode == 0, r.stdout + r.stderr + g.log_text()[-3000:]
    arrived = {str(d.SOPInstanceUID): d for d in (pydicom.dcmread(p) for p in out.iterdir())}
    assert set(arrived) == set(g.objects)
    check_all(g.objects, rows, arrived.__getitem__, lambda uid: str(arrived[uid].file_meta.TransferSyntaxUID))


def test_what_is_taken_as_stored_is_not_touched(store, tmp_path):
    """Its own context first: the very bytes of the stored data set."""
    from conftest import dataset_bytes
    g = store(['ts/wg04/CT1_J2KR', 'ts/wg04/CT1_JLSL'])
    for uid, (path, sop_class, ts) in g.objects.items():
        got, status, completed, failed, _, _ = get(g, tmp_path, ts, uids=[uid])
        assert (status, completed, failed) == (0, 1, 0)
        copy = [p for p in (tmp_path / 'copies').iterdir() if uid.encode() in p.read_bytes()][0]
        assert got[uid][1] == ts and Path(got[uid][0]).read_bytes() == dataset_bytes(copy)


def test_get_by_a_receiver_that_takes_only_jpeg_ls(store, tmp_path, testdata):
    """Compressed again, without loss: DCMTK's decoder gives back the frames of the reference."""
    import pydicom
    need('dcmdjpls')
    rows = expected()
    paths = [p for p in ('ts/wg04/CT1_J2KR', 'ts/wg04/CT1_RLE', 'ts/wg04/CT1_JPLL', 'ts/wg04/MR1_J2KR', 'ts/wg04/US1_RLE') if p in rows]
    g = store(paths)
    got, status, completed, failed, _, _ = get(g, tmp_path, JPEG_LS)
    assert (status, completed, failed) == (0, len(paths), 0), g.log_text()[-3000:]
    from pydicom.dataset import FileMetaDataset
    for uid, (path, sop_class, _) in g.objects.items():
        ds = dataset(got[uid][0], JPEG_LS)
        whole = pydicom.dataset.FileDataset(str(tmp_path / 'x'), ds, preamble=b'\0' * 128)
        whole.file_meta = FileMetaDataset()
        whole.file_meta.TransferSyntaxUID, whole.file_meta.MediaStorageSOPClassUID, whole.file_meta.MediaStorageSOPInstanceUID = JPEG_LS, sop_class, uid
        whole.is_little_endian, whole.is_implicit_VR = True, False
        whole.save_as(str(tmp_path / 'ls.dcm'), write_like_original=False)
        run('dcmdjpls', tmp_path / 'ls.dcm', tmp_path / 'plain.dcm')
        check_frames(pydicom.dcmread(tmp_path / 'plain.dcm'), rows[path], path)


def test_a_corrupt_codestream_fails_one_suboperation(store, tmp_path):
    """The rest arrives; the answer lists the one, and the log says which and why."""
    paths = ['ts/wg04/CT1_J2KR', 'ts/wg04/CT1_JLSL', 'ts/wg04/CT1_RLE']

    def spoil(path, copy):
        b = copy.read_bytes()
        if path.endswith('J2KR'):
            at = b.index(b'\xff\x4f\xff\x51')
            copy.write_bytes(b[:at + 4] + bytes(40) + b[at + 44:])

    g = store(paths, change=spoil)
    bad = [u for u, o in g.objects.items() if o[0].endswith('J2KR')]
    got, status, completed, failed, list_, _ = get(g, tmp_path, EXPLICIT)
    assert (status, completed, failed, list_) == (0xB000, 2, 1, bad)
    assert set(got) == set(g.objects) - set(bad)
    lines = [l for l in g.log_text().splitlines() if 'retrieve.transcode' in l]
    assert len(lines) == 1 and bad[0] in lines[0] and 'frame 1' in lines[0], lines
    got, status, completed, failed, list_, _ = get(g, tmp_path, EXPLICIT, uids=bad)
    assert (status, completed, failed, list_) == (0xA702, 0, 1, bad)


def children(pid):
    out = subprocess.run(['pgrep', '-P', str(pid)], capture_output=True, text=True).stdout.split()
    return [int(p) for p in out]


def test_T10_a_decoder_that_is_killed_fails_at_most_one_object(store, tmp_path):
    """Stopped in the middle of a frame and then killed: that object may fail, nothing else, and the next request finds a fresh decoder."""
    need('pgrep')
    g = store(expected(), '--decoder-workers', '1')
    result, killed = [], []
    t = threading.Thread(target=lambda: result.append(get(g, tmp_path, EXPLICIT)))
    t.start()
    end = time.monotonic() + 60
    while not killed and t.is_alive() and time.monotonic() < end:
        for pid in children(g.server_pid()):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.5)
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
        time.sleep(0.002)
    t.join(110)
    assert killed and result, 'no decoder was seen'
    got, status, completed, failed, list_, _ = result[0]
    assert failed <= 1 and completed == len(g.objects) - failed == len(got), (status, list_)
    if failed:
        assert status == 0xB000 and 'signal 9' in g.log_text()
    again = get(g, tmp_path, EXPLICIT)
    assert again[1:4] == [0, len(g.objects), 0]
    assert not set(children(g.server_pid())) & set(killed)
    pids = children(g.server_pid())
    assert len(pids) == 1
    g.stop()
    assert not any(Path('/proc/%d' % p).exists() for p in pids)
