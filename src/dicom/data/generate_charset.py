#!/usr/bin/env python3
"""Makes the C tables of the character sets from the lists in charset/, and of case folding from fold.tsv.

    generate_charset.py OUTDIR    writes charset_table.inc and fold_table.inc (at build time, into the build folder)

Decoding tables are plain arrays of code points by place, 0 where nothing is. Encoding tables are two parallel arrays,
sorted code points and their bytes, for binary search. Only the standard library of Python 3. See charset_tables.c.
"""
import os
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "charset")


def rows(name):
    with open(os.path.join(HERE, name), encoding="ascii") as f:
        for line in f:
            if not line.startswith("#") and line.strip():
                yield line.split()


def write_array(f, kind, name, values, form="0x%04X", per_line=16):
    f.write("static const %s %s[%d] = {\n" % (kind, name, len(values)))
    for i in range(0, len(values), per_line):
        f.write("    " + ", ".join(form % v for v in values[i:i + per_line]) + ",\n")
    f.write("};\n\n")


def write_pairs(f, name, pairs):
    """Sorted for searching; of two places with one code point the first place wins."""
    first = {}
    for code_point, code in pairs:
        if code_point not in first or code < first[code_point]:
            first[code_point] = code
    keys = sorted(first)
    write_array(f, "uint16_t", name + "_from", keys)
    write_array(f, "uint16_t", name + "_to", [first[k] for k in keys])


def grid(name, first_lead, leads, trails):
    """A table of leads x trails from the rows of a file."""
    table = [0] * (leads * trails)
    for row in rows(name):
        lead = int(row[0], 16) - first_lead
        if len(row) != trails + 1:
            sys.exit("%s: row %s has %d places" % (name, row[0], len(row) - 1))
        table[lead * trails:(lead + 1) * trails] = [int(v, 16) for v in row[1:]]
    return table


FOLD_RANGES = ((0x00C0, 0x0530), (0x1E00, 0x2000))


def write_fold(path):
    """Arrays over the ranges, one behind the other: the small letter, and up to two letters without diacritics."""
    small, plain = {}, {}
    with open(os.path.join(HERE, os.pardir, "fold.tsv"), encoding="utf-8") as f:
        for line in f:
            if not line.startswith("#"):
                code_point, lower, base = line.rstrip("\n").split("\t")
                small[int(code_point, 16)] = int(lower, 16)
                plain[int(code_point, 16)] = ord(base[0]) | (ord(base[1]) << 16 if len(base) > 1 else 0)
    places = [c for first, behind in FOLD_RANGES for c in range(first, behind)]
    with open(path, "w", encoding="ascii") as f:
        f.write("/* Made by generate_charset.py from fold.tsv. Included by fold.c only. */\n")
        for i, (first, behind) in enumerate(FOLD_RANGES):
            f.write("#define FOLD_FIRST_%d 0x%04Xu\n#define FOLD_BEHIND_%d 0x%04Xu\n" % (i, first, i, behind))
        write_array(f, "uint16_t", "fold_small", [small.get(c, c) for c in places])
        write_array(f, "uint32_t", "fold_plain", [plain.get(c, c) for c in places], "0x%08X", 10)


def main(argv):
    if len(argv) != 2:
        sys.exit(__doc__)
    os.makedirs(argv[1], exist_ok=True)
    write_fold(os.path.join(argv[1], "fold_table.inc"))
    with open(os.path.join(argv[1], "charset_table.inc"), "w", encoding="ascii") as f:
        f.write("/* Made by generate_charset.py from the lists in data/charset. Included by charset_tables.c only. */\n")
        for row in rows("single.txt"):
            write_array(f, "uint16_t", "single_" + row[0].lower(), [int(v, 16) for v in row[1:]])
        for name in ("jisx0208", "jisx0212", "ksx1001", "gb2312"):
            table = grid(name + ".txt", 0x21, 94, 94)
            write_array(f, "uint16_t", name, table)
            write_pairs(f, name, [(v, (i // 94 + 0x21) << 8 | (i % 94 + 0x21)) for i, v in enumerate(table) if v])
        table = grid("gb18030.txt", 0x81, 126, 190)
        write_array(f, "uint16_t", "gb18030", table)
        trail = [t for t in range(0x40, 0xFF) if t != 0x7F]
        write_pairs(f, "gb18030", [(v, (i // 190 + 0x81) << 8 | trail[i % 190]) for i, v in enumerate(table) if v])
        runs = [(int(a), int(b, 16), int(c)) for a, b, c in rows("gb18030_ranges.txt")]
        write_array(f, "uint16_t", "gb18030_run_number", [r[0] for r in runs], "%d")
        write_array(f, "uint16_t", "gb18030_run_first", [r[1] for r in runs])
        write_array(f, "uint16_t", "gb18030_run_length", [r[2] for r in runs], "%d")


if __name__ == "__main__":
    main(sys.argv)
