gantry_fuzz(pdu SOURCE fuzz_pdu.c USES base dicom dimse INTERNAL dimse)
gantry_fuzz(dimse SOURCE fuzz_dimse.c USES base dicom dimse)
