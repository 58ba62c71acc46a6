"""Orthanc both ways: it sends to Gantry, queries and retrieves from it; Gantry sends to, finds in and moves from Orthanc."""
import json
import os
import socket
import subprocess
import urllib.request

import pytest

from conftest import BIN, content, free_port, need, run, wait_port


class Orthanc:
    def __init__(self, folder, peer_port, gantry_port):
        self.http, self.dicom = free_port(), free_port()
        folder.mkdir()
        config = {'Name': 'test', 'StorageDirectory': str(folder), 'IndexDirectory': str(folder), 'HttpPort': self.http, 'DicomPort': self.dicom, 'DicomAet': 'ORTHANC', 'AuthenticationEnabled': False,
                  'RemoteAccessAllowed': False, 'DicomAlwaysAllowFind': True, 'DicomAlwaysAllowGet': True, 'DicomAlwaysAllowMove': True, 'Plugins': [],
                  'DicomModalities': {'gantry': {'AET': 'GANTRY', 'Host': '127.0.0.1', 'Port': gantry_port, 'AllowStorageCommitment': True}, 'peer': ['PEER', '127.0.0.1', peer_port]}}
        (folder / 'orthanc.json').write_text(json.dumps(config))
        self.process = subprocess.Popen(['Orthanc', str(folder / 'orthanc.json')], stdout=subprocess.DEVNULL, stderr=open(str(folder) + '.log', 'w'))
        wait_port(self.http, self.process, 30)

    def rest(self, method, path, body=None):
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        r = urllib.request.urlopen(urllib.request.Request('http://127.0.0.1:%d%s' % (self.http, path), data=data, method=method), timeout=60)
        return json.loads(r.read() or b'null')

    def stop(self):
        self.process.terminate()
        self.process.wait()


def loopback_only():
    """Debian's Orthanc listens on all addresses: it is started only where no other address exists (a network namespace)."""
    names = [n for _, n in socket.if_nameindex() if n != 'lo']
    return not names


@pytest.fixture
def pair(gantry, tmp_path):
    need('Orthanc')
    if not loopback_only():
        pytest.skip('Orthanc 1.10 would listen on all addresses: run the tests in a network namespace')
    g = gantry(start=False)
    o = Orthanc(tmp_path / 'orthanc', free_port(), g.port)
    g.flags += ['--peer', 'orthanc=ORTHANC@127.0.0.1:%d' % o.dicom]
    g.start()
    yield g, o
    o.stop()


def test_orthanc_sends_queries_and_retrieves(pair, testdata, tmp_path):
    g, o = pair
    files = sorted((testdata / 'series/mr-coronal-16').glob('*.dcm'))
    ids = [o.rest('POST', '/instances', f.read_bytes())['ID'] for f in files]
    assert o.rest('POST', '/modalities/gantry/echo', {}) is not None
    r = o.rest('POST', '/modalities/gantry/store', {'Resources': ids, 'Synchronous': True, 'StorageCommitment': False})
    assert r['FailedInstancesCount'] == 0 and r['InstancesCount'] == len(files)
    q = o.rest('POST', '/modalities/gantry/query', {'Level': 'Study', 'Query': {'PatientID': '*', 'NumberOfStudyRelatedInstances': ''}})
    answers = o.rest('GET', '/queries/%s/answers?expand&simplify' % q['ID'])
    assert len(answers) == 1 and int(answers[0]['NumberOfStudyRelatedInstances']) == len(files)
    for i in ids:
        o.rest('DELETE', '/instances/' + i)
    o.rest('POST', '/queries/%s/answers/0/retrieve' % q['ID'], {'TargetAet': 'ORTHANC', 'Synchronous': True})
    assert len(o.rest('GET', '/instances')) == len(files)
    g.stop()
    assert sorted(map(content, g.export(tmp_path / 'out').values())) == sorted(map(content, files))


def test_gantry_sends_to_finds_in_and_moves_from_orthanc(pair, testdata, tmp_path):
    g, o = pair
    files = sorted((testdata / 'series/mr-oblique-20').glob('*'))
    peer = 'ORTHANC@127.0.0.1:%d' % o.dicom
    run(BIN, 'echo', peer)
    run(BIN, 'send', peer, *files)
    assert len(o.rest('GET', '/instances')) == len(files)
    rows = json.loads(run(BIN, 'find', peer, '--level', 'STUDY', '-k', 'PatientID', '-k', 'StudyInstanceUID', '--json').stdout)
    study = rows[0]['0020000D']['Value'][0]
    run(BIN, 'move', peer, '--to', 'GANTRY', '--level', 'STUDY', '-k', 'StudyInstanceUID=' + study)
    g.stop()
    assert sorted(map(content, g.export(tmp_path / 'out').values())) == sorted(map(content, files))


def test_orthanc_asks_for_storage_commitment(pair, testdata):
    import time
    g, o = pair
    ids = [o.rest('POST', '/instances', f.read_bytes())['ID'] for f in sorted((testdata / 'series/mr-coronal-16').glob('*.dcm'))[:3]]
    o.rest('POST', '/modalities/gantry/store', {'Resources': ids, 'Synchronous': True})
    r = o.rest('POST', '/modalities/gantry/storage-commitment', {'Resources': ids})
    end = time.monotonic() + 30
    while time.monotonic() < end:
        status = o.rest('GET', '/storage-commitment/' + r['ID'])
        if status['Status'] != 'Pending':
            break
        time.sleep(0.2)
    assert status['Status'] == 'Success' and len(status['Success']) == 3
