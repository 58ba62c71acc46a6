"""DCMTK's programs as peers: echoscu, storescu, dcmsend, findscu, movescu, getscu, storescp, dcmqrscp, termscu; and Gantry's own clients against them."""
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import BIN, Gantry, content, dataset_bytes, free_port, need, run, sha, wait_port


@pytest.fixture
def loaded(gantry, testdata, tmp_path):
    """A server that knows SINK and holds two MR series and a CT series; the peer list has a port for the sink."""
    sink = free_port()
    g = gantry('--peer', 'sink=SINK@127.0.0.1:%d' % sink)
    g.sink_port = sink
    g.files = [p for d in ('series/mr-coronal-16', 'series/mr-oblique-20', 'series/ct-3slice-seg') for p in sorted((testdata / d).iterdir()) if p.is_file()]
    run('dcmsend', '--scan-directories', '-aec', 'GANTRY', '127.0.0.1', g.port, *[testdata / d for d in ('series/mr-coronal-16', 'series/mr-oblique-20', 'series/ct-3slice-seg')]) if shutil.which('dcmsend') else pytest.skip('dcmsend is not installed')
    return g


def test_echoscu(gantry):
    need('echoscu')
    g = gantry()
    assert run('echoscu', '-v', '--repeat', 3, '-aec', 'GANTRY', '127.0.0.1', g.port).returncode == 0
    assert run('echoscu', '--abort', '127.0.0.1', g.port).returncode == 0


def test_storescu_one_association_many_files(gantry, testdata, tmp_path):
    need('storescu')
    g = gantry()
    files = sorted((testdata / 'series/mr-coronal-16').glob('*.dcm'))
    run('storescu', '-aec', 'GANTRY', '127.0.0.1', g.port, *files)
    g.stop()
    out = g.export(tmp_path / 'out')
    assert sorted(map(content, out.values())) == sorted(map(content, files))


@pytest.mark.parametrize('flags,path', [(['-xs'], 'ts/wg04/MR1_JPLL'), (['-xv'], 'ts/wg04/CT1_J2KR'), (['-xt'], 'ts/wg04/CT1_JLSL'), (['-xr'], 'ts/wg04/CT1_RLE')])
def test_storescu_compressed(gantry, testdata, tmp_path, flags, path):
    need('storescu')
    if not (testdata / path).exists():
        pytest.skip(path + ' is not here')
    g = gantry()
    run('storescu', *flags, '-aec', 'GANTRY', '127.0.0.1', g.port, testdata / path)
    g.stop()
    assert [content(p) for p in g.export(tmp_path / 'out').values()] == [content(testdata / path)]


def answers(text):
    return text.count('(0008,0052) CS [')


def test_findscu_levels_and_matching(loaded):
    need('findscu')
    base = ['findscu', '-aec', 'GANTRY', '127.0.0.1', loaded.port]
    all_studies = run(*base, '-S', '-k', '0008,0052=STUDY', '-k', '0020,000D', '-k', '0010,0010', '-k', '0008,0061', '-k', '0020,1208')
    text = all_studies.stdout + all_studies.stderr
    uids = sorted(set(l.split('[')[1].split(']')[0].rstrip('\0 ') for l in text.splitlines() if '(0020,000d)' in l and '[' in l))
    assert len(uids) >= 3
    for uid in uids:
        series = run(*base, '-S', '-k', '0008,0052=SERIES', '-k', '0020,000D=' + uid, '-k', '0020,000E', '-k', '0020,1209')
        assert '(0020,000e)' in series.stdout + series.stderr
    patients = run(*base, '-P', '-k', '0008,0052=PATIENT', '-k', '0010,0020', '-k', '0010,0010', '-k', '0020,1200')
    assert '(0010,0020)' in patients.stdout + patients.stderr
    none = run(*base, '-S', '-k', '0008,0052=STUDY', '-k', '0010,0020=NOBODY_HERE', '-k', '0020,000D')
    assert 'Pending' not in none.stdout + none.stderr


def test_movescu_to_storescp(loaded, tmp_path):
    need('movescu', 'storescp')
    out = tmp_path / 'moved'
    out.mkdir()
    p = subprocess.Popen(['storescp', '-aet', 'SINK', '-od', str(out), str(loaded.sink_port)], stderr=subprocess.DEVNULL)
    try:
        wait_port(loaded.sink_port, p)
        import pydicom
        study = str(pydicom.dcmread(loaded.files[0], stop_before_pixels=True).StudyInstanceUID)
        run('movescu', '-S', '-aec', 'GANTRY', '-aem', 'SINK', '-k', '0008,0052=STUDY', '-k', '0020,000D=' + study, '127.0.0.1', loaded.port)
    finally:
        p.terminate()
        p.wait()
    want = sorted(content(f) for f in loaded.files if str(pydicom.dcmread(f, stop_before_pixels=True).StudyInstanceUID) == study)
    assert sorted(content(f) for f in out.iterdir()) == want


def test_movescu_unknown_destination_is_A801(loaded):
    need('movescu')
    r = run('movescu', '-d', '-S', '-aec', 'GANTRY', '-aem', 'NOWHERE', '-k', '0008,0052=STUDY', '-k', '0020,000D=1.2.3', '127.0.0.1', loaded.port, ok=False)
    assert '0xa801' in (r.stdout + r.stderr).lower() or 'MoveDestinationUnknown' in r.stdout + r.stderr


def test_getscu(loaded, tmp_path):
    need('getscu')
    import pydicom
    study = str(pydicom.dcmread(loaded.files[-1], stop_before_pixels=True).StudyInstanceUID)
    out = tmp_path / 'got'
    out.mkdir()
    run('getscu', '-S', '-aec', 'GANTRY', '-od', out, '-k', '0008,0052=STUDY', '-k', '0020,000D=' + study, '127.0.0.1', loaded.port)
    want = sorted(content(f) for f in loaded.files if str(pydicom.dcmread(f, stop_before_pixels=True).StudyInstanceUID) == study)
    assert sorted(content(f) for f in out.iterdir()) == want


def test_gantry_send_echo_to_storescp(storescp, testdata):
    port, out = storescp()
    assert run(BIN, 'echo', 'SINK@127.0.0.1:%d' % port).returncode == 0
    files = sorted((testdata / 'series/mr-oblique-20').glob('*'))
    r = run(BIN, 'send', 'SINK@127.0.0.1:%d' % port, '--json', *files)
    assert json.loads(r.stdout.splitlines()[-1])
    assert sorted(map(sha, out.iterdir())) == sorted(map(sha, files))


def test_gantry_echo_to_nobody_says_so():
    r = run(BIN, 'echo', 'ANY@127.0.0.1:%d' % free_port(), ok=False)
    assert r.returncode != 0 and 'refused' in (r.stdout + r.stderr).lower()


def test_gantry_clients_against_dcmqrscp(tmp_path, testdata):
    need('dcmqrscp')
    port, sink = free_port(), free_port()
    (tmp_path / 'db').mkdir()
    (tmp_path / 'qr.cfg').write_text('NetworkTCPPort = %d\nMaxPDUSize = 65536\nMaxAssociations = 8\nHostTable BEGIN\nme = (GANTRY, 127.0.0.1, %d)\nHostTable END\nVendorTable BEGIN\nVendorTable END\nAETable BEGIN\nQR %s RW (100, 512mb) ANY\nAETable END\n' % (port, sink, tmp_path / 'db'))
    p = subprocess.Popen(['dcmqrscp', '-c', str(tmp_path / 'qr.cfg')], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_port(port, p)
        peer = 'QR@127.0.0.1:%d' % port
        files = sorted((testdata / 'series/mr-coronal-16').glob('*.dcm'))
        run(BIN, 'send', peer, *files)
        found = run(BIN, 'find', peer, '--level', 'STUDY', '-k', 'PatientID=*', '-k', 'StudyInstanceUID', '--json')
        rows = json.loads(found.stdout)
        assert len(rows) == 1
        study = rows[0]['0020000D']['Value'][0]
        out = tmp_path / 'out'
        run(BIN, 'get', peer, out, '--level', 'STUDY', '-k', 'StudyInstanceUID=' + study)
        assert sorted(content(f) for f in out.rglob('*') if f.is_file()) == sorted(map(content, files))
        g = Gantry(tmp_path / 'data')
        g.port = sink
        g.start()
        try:
            run(BIN, 'move', peer, '--to', 'GANTRY', '--level', 'STUDY', '-k', 'StudyInstanceUID=' + study)
        finally:
            g.stop()
        assert sorted(map(content, g.export(tmp_path / 'moved').values())) == sorted(map(content, files))
    finally:
        p.terminate()
        p.wait()


def test_stored_object_passes_dciodvfy_as_before(loaded, tmp_path):
    """The Part 10 header that Gantry writes: dciodvfy has nothing against the meta group."""
    need('dciodvfy')
    loaded.stop()
    for path in list(loaded.export(tmp_path / 'out').values())[:5]:
        r = subprocess.run(['dciodvfy', str(path)], capture_output=True, text=True, errors='replace')
        meta = [l for l in (r.stdout + r.stderr).splitlines() if 'Error' in l and ('0x0002' in l or 'MetaInformation' in l or 'Meta' in l)]
        assert not meta, meta
        assert run('dcmftest', path).stdout.startswith('yes')
        assert dataset_bytes(path)
