"""dicom-rs (Rust) as peer: dicom-echoscu, dicom-storescu, dicom-findscu from PATH, ~/.cargo/bin or the folder that GANTRY_DICOM_RS names."""
import os
import shutil

import pytest

from conftest import content, run


def tool(name):
    for folder in (os.environ.get('GANTRY_DICOM_RS'), None, os.path.expanduser('~/.cargo/bin')):
        found = shutil.which(name, path=folder)
        if found:
            return found
    pytest.skip('%s (crate of that name) is not installed' % name)


def test_dicom_rs_echo(gantry):
    g = gantry()
    run(tool('dicom-echoscu'), '-v', 'GANTRY@127.0.0.1:%d' % g.port)


def test_dicom_rs_stores_in_parallel_and_finds(gantry, testdata, tmp_path):
    store, find = tool('dicom-storescu'), tool('dicom-findscu')
    g = gantry()
    files = sorted((testdata / 'series/mr-oblique-20').glob('*')) + [testdata / 'ts/wg04/CT1_J2KR', testdata / 'ts/wg04/MR1_JPLL']
    run(store, '--never-transcode', '--fail-first', '-c', 3, 'GANTRY@127.0.0.1:%d' % g.port, *files)
    r = run(find, '-S', 'GANTRY@127.0.0.1:%d' % g.port, '-q', 'QueryRetrieveLevel=STUDY', '-q', 'StudyInstanceUID=', '-q', 'PatientName=*')
    assert r.stdout.count('StudyInstanceUID') >= 3
    g.stop()
    assert sorted(map(content, g.export(tmp_path / 'out').values())) == sorted(map(content, files))
