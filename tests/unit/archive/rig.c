/* rig: see rig.h. */
#include "rig.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

void rig_init(rig *r) {
    char base[400];
    *r = (rig){ .error = GN_ERROR_INIT };
    check_temp_dir(base, sizeof base);
    (void)snprintf(r->directory, sizeof r->directory, "%s/archive", base);
    r->config.reserve_bytes = 1;
}

bool rig_open(rig *r) {
    gn_error_clear(&r->error);
    r->config.directory = r->directory;
    r->archive = archive_open(&r->config, &r->error);
    return r->archive != NULL;
}

void rig_close(rig *r) { archive_close(&r->archive); }

char *rig_path(const rig *r, const char *name, char out[700]) {
    (void)snprintf(out, 700, "%s/%s", r->directory, name);
    return out;
}

int rig_send_bytes(rig *r, const void *p, size_t n, const char *sop_class, const char *sop, size_t piece, archive_result *result) {
    static const archive_source source = { .origin = ARCHIVE_FROM_DIMSE, .calling_ae = "MODALITY", .called_ae = "GANTRY", .address = "192.0.2.1" };
    archive_ingest_request request = { .source = &source, .transfer_syntax = DICOM_TS_EXPLICIT_LE, .sop_class = sop_class, .sop_instance = sop };
    archive_ingest *in = NULL;
    const uint8_t *q = p;
    gn_error_clear(&r->error);
    *result = (archive_result){ .outcome = ARCHIVE_REFUSED };
    int rc = archive_ingest_begin(r->archive, &request, &in, &r->error);
    if (rc) return rc;
    for (size_t at = 0; at < n;) {
        size_t part = piece && piece < n - at ? piece : n - at;
        if (archive_ingest_write(in, q + at, part, &r->error)) break;
        at += part;
    }
    gn_error_clear(&r->error);
    return archive_ingest_finish(&in, result, &r->error);
}

static const char *or_default(const char *s, const char *normal) { return s ? s : normal; }

int rig_send(rig *r, const synth *s, archive_result *result) {
    gn_buf b = GN_BUF_INIT;
    synth_object(s, &b);
    int rc = rig_send_bytes(r, b.p, b.n, or_default(s->sop_class, SYNTH_CT), or_default(s->sop, "1.2.3.1.1.1"), 16384, result);
    gn_buf_done(&b);
    return rc;
}

bool rig_fetch(rig *r, const char *sop, gn_buf *out) {
    archive_object o;
    gn_error_clear(&r->error);
    if (archive_object_open(r->archive, sop, &o, &r->error)) return false;
    size_t n = (size_t)(o.length - o.dataset_offset);
    out->limit = (size_t)3 << 30;
    uint8_t *p = gn_buf_reserve(out, n + 1);
    bool ok = p && gn_pread_all(o.fd, p, n, o.offset + o.dataset_offset, &r->error) == 0;
    if (ok) out->n += n;
    archive_object_release(r->archive, &o);
    return ok;
}

bool rig_holds(rig *r, const synth *s) {
    gn_buf sent = GN_BUF_INIT, got = GN_BUF_INIT;
    synth_object(s, &sent);
    bool same = rig_fetch(r, or_default(s->sop, "1.2.3.1.1.1"), &got) && got.n == sent.n && memcmp(got.p, sent.p, sent.n) == 0;
    gn_buf_done(&sent);
    gn_buf_done(&got);
    return same;
}

static unsigned count_in(const char *path, const char *suffix, int depth) {
    unsigned n = 0;
    DIR *d = opendir(path);
    if (!d) return 0;
    for (struct dirent *x; (x = readdir(d));) {
        char below[1024];
        size_t length = strlen(x->d_name), tail = strlen(suffix);
        if (x->d_name[0] == '.') continue;
        (void)snprintf(below, sizeof below, "%s/%s", path, x->d_name);
        if (x->d_type == DT_DIR && depth > 0) n += count_in(below, suffix, depth - 1);
        else if (length >= tail && strcmp(x->d_name + length - tail, suffix) == 0) n++;
    }
    (void)closedir(d);
    return n;
}

unsigned rig_count(const rig *r, const char *folder, const char *suffix) {
    char path[700];
    return count_in(rig_path(r, folder, path), suffix, 1);
}

typedef struct told { char *kinds; size_t size; } told;

static void on_problem(void *ctx, const char *kind, const char *object, const char *detail) {
    told *t = ctx;
    size_t n = strlen(t->kinds);
    if (getenv("RIG_VERBOSE")) (void)fprintf(stderr, "%s %s: %s\n", kind, object, detail);
    (void)snprintf(t->kinds + n, t->size - n, "%s ", kind);
}

int64_t rig_verify(rig *r, bool repair, char *kinds, size_t size) {
    told t = { kinds, size };
    archive_verify_options o = { .repair = repair, .on_problem = on_problem, .ctx = &t };
    kinds[0] = '\0';
    gn_error_clear(&r->error);
    return archive_verify(r->archive, &o, &r->error);
}
