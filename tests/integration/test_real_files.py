"""Every real file that DCMTK or pydicom can read is stored, found and given back byte for byte, by C-STORE and by import."""
import csv
import json
import subprocess
from pathlib import Path

import pytest

from conftest import BIN, TESTDATA, dataset_bytes, run, sha
import rawdimse as raw

# Not images or instances: media directories, worklist entries, text. What is broken by design is listed with the answer it must get.
SKIPPED_FOLDERS = ('worklist', 'hl7', 'json')


def instances():
    if not TESTDATA.is_dir():
        return []
    rows = csv.DictReader(open(TESTDATA / 'MANIFEST.csv', encoding='utf-8'))
    return sorted(r['path'] for r in rows if r['path'].split('/')[0] not in SKIPPED_FOLDERS)


def identify(path):
    """What pydicom reads of a file: (SOP Class, SOP Instance, Transfer Syntax, Study, Series), or None when there is no whole instance in it."""
    import pydicom
    try:
        ds = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        uids = [str(ds.get(k, '') or '') for k in ('SOPClassUID', 'SOPInstanceUID', 'StudyInstanceUID', 'SeriesInstanceUID')]
        ts = str(ds.file_meta.get('TransferSyntaxUID', '') or '')
    except Exception:
        return None
    if not all(uids):
        return None
    return uids[0], uids[1], ts, uids[2], uids[3]


def has_meta(path):
    return Path(path).read_bytes()[128:132] == b'DICM'


@pytest.fixture(scope='module')
def whole(request):
    """{path: identity} of the files that hold a whole instance."""
    if not TESTDATA.is_dir():
        pytest.skip('folder of real DICOM files is not here')
    found = {p: identify(TESTDATA / p) for p in instances()}
    return {p: i for p, i in found.items() if i}


def test_c_store_keeps_every_real_file_byte_for_byte(gantry, whole, tmp_path):
    g = gantry()
    first, problems = {}, []
    for path, (cls, uid, ts, _, _) in whole.items():
        if not has_meta(TESTDATA / path) or not ts:
            continue
        data = dataset_bytes(TESTDATA / path)
        with raw.Peer(g.port, timeout=30) as p:
            if p.associate([(1, cls, [ts])]) != 2 or 1 not in p.accepted:
                problems.append('%s: %s with %s not accepted' % (path, cls, ts))
                continue
            rsp = p.store(1, cls, uid, data)
            if not isinstance(rsp[0], dict):
                problems.append('%s: %s' % (path, rsp))
                continue
            status = rsp[0][0x900]
            if status != 0 and status & 0xF000 != 0xB000:
                problems.append('%s: %04X %s' % (path, status, rsp[0].get(0x902)))
            else:
                first.setdefault(uid, path)
            p.release()
    g.stop()
    out = g.export(tmp_path / 'out')
    for uid, path in first.items():
        if uid not in out:
            problems.append('%s: not exported' % path)
        elif dataset_bytes(out[uid]) != dataset_bytes(TESTDATA / path):
            problems.append('%s: other bytes came back' % path)
    assert not problems, '\n'.join(problems)
    assert len(first) >= 180


def test_import_keeps_every_real_file_byte_for_byte(gantry, whole, tmp_path):
    g = gantry(start=False)
    r = run(BIN, 'import', '--data', g.data, '--json', TESTDATA, ok=False, timeout=300)
    assert r.returncode in (0, 1), r.stderr
    out = g.export(tmp_path / 'out')
    by_uid = {}
    for path, ident in whole.items():
        by_uid.setdefault(ident[1], []).append(path)
    problems = []
    for uid, paths in by_uid.items():
        if uid not in out:
            problems.append('%s: not kept' % paths[0])
        elif sha(out[uid]) not in {sha(TESTDATA / p) for p in paths}:
            problems.append('%s: other bytes' % paths[0])
    assert not problems, '\n'.join(problems) + r.stdout[-2000:]
    v = run(BIN, 'verify', '--data', g.data)
    assert v.returncode == 0


def test_stored_files_are_found_and_come_back_by_c_get(gantry, whole, tmp_path):
    g = gantry(start=False)
    run(BIN, 'import', '--data', g.data, TESTDATA, ok=False, timeout=300)
    g.start()
    problems, seen = [], 0
    for path, (cls, uid, ts, study, series) in list(whole.items())[::3]:
        if not ts or not has_meta(TESTDATA / path) or not uid.replace('.', '').isdigit():
            continue
        with raw.Peer(g.port, timeout=30) as p:
            twins = [q for q, i in whole.items() if i[1] == uid]     # one image in several encodings: the first one imported is kept
            kinds = sorted({whole[q][2] for q in twins if whole[q][2]})
            p.associate([(1, raw.STUDY_FIND, [raw.EXPLICIT]), (3, raw.STUDY_GET, [raw.EXPLICIT])] + [(5 + 2 * n, cls, [t]) for n, t in enumerate(kinds)], roles=[(cls, 1, 1)], max_pdu=65536)
            key = raw.explicit(0x00080018, 'UI', uid) + raw.explicit(0x00080052, 'CS', 'IMAGE') + raw.explicit(0x0020000D, 'UI', study) + raw.explicit(0x0020000E, 'UI', series)
            p.send_message(1, raw.command(e0002=raw.STUDY_FIND, e0100=0x20, e0110=p.next_id(), e0700=0, e0800=1), key)
            answers = []
            while True:
                cmd, data = p.receive_message()
                if cmd[0x900] not in (0xFF00, 0xFF01):
                    break
                answers.append(data)
            if cmd[0x900] != 0 or len(answers) != 1 or uid.encode() not in answers[0]:
                problems.append('%s: found %d times, status %04X' % (path, len(answers), cmd[0x900]))
            p.send_message(3, raw.command(e0002=raw.STUDY_GET, e0100=0x10, e0110=p.next_id(), e0700=0, e0800=1), key)
            got = None
            while True:
                m = p.receive_message()
                if not isinstance(m[0], dict):
                    problems.append('%s: %s' % (path, m))
                    break
                cmd, data = m
                if cmd[0x100] == 1:
                    got = data
                    p.send_message(p.last_context, raw.command(e0002=cls, e0100=0x8001, e0120=cmd[0x110], e0800=0x101, e0900=0, e1000=uid))
                elif cmd[0x900] != 0xFF00:
                    break
            kept = [dataset_bytes(TESTDATA / q) for q in twins]
            if got not in kept + [k + b'\0' for k in kept if len(k) % 2]:     # PS3.5 A.5: an odd deflated stream is padded on its way
                problems.append('%s: C-GET gave %s bytes, status %04X' % (path, got and len(got), cmd.get(0x900, 0)))
            seen += 1
    assert not problems, '\n'.join(problems)
    assert seen > 60


def test_broken_files_get_an_answer_and_leave_the_server_alone(gantry, testdata, tmp_path):
    """T5-T9 by real files: each broken file is stored with or without warning, or refused with a status; the server goes on."""
    g = gantry()
    for number, path in enumerate(sorted((testdata / 'broken').iterdir())):
        data = path.read_bytes()
        data = dataset_bytes(path) if has_meta(path) else data
        for ts in (raw.EXPLICIT, raw.IMPLICIT):
            with raw.Peer(g.port, timeout=30) as p:
                assert p.associate([(1, raw.SECONDARY_CAPTURE, [ts])]) == 2
                cmd, _ = p.store(1, raw.SECONDARY_CAPTURE, '1.2.3.%d' % (1000 + number), data)
                status = cmd[0x900]
                assert status == 0 or status >> 12 in (0xA, 0xB, 0xC) or status == 0x111, '%s: %04X' % (path.name, status)
                assert status == 0 or cmd.get(0x902), '%s: status %04X without a comment' % (path.name, status)
                assert p.echo(1)[0][0x900] in (0, 0x118, 0x122, 0x211)
    with raw.Peer(g.port) as p:
        assert p.associate([(1, raw.VERIFICATION, [raw.IMPLICIT])]) == 2 and p.echo()[0][0x900] == 0


def test_dump_reads_what_dcmdump_reads(testdata):
    """`gantry dump` names the same elements as DCMTK's dcmdump, in the same order."""
    import re
    import shutil
    if not shutil.which('dcmdump'):
        pytest.skip('dcmdump is not installed')
    tags = re.compile(r'^\s*\(([0-9a-f]{4},[0-9a-f]{4})\)', re.M)
    problems = []
    for path in instances():
        if path.startswith('broken/'):
            continue
        theirs = subprocess.run(['dcmdump', '-q', str(TESTDATA / path)], capture_output=True, text=True, errors='replace')
        if theirs.returncode:
            continue
        ours = subprocess.run([BIN, 'dump', str(TESTDATA / path)], capture_output=True, text=True, errors='replace')
        if ours.returncode:
            problems.append('%s: %s' % (path, ours.stderr[-200:]))
        elif [t for t in tags.findall(ours.stdout)] != [t for t in tags.findall(theirs.stdout)]:
            problems.append('%s: other elements' % path)
    assert not problems, '\n'.join(problems)


def test_dump_json_equals_dcm2json(testdata):
    for sample in sorted((testdata / 'json' / 'dcm2json').glob('*.json')):
        theirs = json.loads(sample.read_text())
        source = [p for p in instances() if Path(p).name == sample.stem or Path(p).stem == sample.stem or Path(p).name.replace('/', '_') == sample.stem]
        if not source:
            continue
        ours = json.loads(run(BIN, 'dump', '--json', TESTDATA / source[0]).stdout)
        theirs = theirs[0] if isinstance(theirs, list) else theirs
        ours = ours[0] if isinstance(ours, list) else ours
        missing = [t for t in theirs if t not in ours and not t.startswith('0002')]
        assert not missing, '%s: %s' % (sample.name, missing)
        for t in theirs:
            if t in ours and 'Value' in theirs[t]:
                assert ours[t]['vr'] == theirs[t]['vr'], (sample.name, t)
