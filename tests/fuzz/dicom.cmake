# What the room `dicom` fuzzes. Seeds: make_seeds_dicom.py; those of charset are written by hand.
gantry_fuzz(part10 SOURCE fuzz_part10.c USES base dicom)
gantry_fuzz(json SOURCE fuzz_json.c USES base dicom)
gantry_fuzz(charset SOURCE fuzz_charset.c USES base dicom)
