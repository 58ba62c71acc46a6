"""A small DICOM upper layer and DIMSE client of our own, byte for byte under the test's control.

Real toolkits refuse to send what is broken; these tests must be able to. Nothing is validated here, every PDU, PDV and command
element can be bent before it is sent. PS3.8 §9.3 (PDUs), PS3.7 §6.3 (command sets, implicit VR little endian)."""
import socket
import struct

IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = ('1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.2', '1.2.840.10008.1.2.1.99')
VERIFICATION = '1.2.840.10008.1.1'
CT = '1.2.840.10008.5.1.4.1.1.2'
SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7'
STUDY_FIND, STUDY_MOVE, STUDY_GET = ('1.2.840.10008.5.1.4.1.2.2.1', '1.2.840.10008.5.1.4.1.2.2.2', '1.2.840.10008.5.1.4.1.2.2.3')
PATIENT_FIND = '1.2.840.10008.5.1.4.1.2.1.1'


def item(kind, body):
    return struct.pack('>BBH', kind, 0, len(body)) + body


def element(tag, value):
    """One command element; value: bytes, str or int (US)."""
    v = struct.pack('<H', value) if isinstance(value, int) else value.encode() if isinstance(value, str) else value
    v += b'\0' * (len(v) & 1)
    return struct.pack('<HHI', tag >> 16, tag & 0xffff, len(v)) + v


def command(**fields):
    """A command set with a right group length. Keys are element numbers as e0100=…"""
    body = b''.join(element(int(k[1:], 16), v) for k, v in sorted(fields.items()))
    return element(0, struct.pack('<I', len(body))) + body


def parse_command(data):
    out, o = {}, 0
    while o + 8 <= len(data):
        group, elem, n = struct.unpack_from('<HHI', data, o)
        v = data[o + 8:o + 8 + n]
        out[elem] = struct.unpack('<H', v)[0] if n == 2 and elem not in (2, 3, 0x600, 0x1000, 0x1001, 0x902) else v.rstrip(b'\0 ').decode('latin-1') if elem in (2, 3, 0x1000, 0x1001, 0x902) else v
        o += 8 + n
    return out


def associate_rq(contexts, called='GANTRY', calling='TEST', max_pdu=16384, roles=(), extra=b'', application='1.2.840.10008.3.1.1.1', window=None):
    """contexts: list of (id, abstract syntax, [transfer syntaxes])."""
    body = struct.pack('>HH16s16s32x', 1, 0, called.encode().ljust(16), calling.encode().ljust(16))
    body += item(0x10, application.encode())
    for cid, abstract, transfers in contexts:
        body += item(0x20, bytes([cid, 0, 0, 0]) + item(0x30, abstract.encode()) + b''.join(item(0x40, t.encode()) for t in transfers))
    user = item(0x51, struct.pack('>I', max_pdu)) + item(0x52, b'1.2.3.4') + item(0x55, b'RAWTEST')
    if window:
        user += item(0x53, struct.pack('>HH', *window))
    for uid, scu, scp in roles:
        user += item(0x54, struct.pack('>H', len(uid)) + uid.encode() + bytes([scu, scp]))
    body += item(0x50, user + extra)
    return struct.pack('>BBI', 1, 0, len(body)) + body


def pdv(cid, control, data):
    return struct.pack('>IBB', len(data) + 2, cid, control) + data


def pdata(*pdvs):
    body = b''.join(pdvs)
    return struct.pack('>BBI', 4, 0, len(body)) + body


class Peer:
    """One connection. After associate(), send_message/receive_message speak DIMSE."""

    def __init__(self, port, timeout=10, host='127.0.0.1', rcvbuf=None):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect((host, port))
        self.accepted, self.mid, self.answer = {}, 0, b''

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.close()

    def send(self, data):
        self.sock.sendall(data)

    def _exactly(self, n):
        out = b''
        while len(out) < n:
            got = self.sock.recv(n - len(out))
            if not got:
                raise ConnectionError('closed after %d of %d bytes' % (len(out), n))
            out += got
        return out

    def pdu(self):
        """(type, body), or (None, b'') when the peer has closed."""
        try:
            head = self._exactly(6)
        except ConnectionError:
            return None, b''
        return head[0], self._exactly(struct.unpack('>I', head[2:])[0])

    def associate(self, contexts, **kw):
        """Returns the type of the answer: 2 accepted, 3 rejected, 7 aborted, None closed."""
        self.send(associate_rq(contexts, **kw))
        kind, body = self.pdu()
        self.answer, o = body, 68
        self.peer_max = 16384
        while kind == 2 and o + 4 <= len(body):
            t, n = body[o], struct.unpack_from('>H', body, o + 2)[0]
            if t == 0x21 and body[o + 6] == 0:
                self.accepted[body[o + 4]] = body[o + 12:o + 4 + n].decode().rstrip('\0')
            if t == 0x50 and body[o + 4] == 0x51:
                self.peer_max = struct.unpack_from('>I', body, o + 8)[0] or 1 << 20
            o += 4 + n
        return kind

    def send_message(self, cid, cmd, dataset=None, chunk=None):
        self.send(pdata(pdv(cid, 3, cmd)))
        if dataset is None:
            return
        size = chunk or self.peer_max - 6
        pieces = [dataset[i:i + size] for i in range(0, len(dataset), size)] or [b'']
        for i, p in enumerate(pieces):
            self.send(pdata(pdv(cid, 2 if i == len(pieces) - 1 else 0, p)))

    def receive_message(self):
        """(command dict, dataset bytes or None); ('release',), ('abort', source, reason) or ('closed',)."""
        cmd, data, got_cmd, last = b'', b'', False, False
        while True:
            kind, body = self.pdu()
            if kind is None:
                return ('closed',)
            if kind == 5:
                return ('release',)
            if kind == 7:
                return ('abort', body[2], body[3])
            o = 0
            while o + 6 <= len(body):
                n, self.last_context, ctrl = struct.unpack_from('>IBB', body, o)
                part = body[o + 6:o + 4 + n]
                if ctrl & 1:
                    cmd += part
                    got_cmd = got_cmd or bool(ctrl & 2)
                else:
                    data += part
                    last = bool(ctrl & 2)
                o += 4 + n
            if got_cmd:
                parsed = parse_command(cmd)
                if parsed.get(0x800) == 0x101:
                    return parsed, None
                if last:
                    return parsed, data

    def next_id(self):
        self.mid += 1
        return self.mid

    def echo(self, cid=1):
        self.send_message(cid, command(e0002=VERIFICATION, e0100=0x30, e0110=self.next_id(), e0800=0x101))
        return self.receive_message()

    def store(self, cid, sop_class, sop_instance, dataset, chunk=None):
        self.send_message(cid, command(e0002=sop_class, e0100=1, e0110=self.next_id(), e0700=0, e0800=1, e1000=sop_instance), dataset, chunk)
        return self.receive_message()

    def release(self):
        self.send(struct.pack('>BBI4x', 5, 0, 4))
        return self.pdu()[0]


def explicit(tag, vr, value):
    """One explicit VR little endian element."""
    v = value if isinstance(value, bytes) else value.encode()
    if len(v) & 1:
        v += b'\0' if vr in ('UI', 'OB', 'UN') else b' '
    head = struct.pack('<HH2s', tag >> 16, tag & 0xffff, vr.encode())
    return head + (struct.pack('<xxI', len(v)) if vr in ('OB', 'OW', 'UN', 'UT', 'SQ', 'OF', 'OD', 'OL', 'UC', 'UR') else struct.pack('<H', len(v))) + v


def small_dataset(sop, study='1.2.3.1', series='1.2.3.1.1', patient='PID1', name='Test^One', sop_class=SECONDARY_CAPTURE, rows=8, cols=8, pixels=None, **extra):
    """A whole secondary capture image, explicit VR little endian. extra: t00100040=('CS', 'M')."""
    e = {0x00080016: ('UI', sop_class), 0x00080018: ('UI', sop), 0x00080020: ('DA', '20240102'), 0x00080030: ('TM', '101500'), 0x00080050: ('SH', 'ACC1'), 0x00080060: ('CS', 'OT'),
         0x00080064: ('CS', 'WSD'), 0x00100010: ('PN', name), 0x00100020: ('LO', patient), 0x0020000D: ('UI', study), 0x0020000E: ('UI', series), 0x00200011: ('IS', '1'), 0x00200013: ('IS', '1'),
         0x00280002: ('US', struct.pack('<H', 1)), 0x00280004: ('CS', 'MONOCHROME2'), 0x00280010: ('US', struct.pack('<H', rows)), 0x00280011: ('US', struct.pack('<H', cols)),
         0x00280100: ('US', struct.pack('<H', 8)), 0x00280101: ('US', struct.pack('<H', 8)), 0x00280102: ('US', struct.pack('<H', 7)), 0x00280103: ('US', struct.pack('<H', 0)),
         0x7FE00010: ('OB', pixels if pixels is not None else bytes(rows * cols))}
    e.update({int(k[1:], 16): v for k, v in extra.items()})
    return b''.join(explicit(t, *e[t]) for t in sorted(e) if e[t] is not None)
