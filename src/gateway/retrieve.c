/* C-MOVE and C-GET as SCP (PS3.4 C.4.2, C.4.3): reads the identifier, selects, checks the destination, starts the sub-operations.
 *
 * The selection is by unique keys only; lists of UIDs are taken at every level. C-MOVE goes to configured peers and nowhere else (T25):
 * anything else is A801H. */
#include "internal.h"

#include <stdlib.h>

enum { KINDS_MAX = 1024 };

/* ---- selection --------------------------------------------------------------------------------------------------------- */

/* A backslash list of UIDs? Empty is fine. */
static bool uid_list_valid(const char *list) {
    for (const char *p = list; *p;) {
        const char *end = strchr(p, '\\');
        size_t n = end ? (size_t)(end - p) : strlen(p);
        while (n && p[n - 1] == ' ') n--;
        if (!dicom_uid_valid(p, n)) return false;
        if (!end) break;
        p = end + 1;
    }
    return true;
}

typedef struct unique_key { dicom_tag tag; archive_level level; const char *name; const char *value; } unique_key;

/* The unique keys of the identifier (PS3.4 C.4.2.1.4): those at and above the level, the level's own must be there. Keys below the
 * level mean nothing and are passed over. `strict`: those above must be there too, one each. */
static int select_by_keys(const dicom_dataset *ds, archive_level level, query_root root, bool strict, archive_selection *selection, gn_error *e) {
    unique_key keys[] = { { DICOM_TAG_PatientID, ARCHIVE_PATIENT, "Patient ID", NULL }, { DICOM_TAG_StudyInstanceUID, ARCHIVE_STUDY, "Study Instance UID", NULL },
                          { DICOM_TAG_SeriesInstanceUID, ARCHIVE_SERIES, "Series Instance UID", NULL }, { DICOM_TAG_SOPInstanceUID, ARCHIVE_IMAGE, "SOP Instance UID", NULL } };
    *selection = (archive_selection){ .level = level };
    for (size_t i = 0; i < GN_ARRAY_LEN(keys); i++) {
        unique_key *k = &keys[i];
        const char *value = k->level == ARCHIVE_PATIENT ? dicom_dataset_utf8(ds, k->tag) : dicom_dataset_ascii(ds, k->tag);
        if (k->level > level || !value || !value[0]) value = NULL;
        bool needed = k->level == level || (strict && k->level < level && !(k->level == ARCHIVE_PATIENT && root == ROOT_STUDY));
        gn_error where = GN_ERROR_INIT;
        gn_error_at(&where, "(%04X,%04X)", dicom_tag_group(k->tag), dicom_tag_element(k->tag));
        if ((needed && !value) || (value && k->level != ARCHIVE_PATIENT && !uid_list_valid(value)) || (value && strict && k->level < level && strchr(value, '\\'))) {
            if (e) memcpy(e->where, where.where, sizeof e->where);
            return gn_fail(e, GN_E_INVALID, "%s %s", k->name, value ? "is no UID or not as many as allowed" : "is missing");
        }
        k->value = value;
    }
    selection->patient_id = keys[0].value;
    selection->study_uids = keys[1].value;
    selection->series_uids = keys[2].value;
    selection->sop_uids = keys[3].value;
    return 0;
}

static bool is_strict(const session *s, const dimse_message *m) {
    const dimse_context *x = dimse_association_context(s->association, m->context_id);
    bool relational = x->extended_length > EXTENDED_RELATIONAL && x->extended[EXTENDED_RELATIONAL];
    return s->gateway->config.strict_hierarchy && !relational;
}

/* ---- running ----------------------------------------------------------------------------------------------------------- */

static void log_retrieval(const session *s, const dimse_message *m, archive_level level, const subops_totals *t, const gn_error *why, uint64_t started) {
    if (!gn_log_enabled(GN_LOG_INFO)) return;
    double seconds = (double)(gn_mono_ns() - started) / 1e9;
    gn_log(t->failed ? GN_LOG_WARN : GN_LOG_INFO, m->command == DIMSE_C_MOVE_RQ ? "move" : "get", "association", gn_fmt("%llu", (unsigned long long)s->id), "message",
           gn_fmt("%u", m->message_id), "level", archive_level_text(level), "destination", m->move_destination, "counts",
           gn_fmt("%llu completed, %llu warnings, %llu failed", (unsigned long long)t->completed, (unsigned long long)t->warning, (unsigned long long)t->failed), "status",
           gn_fmt("%04X", t->status), "why", why->message, "bytes", gn_fmt("%llu", (unsigned long long)t->bytes), "seconds", gn_fmt("%.3f", seconds), NULL);
}

/* Everything selected goes to `peer` (MOVE) or to the requester (GET, NULL). */
static int run(session *s, const dimse_message *m, const archive_selection *selection, const gateway_peer *peer, gn_error *e) {
    gn_error why = GN_ERROR_INIT;
    archive_retrieval *r = NULL;
    size_t total = 0, kind_count = 0;
    uint64_t started = gn_mono_ns();
    int rc = archive_retrieve_open(s->gateway->archive, selection, &r, &total, &why);
    archive_kind *kinds = rc ? NULL : malloc(KINDS_MAX * sizeof *kinds);
    if (!rc && !kinds) rc = gn_fail(&why, GN_E_NO_MEMORY, "no memory for the retrieval");
    if (!rc) rc = archive_retrieve_kinds(r, kinds, KINDS_MAX, &kind_count, &why);
    links l = { 0 };
    if (!rc) rc = links_init(&l, s->gateway, peer, kinds, kind_count < KINDS_MAX ? kind_count : KINDS_MAX, peer ? NULL : s->association, &why);
    if (rc) {
        rc = session_fail(s, m, DIMSE_OUT_OF_RESOURCES, &why, 0, e);
    } else {
        subops_totals totals;
        rc = subops_run(s, m, r, total, &l, &totals, e);
        log_retrieval(s, m, selection->level, &totals, &l.error, started);
    }
    links_done(&l);
    archive_retrieve_close(&r);
    free(kinds);
    return rc;
}

static int run_move(session *s, const dimse_message *m, const archive_selection *selection, gn_error *e) {
    peer_list *list = gateway_peers(s->gateway);
    const gateway_peer *peer = peer_by_aet(list, m->move_destination);
    int rc;
    if (!peer || !peer->host) rc = session_refuse(s, m, DIMSE_MOVE_DESTINATION_UNKNOWN, "the move destination is not a configured node", DICOM_TAG_MoveDestination, e);
    else rc = run(s, m, selection, peer, e);
    peer_list_unref(&list);
    return rc;
}

int serve_retrieve(session *s, const dimse_message *m, gn_error *e) {
    gn_arena *arena = NULL;
    gn_buf bytes = GN_BUF_INIT;
    dicom_dataset *identifier = NULL;
    bool refused;
    gn_counter_add(m->command == DIMSE_C_MOVE_RQ ? &GATEWAY_COUNT.moves : &GATEWAY_COUNT.gets, 1);
    s->retrievals++;
    int rc = session_read_dataset(s, m, &arena, &bytes, &identifier, &refused, e);
    if (rc == 0 && !refused) {
        gn_error why = GN_ERROR_INIT;
        archive_level level = ARCHIVE_STUDY;
        archive_selection selection;
        query_root root = s->context_service.root;
        dimse_message answered = *m;
        answered.has_dataset = false;
        if (identifier_level(identifier, root, &level, &why) || select_by_keys(identifier, level, root, is_strict(s, m), &selection, &why))
            rc = session_fail(s, &answered, DIMSE_IDENTIFIER_MISMATCH, &why, tag_of_where(&why), e);
        else rc = m->command == DIMSE_C_MOVE_RQ ? run_move(s, &answered, &selection, e) : run(s, &answered, &selection, NULL, e);
    }
    gn_arena_free(&arena);
    gn_buf_done(&bytes);
    return rc;
}
