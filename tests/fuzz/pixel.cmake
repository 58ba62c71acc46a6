foreach(codec native rle jpeg jpegls j2k render)
  gantry_fuzz(codec_${codec} SOURCE fuzz_codec_${codec}.c USES base dicom pixel)
endforeach()
