#!/usr/bin/env python3
"""Makes the C tables of the DICOM dictionary from the .tsv files beside it.

    generate.py OUTDIR            writes dict_table.inc and uid_table.inc (at build time, into the build folder)
    generate.py --header FILE     writes tags.h: one DICOM_TAG_ name a keyword (kept in the repository, src/dicom/tags.h)
    generate.py --check FILE      exit status 1 when FILE is not what --header would write

Only the standard library of Python 3. The .tsv files are the source; edit them and run this. Lookups in dict.c and uid.c
are open-addressing hash tables of 16-bit indices, so the multiplier of the tag hash is searched here for short chains.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DICT_BITS = 14
UID_BITS = 11


def rows(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.startswith("#") and line.strip():
                yield number, line.rstrip("\n").split("\t")


def elements():
    """[(tag, mask, [vr, …], vm, keyword, name, retired)] in order of tag, whole tags before repeating ones."""
    out = []
    for number, (tag, vr, vm, keyword, name, retired) in rows("dictionary.tsv"):
        digits = tag.replace(",", "")
        if len(digits) != 8:
            sys.exit("dictionary.tsv:%d: tag %s" % (number, tag))
        value = int(digits.replace("x", "0"), 16)
        mask = int("".join("0" if c == "x" else "F" for c in digits), 16)
        vrs = [] if vr == "NONE" else vr.split("/")
        if any(len(v) != 2 or not v.isupper() for v in vrs) or len(vrs) > 3:
            sys.exit("dictionary.tsv:%d: VR %s" % (number, vr))
        out.append((value, mask, vrs, vm, keyword, name, retired == "R"))
    out.sort(key=lambda e: (e[0], -e[1]))
    keys = [(e[0], e[1]) for e in out]
    words = [e[4] for e in out if e[4]]
    if len(set(keys)) != len(keys) or len(set(words)) != len(words):
        sys.exit("dictionary.tsv: a tag or keyword is there twice")
    return out


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def hash_text(text):
    h = 0x811C9DC5
    for byte in text.encode():
        h = (h ^ byte) * 0x01000193 & 0xFFFFFFFF
    return h ^ h >> 15


def fill(hashes, bits):
    """Open addressing with linear probing; a slot holds index + 1. Returns (slots, steps of the longest probe)."""
    size = 1 << bits
    slots, longest = [0] * size, 0
    for index, h in hashes:
        place, steps = h & (size - 1), 1
        while slots[place]:
            place, steps = (place + 1) & (size - 1), steps + 1
        slots[place] = index + 1
        longest = max(longest, steps)
    return slots, longest


def tag_hash(tag, multiplier):
    return (tag * multiplier & 0xFFFFFFFF) >> (32 - DICT_BITS)


def best_multiplier(tags):
    multiplier, best = 0x9E3779B1, None
    for _ in range(60):
        slots, longest = fill([(i, tag_hash(t, multiplier)) for i, t in enumerate(tags)], DICT_BITS)
        if best is None or longest < best[1]:
            best = (multiplier, longest, slots)
        multiplier = (multiplier * 0x2C1B3C6D + 0x297A2D38) & 0xFFFFFFFF | 1
    return best


def write_array(f, kind, name, values, form="%d", per_line=20):
    f.write("static const %s %s[%d] = {\n" % (kind, name, len(values)))
    for i in range(0, len(values), per_line):
        f.write("    " + ", ".join(form % v for v in values[i:i + per_line]) + ",\n")
    f.write("};\n\n")


def write_dict(path):
    table = elements()
    multiplier, longest, slots = best_multiplier([e[0] for e in table])
    words, _ = fill([(i, hash_text(e[4])) for i, e in enumerate(table) if e[4]], DICT_BITS)
    with open(path, "w", encoding="utf-8") as f:
        f.write("/* Made by generate.py from dictionary.tsv; longest probe %d. Included by dict.c only. */\n" % longest)
        f.write("#define DICT_COUNT %d\n#define DICT_BITS %d\n#define DICT_MULTIPLIER 0x%08Xu\n\n" % (len(table), DICT_BITS, multiplier))
        f.write("static const dicom_dict_entry dict_entries[DICT_COUNT] = {\n")
        for tag, mask, vrs, vm, keyword, name, retired in table:
            codes = ["DICOM_VR_" + v for v in vrs] + ["0"] * (3 - len(vrs))
            f.write("    { 0x%08X, 0x%08X, %s, %s, %s, %s, %s },\n"
                    % (tag, mask, ", ".join(codes), quote(vm), quote(keyword), quote(name), "true" if retired else "false"))
        f.write("};\n\n")
        write_array(f, "uint32_t", "dict_tags", [e[0] for e in table], "0x%08X", 10)
        write_array(f, "dicom_vr", "dict_vrs", [ord(e[2][0][0]) << 8 | ord(e[2][0][1]) if e[2] else 0 for e in table], "0x%04X")
        masks = sorted(set(e[1] for e in table) - {0xFFFFFFFF}, reverse=True)
        write_array(f, "uint32_t", "dict_masks", masks, "0x%08X", 10)
        write_array(f, "uint16_t", "dict_slots", slots)
        write_array(f, "uint16_t", "dict_keyword_slots", words)


KINDS = {"sop-class": "SOP_CLASS", "transfer-syntax": "TRANSFER_SYNTAX", "meta-sop-class": "META_SOP_CLASS",
         "service-class": "SERVICE_CLASS", "well-known": "WELL_KNOWN", "coding-scheme": "CODING_SCHEME", "context": "CONTEXT",
         "other": "OTHER"}


def write_uids(path):
    table = [r for _, r in rows("uids.tsv")]
    syntaxes = [r for _, r in rows("transfer_syntaxes.tsv")]
    if {r[0] for r in table if r[3] == "transfer-syntax"} != {r[0] for r in syntaxes}:
        sys.exit("uids.tsv and transfer_syntaxes.tsv do not list the same transfer syntaxes")
    by_uid, _ = fill([(i, hash_text(r[0])) for i, r in enumerate(table)], UID_BITS)
    by_word, _ = fill([(i, hash_text(r[1])) for i, r in enumerate(table) if r[1]], UID_BITS)
    place = {r[0]: i for i, r in enumerate(syntaxes)}
    with open(path, "w", encoding="utf-8") as f:
        f.write("/* Made by generate.py from uids.tsv and transfer_syntaxes.tsv. Included by uid.c only. */\n")
        f.write("#define UID_COUNT %d\n#define UID_BITS %d\n#define SYNTAX_COUNT %d\n\n" % (len(table), UID_BITS, len(syntaxes)))
        f.write("static const dicom_uid_entry uid_entries[UID_COUNT] = {\n")
        for uid, keyword, name, kind, retired, storage in table:
            f.write("    { %s, %s, %s, DICOM_UID_%s, %s, %s },\n" % (quote(uid), quote(keyword), quote(name), KINDS[kind],
                    "true" if retired else "false", "true" if storage else "false"))
        f.write("};\n\nstatic const dicom_transfer_syntax syntaxes[SYNTAX_COUNT] = {\n")
        for uid, name, flags in syntaxes:
            f.write("    { %s, %s, %s },\n" % (quote(uid), quote(name), ", ".join("true" if c in flags else "false" for c in "IBDEL")))
        f.write("};\n\n/* Index + 1 in syntaxes of each UID entry; 0: not a transfer syntax. */\n")
        write_array(f, "uint8_t", "uid_syntax", [place.get(r[0], -1) + 1 for r in table], "%d", 30)
        write_array(f, "uint16_t", "uid_slots", by_uid)
        write_array(f, "uint16_t", "uid_keyword_slots", by_word)


def header_text():
    lines = ["/* tags: a name for the tag of every element of the dictionary, by its keyword (PS3.6 section 6 to 8, PS3.7 Annex E).",
             " *",
             " * Made by data/generate.py from data/dictionary.tsv; do not edit: change that file and run",
             " * `data/generate.py --header tags.h`. A test compares the two. Of repeating groups the name is the first one's tag:",
             " * DICOM_TAG_OverlayRows is (6000,0010). Included by dicom.h, where dicom_tag is defined. */",
             "#ifndef GANTRY_DICOM_TAGS_H", "#define GANTRY_DICOM_TAGS_H", ""]
    lines += ["#define DICOM_TAG_%s ((dicom_tag)0x%08X)" % (e[4], e[0]) for e in elements() if e[4]]
    return "\n".join(lines + ["", "#endif", ""])


def main(argv):
    if len(argv) == 3 and argv[1] == "--header":
        with open(argv[2], "w", encoding="utf-8") as f:
            f.write(header_text())
    elif len(argv) == 3 and argv[1] == "--check":
        with open(argv[2], encoding="utf-8") as f:
            if f.read() != header_text():
                sys.exit("%s is out of date: run generate.py --header" % argv[2])
    elif len(argv) == 2 and not argv[1].startswith("-"):
        os.makedirs(argv[1], exist_ok=True)
        write_dict(os.path.join(argv[1], "dict_table.inc"))
        write_uids(os.path.join(argv[1], "uid_table.inc"))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv)
