#!/usr/bin/env python3
"""Makes the seeds of fuzz_part10 and fuzz_json: small synthetic files, one for each way of encoding.

Usage: make_seeds_dicom.py [FOLDER]   (default: the corpus beside this script). The seeds are kept in the repository; run this
after changing it, and commit both."""
import pathlib
import struct
import sys
import zlib

LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"}
UNDEFINED = 0xFFFFFFFF


class Encoder:
    def __init__(self, implicit=False, big=False):
        self.implicit, self.e = implicit, ">" if big else "<"

    def el(self, group, element, vr, value, length=None):
        n = len(value) if length is None else length
        tag = struct.pack(self.e + "HH", group, element)
        if self.implicit:
            return tag + struct.pack(self.e + "I", n) + value
        if vr in LONG:
            return tag + vr + b"\0\0" + struct.pack(self.e + "I", n) + value
        return tag + vr + struct.pack(self.e + "H", n) + value

    def u16(self, *v):
        return struct.pack(self.e + "%dH" % len(v), *v)

    def item(self, content, undefined=False):
        tag = struct.pack(self.e + "HH", 0xFFFE, 0xE000)
        if undefined:
            return tag + struct.pack(self.e + "I", UNDEFINED) + content + struct.pack(self.e + "HHI", 0xFFFE, 0xE00D, 0)
        return tag + struct.pack(self.e + "I", len(content)) + content

    def seq(self, group, element, items, undefined=False, vr=b"SQ"):
        body = b"".join(items)
        if undefined:
            return self.el(group, element, vr, body + struct.pack(self.e + "HHI", 0xFFFE, 0xE0DD, 0), UNDEFINED)
        return self.el(group, element, vr, body)

    def dataset(self, pixels=b""):
        code = self.el(8, 0x100, b"SH", b"113100") + self.el(8, 0x102, b"SH", b"DCM ") + self.el(8, 0x104, b"LO", b"Basic ")
        return b"".join([
            self.el(8, 5, b"CS", b"ISO_IR 100"), self.el(8, 8, b"CS", b"ORIGINAL\\PRIMARY\\AXIAL "),
            self.el(8, 0x18, b"UI", b"1.2.3.4\0"), self.el(8, 0x20, b"DA", b"20240229"), self.el(8, 0x30, b"TM", b"101530.5"),
            self.seq(8, 0x1140, [self.item(self.el(8, 0x1155, b"UI", b"1.2\0")), self.item(b"", True)]),
            self.el(9, 0x10, b"LO", b"SEED 1"), self.el(9, 0x1001, b"UN" if not self.implicit else b"LO", b"\1\2\3\4"),
            self.el(0x10, 0x10, b"PN", b"M\xfcller^J\xfcrgen=x=y"), self.el(0x10, 0x1010, b"AS", b"042Y"),
            self.seq(0x12, 0x64, [self.item(code, True), self.item(self.seq(8, 0x1140, [self.item(code)], True))], True),
            self.el(0x18, 0x50, b"DS", b"1.5 \\-2e3"), self.el(0x18, 0x9306, b"FD", struct.pack(self.e + "d", 0.625)),
            self.el(0x20, 0x13, b"IS", b"12"), self.el(0x20, 0x9165, b"AT", self.u16(0x20, 0x9057)),
            self.el(0x28, 2, b"US", self.u16(1)), self.el(0x28, 4, b"CS", b"MONOCHROME2 "), self.el(0x28, 8, b"IS", b"2 "),
            self.el(0x28, 0x10, b"US", self.u16(2)), self.el(0x28, 0x11, b"US", self.u16(2)),
            self.el(0x28, 0x100, b"US", self.u16(8)), self.el(0x28, 0x103, b"US", self.u16(1)),
            self.el(0x28, 0x107, b"SS", self.u16(0xFFFF)), pixels])


def fragments(e, table, parts):
    return e.seq(0x7FE0, 0x10, [e.item(table)] + [e.item(p) for p in parts], True, b"OB")


def part10(syntax, data):
    e = Encoder()
    uid = syntax + b"\0" * (len(syntax) % 2)
    meta = e.el(2, 1, b"OB", b"\0\1") + e.el(2, 2, b"UI", b"1.2.840.10008.5.1.4.1.1.7\0") + e.el(2, 0x10, b"UI", uid)
    return bytes(128) + b"DICM" + e.el(2, 0, b"UL", struct.pack("<I", len(meta))) + meta + data


def part10_seeds():
    le, be, im = Encoder(), Encoder(big=True), Encoder(implicit=True)
    native = le.el(0x7FE0, 0x10, b"OB", bytes(range(8)))
    jpeg = [b"\xff\xd8\xff\xe0" + bytes(4), bytes(6), b"\xff\xd8\xff\xd9"]
    explicit, implicit, big, deflated = b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1.99"
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    inside_un = im.item(im.el(8, 0x1155, b"UI", b"1.2\0"), True)
    yield "explicit", part10(explicit, le.dataset(native))
    yield "implicit", part10(implicit, im.dataset(im.el(0x7FE0, 0x10, b"OW", bytes(8))))
    yield "big", part10(big, be.dataset(be.el(0x7FE0, 0x10, b"OW", bytes(range(8)))))
    yield "deflated", part10(deflated, z.compress(le.dataset(native)) + z.flush())
    yield "no-table", part10(b"1.2.840.10008.1.2.4.50", le.dataset(fragments(le, b"", jpeg)))
    yield "table", part10(b"1.2.840.10008.1.2.4.50", le.dataset(fragments(le, struct.pack("<II", 0, 30), jpeg)))
    yield "no-meta", le.dataset()
    yield "no-meta-big", be.dataset()
    yield "no-meta-implicit", im.dataset()
    yield "un-sequence", part10(explicit, le.seq(0x4453, 0x100C, [inside_un], True, b"UN") + le.el(0x5453, 0x10, b"LO", b"X "))
    yield "implicit-item", part10(explicit, le.seq(8, 0x1115, [le.item(im.el(8, 0x1155, b"UI", b"1.2\0"))]))
    yield "unknown-vr", part10(explicit, le.el(8, 5, b"??", b"ab") + le.el(8, 8, b"zz", b"cd") + le.el(8, 0x18, b"XX", b"\0\0\2\0\0\0ef", 0))
    yield "bare-element", part10(explicit, le.el(8, 5, b"CS", b"") + im.el(8, 8, b"", b"AB") + le.el(8, 0x18, b"UI", b"1\0"))
    yield "wrong-delimiters", part10(explicit, le.el(8, 0x1115, b"SQ", le.item(b"") + struct.pack("<HHI", 0xFFFE, 0xE00D, 0), UNDEFINED) + le.el(8, 0x1140, b"SQ", b"") + le.el(
        8, 0x1155, b"UI", b"1\0"))
    yield "unordered", part10(explicit, le.el(0x10, 0x20, b"LO", b"b ") + le.el(8, 0x60, b"CS", b"MR") + le.el(8, 0x60, b"CS", b"CT"))
    deep = b""
    for i in range(70):
        deep = le.seq(8, 0x1115, [le.item(deep, i % 2 == 0)], i % 3 == 0)
        if i in (62, 69):
            yield "deep-%d" % (i + 1), part10(explicit, deep)
    whole = le.dataset(native)
    yield "cut", part10(explicit, whole[:-3])


JSON_SEEDS = {
    "plain": '{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe^J","Ideographic":"\u5c71"},null]},"00080060":{"vr":"CS"}}',
    "numbers": '{"00180050":{"vr":"DS","Value":[1.5,"2.50",null]},"00200013":{"vr":"IS","Value":[12,"1A"]},"00280010":{"vr":"US","Value":[512]},'
               '"00189306":{"vr":"FD","Value":[0.1,"NaN","-Infinity"]},"00720072":{"vr":"FL","Value":[1e-7]},"00720082":{"vr":"SV","Value":["-9223372036854775808"]},'
               '"00720083":{"vr":"UV","Value":["18446744073709551615",3]},"00209165":{"vr":"AT","Value":["00209057"]},"00287FE0":{"vr":"UR","Value":["a"]}}',
    "binary": '[{"7FE00010":{"vr":"OW","InlineBinary":"AAECAwQ="},"00091001":{"vr":"UN","InlineBinary":""},"54001010":{"vr":"OW","BulkDataURI":"http://x/1"}}]',
    "nested": '{"0040A730":{"vr":"SQ","Value":[{"0040A730":{"vr":"SQ","Value":[{},{"00080100":{"vr":"SH","Value":["T-1"]}}]}},{}]},"00081140":{"vr":"SQ"}}',
    "wrong": '{"00280010":{"vr":"US","Value":["512"]}}',
    "cut": '{"00280010":{"vr":"US","Value":[',
}


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent / "corpus"
    for folder, seeds in (("part10", part10_seeds()), ("json", ((k, v.encode()) for k, v in JSON_SEEDS.items()))):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, data in seeds:
            (root / folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
