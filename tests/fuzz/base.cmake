gantry_fuzz(text SOURCE fuzz_text.c USES base)
