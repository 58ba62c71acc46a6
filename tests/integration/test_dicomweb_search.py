"""Searches and metadata of DICOMweb, as other vendors' clients see them: PS3.18 §10.6 and §10.4.1.1.2."""
import csv
import gzip
import io
import json
import subprocess
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET

import pytest
from conftest import BIN, VENV_PYTHON, run

pydicom = pytest.importorskip('pydicom')
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402

SC = '1.2.840.10008.5.1.4.1.1.7'
STUDY = '1.2.826.0.1.3680043.10.543.%d'


def write(folder, study, series, number, **attributes):
    ds = Dataset()
    ds.SpecificCharacterSet = 'ISO_IR 192'
    ds.SOPClassUID, ds.StudyInstanceUID = SC, STUDY % study
    ds.SeriesInstanceUID, ds.SOPInstanceUID = (STUDY % study) + '.%d' % series, (STUDY % study) + '.%d.%d' % (series, number)
    ds.SeriesNumber, ds.InstanceNumber, ds.Rows, ds.Columns, ds.BitsAllocated = series, number, 4, 6, 8
    ds.PixelData = bytes(24)
    ds['PixelData'].VR = 'OB'
    for k, v in attributes.items():
        setattr(ds, k, v)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID, ds.file_meta.TransferSyntaxUID = SC, ds.SOPInstanceUID, '1.2.840.10008.1.2.1'
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(folder / ('%d-%d-%d.dcm' % (study, series, number)), write_like_original=False)


def item(**attributes):
    ds = Dataset()
    for k, v in attributes.items():
        setattr(ds, k, v)
    return ds


@pytest.fixture
def web(gantry, tmp_path):
    """Three studies: 1 (Müller, CT and MR), 2 (Yamada, CT), 3 (Mueller, no date)."""
    files = tmp_path / 'files'
    files.mkdir()
    one = dict(PatientName='Müller^Änne', PatientID='A1', StudyDate='20240110', StudyTime='081500', AccessionNumber='ACC-1', StudyDescription='Knie, links')
    for n in range(1, 11):
        write(files, 1, 1, n, Modality='CT', SeriesDescription='thin', RequestAttributesSequence=[item(RequestedProcedureID='RP7', ScheduledProcedureStepID='SP7')], **one)
    write(files, 1, 2, 1, Modality='MR', **one)
    write(files, 2, 1, 1, PatientName='Yamada^Tarou=山田^太郎=やまだ^たろう', PatientID='A2', StudyDate='20240220', StudyTime='235959', Modality='CT', AccessionNumber='ACC-2')
    write(files, 3, 1, 1, PatientName='Mueller^Bob', PatientID='B1', Modality='US', PatientSex='M')
    g = gantry()
    g.send = lambda *paths: run(BIN, 'send', '%s@127.0.0.1:%d' % (g.aet, g.port), *paths)
    g.send(files)
    g.root = 'http://127.0.0.1:%d/dicom-web' % g.http_port
    g.files = files
    return g


def get(g, path, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(g.root + path, headers=headers)) as r:
            return r.status, r.headers, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


def rows(g, path):
    status, headers, body = get(g, path)
    assert status == 200 and headers['Content-Type'].startswith('application/dicom+json'), body
    return [Dataset.from_json(x, lambda *a: b'') for x in json.loads(body)]


def studies(g, query):
    return [int(d.StudyInstanceUID.split('.')[-1]) for d in rows(g, '/studies?' + query)]


@pytest.mark.parametrize('query, found', [
    ('', [1, 2, 3]),
    ('PatientID=A1', [1]), ('00100020=A1', [1]),                                                   # single value
    ('PatientID=A*', [1, 2]), ('PatientID=A%3F', [1, 2]), ('PatientID=*', [1, 2, 3]),                 # wildcard
    ('PatientName=m%C3%BCller*', [1]), ('PatientName=%E5%B1%B1%E7%94%B0*', [2]),                      # names: no case, any group
    ('PatientName=mull&fuzzymatching=true', [1]),
    ('StudyDate=20240110', [1]), ('StudyDate=20240101-20240131', [1]), ('StudyDate=20240201-', [2]), ('StudyDate=-20240201', [1]),
    ('StudyTime=080000-090000', [1]), ('StudyDate=%22%22', [3]),                                      # ranges, and empty value matching
    ('StudyInstanceUID=%s,%s' % (STUDY % 1, STUDY % 3), [1, 3]), ('StudyInstanceUID=%s%%5C%s' % (STUDY % 1, STUDY % 2), [1, 2]),  # lists of UIDs
    ('ModalitiesInStudy=MR', [1]), ('ModalitiesInStudy=MR,US', [1, 3]),
    ('StudyDescription=Knie%2C%20links', [1]),                                                        # a comma inside a text is no list
    ('PatientSex=M', [3]), ('PatientSex=', [1, 2, 3]),
    ('PatientID=A1&ModalitiesInStudy=US', []),
    ('limit=2', [1, 2]), ('limit=2&offset=2', [3]), ('offset=1', [2, 3]), ('limit=0', []), ('offset=99', []), ('StudyDate=2024*&offset=1', [2]),
    ("PatientID='%20OR%201=1--", []),
])
def test_matching(web, query, found):
    assert studies(web, query) == found


def test_levels_computed_attributes_and_includefield(web):
    d = rows(web, '/studies?PatientID=A1')[0]
    assert (d.NumberOfStudyRelatedSeries, d.NumberOfStudyRelatedInstances, sorted(d.ModalitiesInStudy), d.InstanceAvailability) == (2, 11, ['CT', 'MR'], 'ONLINE')
    assert d.PatientName == 'Müller^Änne' and d.RetrieveURL == '%s/studies/%s' % (web.root, STUDY % 1) and 'StudyDescription' not in d
    assert rows(web, '/studies?PatientID=A1&includefield=00081030')[0].StudyDescription == 'Knie, links'
    assert rows(web, '/studies?PatientID=A1&includefield=all')[0].StudyDescription == 'Knie, links'
    series = rows(web, '/studies/%s/series?Modality=CT' % (STUDY % 1))
    assert len(series) == 1 and series[0].NumberOfSeriesRelatedInstances == 10 and series[0].SeriesNumber == 1
    assert series[0].RequestAttributesSequence[0].RequestedProcedureID == 'RP7' and 'PatientName' not in series[0]
    assert [d.PatientID for d in rows(web, '/series?RequestAttributesSequence.RequestedProcedureID=RP7')] == ['A1']
    assert rows(web, '/series?00400275.00401001=RP8') == []
    assert len(rows(web, '/instances')) == 13 and len(rows(web, '/studies/%s/instances' % (STUDY % 1))) == 11
    i = rows(web, '/studies/%s/series/%s.1/instances?InstanceNumber=3' % (STUDY % 1, STUDY % 1))
    assert len(i) == 1 and (i[0].Rows, i[0].Columns, i[0].BitsAllocated, i[0].SOPClassUID) == (4, 6, 8, SC)
    assert len(rows(web, '/instances?Rows=4&StudyInstanceUID=' + STUDY % 2)) == 1


@pytest.mark.parametrize('path, field', [
    ('/studies?limit=-1', 'limit'), ('/studies?limit=x', 'limit'), ('/studies?offset=1.5', 'offset'), ('/studies?fuzzymatching=perhaps', 'fuzzymatching'),
    ('/studies?NoSuchThing=1', 'NoSuchThing'), ('/studies?includefield=NoSuchThing', 'includefield'), ('/studies?StudyDate=yesterday', 'StudyDate'),
    ('/studies?00080020=20249999x', '00080020'), ('/studies?SeriesDescription=thin', 'SeriesDescription'), ('/instances?Rows=many', 'Rows'),
    ('/instances?PixelData=1', 'PixelData'), ('/studies?PatientName.PatientID=1', 'PatientName.PatientID'), ('/studies?RequestAttributesSequence=1', 'RequestAttributesSequence'),
])
def test_t15_wrong_parameters_are_named(web, path, field):
    status, headers, body = get(web, path)
    assert status == 400 and headers['Content-Type'].startswith('application/problem+json') and json.loads(body)['field'] == field


def test_t15_abuse(web):
    assert get(web, '/studies?PatientName=' + 'x' * 1000000)[0] in (400, 414, 431)
    assert studies(web, 'PatientName=' + '*?' * 500 + 'x') == []
    assert get(web, '/studies?' + '&'.join('00%02d00%02d=1' % (10 + i // 90, 10 + i % 90) for i in range(400)))[0] == 400
    assert studies(web, 'StudyInstanceUID=' + ','.join('1.2.%d' % i for i in range(1500))) == []


def test_forms(web):
    assert get(web, '/studies', Accept='image/png')[0] == 406
    for accept in ('application/json', '*/*', 'application/dicom+json;q=0.5, text/html', 'multipart/related; type="application/dicom+json", application/*'):
        assert get(web, '/studies', Accept=accept)[0] == 200
    for accept in ('multipart/related; type="application/dicom+xml"', 'multipart/related;type=application/dicom+xml'):
        status, headers, body = get(web, '/studies?PatientID=A2', Accept=accept)
        boundary = headers['Content-Type'].split('boundary=')[1].encode()
        part = body.split(b'--' + boundary)[1].split(b'\r\n\r\n', 1)[1].strip()
        ns = '{http://dicom.nema.org/PS3.19/models/NativeDICOM}'
        name = [a for a in ET.fromstring(part) if a.get('tag') == '00100010'][0]
        assert name.get('keyword') == 'PatientName' and name.find('.//%sIdeographic/%sFamilyName' % (ns, ns)).text == '山田'


def test_metadata(web):
    series = '/studies/%s/series/%s.1' % (STUDY % 1, STUDY % 1)
    status, headers, body = get(web, series + '/metadata')
    plain = json.loads(body)
    assert [d['00200013']['Value'][0] for d in plain] == list(range(1, 11))
    for _ in range(2):
        status, headers, body = get(web, series + '/metadata', **{'Accept-Encoding': 'gzip'})
        assert headers['Content-Encoding'] == 'gzip' and json.loads(gzip.GzipFile(fileobj=io.BytesIO(body)).read()) == plain
    assert get(web, series + '/metadata', **{'Accept-Encoding': 'gzip', 'If-None-Match': headers['ETag']})[0] == 304
    write(web.files, 1, 1, 11, Modality='CT', PatientID='A1', PatientName='Müller^Änne')
    web.send(web.files / '1-1-11.dcm')
    assert len(json.loads(get(web, series + '/metadata')[2])) == 11
    assert len(json.loads(get(web, '/studies/%s/metadata' % (STUDY % 1))[2])) == 12
    one = json.loads(get(web, series + '/instances/%s.1.4/metadata' % (STUDY % 1))[2])
    assert one == [plain[3]]
    want = pydicom.dcmread(web.files / '1-1-4.dcm')
    have = Dataset.from_json(one[0], lambda *a: want.PixelData)
    for e in want:
        if e.keyword != 'PixelData':
            assert have[e.tag].value == e.value, e
    for path in ('/studies/1.2.3/metadata', series[:-1] + '9/metadata', series + '/instances/1.2.3/metadata'):
        assert get(web, path)[0] == 404


def test_real_character_sets(web, testdata):
    web.send(*(p for p in (testdata / 'charset').glob('chr*.dcm') if p.name != 'chrSQEncoding.dcm'))
    names = {json.dumps(d['00100010']) for d in json.loads(get(web, '/studies')[2])}
    for line in csv.DictReader(open(testdata / 'charset' / 'EXPECTED_NAMES.csv', encoding='utf-8')):
        if line['element'] != '(0010,0010)' or line['status'] != 'agree':
            continue
        groups = dict(zip(('Alphabetic', 'Ideographic', 'Phonetic'), line['pydicom_utf8'].split('=')))
        assert json.dumps({'vr': 'PN', 'Value': [groups]}) in names


def test_dicomweb_client(web):
    if not VENV_PYTHON.exists() or subprocess.run([VENV_PYTHON, '-c', 'import dicomweb_client'], capture_output=True).returncode:
        pytest.skip('dicomweb-client is not installed')
    script = '''
import sys
from dicomweb_client.api import DICOMwebClient
c = DICOMwebClient(url=sys.argv[1])
s = c.search_for_studies(search_filters={'PatientID': 'A1'}, fields=['StudyDescription'])
assert len(s) == 1 and s[0]['00081030']['Value'] == ['Knie, links'], s
u = s[0]['0020000D']['Value'][0]
assert len(c.search_for_series(u)) == 2 and len(c.search_for_instances(u)) == 11
assert len(c.retrieve_series_metadata(u, u + '.1')) == 10 and len(c.retrieve_study_metadata(u)) == 11
assert len(c.retrieve_instance_metadata(u, u + '.1', u + '.1.1')) > 10
assert len(c.search_for_studies(limit=2, offset=1)) == 2 and c.search_for_studies(search_filters={'PatientID': 'none'}) == []
'''
    run(VENV_PYTHON, '-c', script, web.root)
