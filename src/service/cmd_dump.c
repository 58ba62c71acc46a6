/* cmd_dump: prints the data set of DICOM files, as people read it or as the JSON model of PS3.18 Annex F. */
#include "cli.h"
#include "part10.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPT_JSON, OPT_WIDTH };
static const cli_option options[] = {
    { 'j', "json", NULL, "the DICOM JSON model, one array of all files" },
    { 'w', "width", "N", "longer values are cut, 16 to 100000 characters" },
};

typedef struct dump {
    bool json;
    unsigned width;
    gn_buf out;
    gn_json writer;
    int result;
} dump;

static void print_line(void *ctx, const char *line) {
    (void)ctx;
    puts(line);
}

static int dump_bytes(dump *d, const void *bytes, size_t n, const char *path, gn_error *e) {
    gn_arena *arena = gn_arena_new((size_t)512 * 1024 * 1024);
    if (!arena) return gn_fail(e, GN_E_NO_MEMORY, "no memory");
    dicom_file f;
    dicom_read_options ro = { .accept_truncated = true };
    part10 known;
    int rc = part10_look_at(bytes, n, true, &known, e);
    if (rc == 1) rc = gn_fail(e, GN_E_INVALID, "not a DICOM file");
    if (!rc) rc = dicom_file_read(arena, bytes, n, &ro, &f, e);
    if (!rc && d->json) {
        dicom_json_options jo = { .max_inline = 1024 };
        rc = dicom_json_write(f.dataset, &jo, &d->writer, e);
        cli_flush(&d->out);
    } else if (!rc) {
        printf("# %s%s\n", path, f.guessed ? ": the encoding is guessed, the file does not say it" : "");
        rc = dicom_dump(&f, d->width, print_line, NULL, e);
    }
    gn_arena_free(&arena);
    return rc;
}

static void dump_file(dump *d, const char *path) {
    gn_error e = GN_ERROR_INIT;
    struct stat st;
    char clean[512];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) gn_fail_errno(&e, errno, "cannot open");
    else if (!S_ISREG(st.st_mode)) gn_fail(&e, GN_E_INVALID, "not a file");
    else if (st.st_size == 0) gn_fail(&e, GN_E_TRUNCATED, "the file is empty");
    else {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) gn_fail_errno(&e, errno, "cannot map");
        else {
            (void)dump_bytes(d, p, (size_t)st.st_size, cli_clean(path, clean, sizeof clean), &e);
            munmap(p, (size_t)st.st_size);
        }
    }
    if (fd >= 0) close(fd);
    if (!e.code) return;
    char text[400];
    cli_complain("dump", "%s: %s", path, gn_error_text(&e, text, sizeof text));
    d->result = CLI_FAILED;
}

int cmd_dump(int argc, char **argv) {
    dump d = { .width = 0 };
    int64_t width = 0;
    size_t files = 0;
    cli c;
    for (int pass = 0; pass < 2; pass++) { /* options may stand behind files */
        cli_init(&c, "dump", argc, argv, options, GN_ARRAY_LEN(options));
        if (pass && d.json) {
            gn_json_init(&d.writer, &d.out);
            gn_json_open(&d.writer, '[');
        }
        for (int o; (o = cli_next(&c)) != CLI_END;) {
            if (o == OPT_JSON) d.json = true;
            else if (o == OPT_WIDTH) {
                if (!cli_number(&c, "width", 16, 100000, &width)) return CLI_USAGE;
                d.width = (unsigned)width;
            } else if (o == CLI_HELP) {
                command_usage(stdout, "dump");
                cli_print_options(stdout, options, GN_ARRAY_LEN(options));
                return CLI_OK;
            } else if (o == CLI_ERROR) return CLI_USAGE;
            else if (pass) dump_file(&d, c.value);
            else files++;
        }
        if (!files) {
            cli_complain("dump", "which file? gantry dump FILE…");
            return CLI_USAGE;
        }
    }
    if (d.json) {
        gn_json_close(&d.writer, ']');
        gn_buf_putc(&d.out, '\n');
        cli_flush(&d.out);
    }
    gn_buf_done(&d.out);
    return d.result;
}
