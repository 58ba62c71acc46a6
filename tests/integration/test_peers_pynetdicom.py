"""pynetdicom as peer, both ways: storage with async-sized PDUs, queries, C-GET, C-MOVE, storage commitment, roles, user identity, cancel."""
import json
import os
import subprocess
import sys
import textwrap

import pytest

from conftest import BIN, VENV_PYTHON, free_port, run, sha


def python():
    for candidate in (str(VENV_PYTHON), '/usr/bin/python3', sys.executable):
        if os.path.exists(candidate) and subprocess.run([candidate, '-c', 'import pynetdicom'], capture_output=True).returncode == 0:
            return candidate
    pytest.skip('pynetdicom is not installed')


def script(code, *args):
    """Runs a pynetdicom program in the interpreter that has it; the last line it prints is JSON."""
    r = run(python(), '-c', 'import sys, json\n' + textwrap.dedent(code), *args, timeout=120)
    return json.loads(r.stdout.splitlines()[-1])


STORE = '''
    from pynetdicom import AE, build_context
    from pydicom import dcmread
    ae = AE('PYNET'); port = int(sys.argv[1]); files = sys.argv[2:]
    for k in sorted({(dcmread(f, stop_before_pixels=True).SOPClassUID, dcmread(f, stop_before_pixels=True).file_meta.TransferSyntaxUID) for f in files}): ae.add_requested_context(*k)
    a = ae.associate('127.0.0.1', port, ae_title='GANTRY'); assert a.is_established
    print(json.dumps([a.send_c_store(f).Status for f in files])); a.release()
'''


def test_echo_store_find_get(gantry, testdata, tmp_path):
    g = gantry()
    files = [str(p) for p in sorted((testdata / 'series/mr-coronal-16').glob('*.dcm'))[:6]]
    assert script(STORE, str(g.port), *files) == [0] * 6
    found = script('''
        from pynetdicom import AE
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as F
        from pydicom.dataset import Dataset
        ae = AE(); ae.add_requested_context(F); a = ae.associate('127.0.0.1', int(sys.argv[1]), ae_title='GANTRY')
        d = Dataset(); d.QueryRetrieveLevel = 'STUDY'; d.StudyInstanceUID = ''; d.PatientName = '*'; d.NumberOfStudyRelatedInstances = ''; d.ModalitiesInStudy = 'MR'
        out = [(str(i.StudyInstanceUID), int(i.NumberOfStudyRelatedInstances)) for s, i in a.send_c_find(d, F) if i]
        a.release(); print(json.dumps(out))''', str(g.port))
    assert len(found) == 1 and found[0][1] == 6
    got = script('''
        from pynetdicom import AE, evt, build_role
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as G, MRImageStorage as M
        from pydicom.dataset import Dataset
        n = []
        ae = AE(); ae.add_requested_context(G); ae.add_requested_context(M)
        a = ae.associate('127.0.0.1', int(sys.argv[1]), ae_title='GANTRY', ext_neg=[build_role(M, scp_role=True)], evt_handlers=[(evt.EVT_C_STORE, lambda e: n.append(str(e.dataset.SOPInstanceUID)) or 0)])
        d = Dataset(); d.QueryRetrieveLevel = 'STUDY'; d.StudyInstanceUID = sys.argv[2]
        last = [s for s, i in a.send_c_get(d, G)][-1]
        a.release(); print(json.dumps([len(set(n)), last.Status, last.NumberOfCompletedSuboperations]))''', str(g.port), found[0][0])
    assert got == [6, 0, 6]


def test_move_to_pynetdicom(gantry, testdata):
    sink = free_port()
    g = gantry('--peer', 'sink=PYSINK@127.0.0.1:%d' % sink)
    files = [str(p) for p in sorted((testdata / 'series/mr-oblique-20').glob('*'))]
    script(STORE, str(g.port), *files)
    got = script('''
        from pynetdicom import AE, evt
        from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelMove as MV, MRImageStorage as M
        from pydicom import dcmread
        from pydicom.dataset import Dataset
        n, origin = [], set()
        scp = AE('PYSINK'); scp.add_supported_context(M)
        def store(e):
            n.append(e.request.AffectedSOPInstanceUID); origin.add((e.request.MoveOriginatorApplicationEntityTitle, e.request.MoveOriginatorMessageID)); return 0xC001 if len(n) == 3 else 0
        s = scp.start_server(('127.0.0.1', int(sys.argv[2])), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
        ae = AE('PYSCU'); ae.add_requested_context(MV); a = ae.associate('127.0.0.1', int(sys.argv[1]), ae_title='GANTRY')
        ds = dcmread(sys.argv[3], stop_before_pixels=True); d = Dataset(); d.QueryRetrieveLevel = 'STUDY'; d.PatientID = ds.PatientID; d.StudyInstanceUID = ds.StudyInstanceUID
        r = [(s_, i) for s_, i in a.send_c_move(d, 'PYSINK', MV)]; last, ident = r[-1]
        a.release(); s.shutdown()
        print(json.dumps([len(n), last.Status, last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations, str(ident.FailedSOPInstanceUIDList) if ident else '', [str(x) for x in origin]]))''',
        str(g.port), str(sink), files[0])
    assert got[0] == len(files) and got[1] == 0xB000 and got[2] == len(files) - 1 and got[3] == 1 and got[4] and 'PYSCU' in got[5][0]


def test_storage_commitment_on_a_new_association(gantry, testdata):
    """PS3.4 J: N-ACTION, then N-EVENT-REPORT to the requesting AE with what is safe and what is unknown."""
    me = free_port()
    g = gantry('--peer', 'py=PYCMT@127.0.0.1:%d' % me)
    files = [str(p) for p in sorted((testdata / 'series/mr-coronal-16').glob('*.dcm'))[:3]]
    script(STORE, str(g.port), *files)
    got = script('''
        import time
        from pynetdicom import AE, evt
        from pynetdicom.sop_class import StorageCommitmentPushModel as SC
        from pydicom import dcmread
        from pydicom.dataset import Dataset
        reports = []
        scp = AE('PYCMT'); scp.add_supported_context(SC, scu_role=True, scp_role=True)
        def report(e):
            reports.append((e.request.EventTypeID, e.event_information)); return 0, None
        s = scp.start_server(('127.0.0.1', int(sys.argv[2])), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)])
        ae = AE('PYCMT'); ae.add_requested_context(SC); a = ae.associate('127.0.0.1', int(sys.argv[1]), ae_title='GANTRY')
        d = Dataset(); d.TransactionUID = '1.2.3.4.5'; d.ReferencedSOPSequence = []
        for f in sys.argv[3:]:
            i = Dataset(); x = dcmread(f, stop_before_pixels=True); i.ReferencedSOPClassUID = x.SOPClassUID; i.ReferencedSOPInstanceUID = x.SOPInstanceUID; d.ReferencedSOPSequence.append(i)
        i = Dataset(); i.ReferencedSOPClassUID = '1.2.840.10008.5.1.4.1.1.4'; i.ReferencedSOPInstanceUID = '1.2.3.999'; d.ReferencedSOPSequence.append(i)
        st, _ = a.send_n_action(d, 1, SC, '1.2.840.10008.1.20.1.1'); a.release()
        t = time.time()
        while not reports and time.time() - t < 20: time.sleep(.05)
        s.shutdown(); kind, info = reports[0]
        print(json.dumps([st.Status, kind, str(info.TransactionUID), len(info.ReferencedSOPSequence), [int(x.FailureReason) for x in info.FailedSOPSequence]]))''', str(g.port), str(me), *files)
    assert got == [0, 2, '1.2.3.4.5', 3, [0x0112]]


def test_user_identity_and_extended_negotiation_are_answered(gantry):
    g = gantry()
    got = script('''
        from pynetdicom import AE
        from pynetdicom.pdu_primitives import UserIdentityNegotiation, SOPClassExtendedNegotiation, AsynchronousOperationsWindowNegotiation
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as F
        u = UserIdentityNegotiation(); u.user_identity_type = 2; u.primary_field = b'someone'; u.secondary_field = b'secret'; u.positive_response_requested = True
        x = SOPClassExtendedNegotiation(); x.sop_class_uid = F; x.service_class_application_information = bytes([1, 1, 1, 1])
        w = AsynchronousOperationsWindowNegotiation(); w.maximum_number_operations_invoked = 5; w.maximum_number_operations_performed = 1
        ae = AE(); ae.add_requested_context(F); a = ae.associate('127.0.0.1', int(sys.argv[1]), ae_title='GANTRY', ext_neg=[u, x, w])
        neg = {type(i).__name__: i for i in a.acceptor.user_information}
        print(json.dumps([a.is_established, sorted(neg), list(neg['SOPClassExtendedNegotiation'].service_class_application_information)])); a.release()''', str(g.port))
    assert got[0] and 'SOPClassExtendedNegotiation' in got[1] and 'AsynchronousOperationsWindowNegotiation' in got[1]
    assert got[2][0] == 1 and got[2][2] == 1      # relational queries, fuzzy person names


def test_a_cancel_that_crosses_the_answers_leaves_the_association_usable(gantry, tmp_path):
    """The cancel may come before or after the last answer; that it stops a long one is tested in tests/unit/gateway and tests/unit/dimse."""
    import rawdimse as raw
    g = gantry()
    with raw.Peer(g.port, timeout=30) as p:
        p.associate([(1, raw.SECONDARY_CAPTURE, [raw.EXPLICIT]), (3, raw.STUDY_FIND, [raw.EXPLICIT])], window=(1, 1))
        for i in range(400):
            assert p.store(1, raw.SECONDARY_CAPTURE, '1.2.5.%d' % i, raw.small_dataset('1.2.5.%d' % i, study='1.2.5.%d' % i, series='1.2.5.%d.1' % i))[0][0x900] == 0
        key = raw.explicit(0x00080052, 'CS', 'STUDY') + raw.explicit(0x0020000D, 'UI', '')
        p.send_message(3, raw.command(e0002=raw.STUDY_FIND, e0100=0x20, e0110=77, e0700=0, e0800=1), key)
        p.send(raw.pdata(raw.pdv(3, 3, raw.command(e0100=0x0FFF, e0120=77, e0800=0x101))))
        n = 0
        while True:
            cmd, _ = p.receive_message()
            if cmd[0x900] != 0xFF00:
                break
            n += 1
        assert cmd[0x900] in (0xFE00, 0) and n <= 400
        assert p.store(1, raw.SECONDARY_CAPTURE, '1.2.5.1000', raw.small_dataset('1.2.5.1000'))[0][0x900] == 0


def test_gantry_client_against_pynetdicom_scp(testdata, tmp_path):
    port = free_port()
    files = [str(p) for p in sorted((testdata / 'series/mr-coronal-16').glob('*.dcm'))[:4]]
    server = subprocess.Popen([python(), '-c', textwrap.dedent('''
        import sys
        from pynetdicom import AE, evt, AllStoragePresentationContexts
        from pynetdicom.sop_class import Verification
        ae = AE('PY'); ae.supported_contexts = AllStoragePresentationContexts; ae.add_supported_context(Verification)
        ae.start_server(('127.0.0.1', int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, lambda e: 0)])'''), str(port)])
    try:
        from conftest import wait_port
        wait_port(port, server)
        run(BIN, 'echo', 'PY@127.0.0.1:%d' % port)
        r = run(BIN, 'send', 'PY@127.0.0.1:%d' % port, '--json', *files)
        assert '4' in r.stdout
    finally:
        server.terminate()
        server.wait()
    assert sha(files[0])
