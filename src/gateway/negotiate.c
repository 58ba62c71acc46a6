/* Association negotiation as acceptor (PS3.8 §7.1, PS3.7 Annex D): which AE titles get in, and what each presentation context becomes.
 *
 * Decisions are made from tables and rules only, in this order: application context, called AE title, calling AE title and its
 * rights, then each context by itself. A service that the caller has no right to is refused by the user (result 1); a SOP class
 * that we do not serve is unsupported (3); a context without a transfer syntax that we take gets result 4. */
#include "internal.h"

#define QR "1.2.840.10008.5.1.4.1.2."
static const service SERVICES[] = {
    { UID_VERIFICATION, SERVICE_VERIFICATION, ROOT_PATIENT, GATEWAY_MAY_ECHO },
    { QR "1.1", SERVICE_FIND, ROOT_PATIENT, GATEWAY_MAY_FIND },
    { QR "1.2", SERVICE_MOVE, ROOT_PATIENT, GATEWAY_MAY_MOVE },
    { QR "1.3", SERVICE_GET, ROOT_PATIENT, GATEWAY_MAY_GET },
    { QR "2.1", SERVICE_FIND, ROOT_STUDY, GATEWAY_MAY_FIND },
    { QR "2.2", SERVICE_MOVE, ROOT_STUDY, GATEWAY_MAY_MOVE },
    { QR "2.3", SERVICE_GET, ROOT_STUDY, GATEWAY_MAY_GET },
    { QR "3.1", SERVICE_FIND, ROOT_PATIENT_STUDY_ONLY, GATEWAY_MAY_FIND },
    { QR "3.2", SERVICE_MOVE, ROOT_PATIENT_STUDY_ONLY, GATEWAY_MAY_MOVE },
    { QR "3.3", SERVICE_GET, ROOT_PATIENT_STUDY_ONLY, GATEWAY_MAY_GET },
    { UID_COMMITMENT_PUSH, SERVICE_COMMITMENT, ROOT_PATIENT, GATEWAY_MAY_COMMIT },
};
#undef QR

const service *service_table(size_t *count) {
    *count = GN_ARRAY_LEN(SERVICES);
    return SERVICES;
}

/* Registered UIDs that are no storage class can be told from unknown ones: only these roots hold storage classes. */
static bool may_be_storage(const char *uid) {
    static const char standard[] = "1.2.840.10008.", storage[] = "1.2.840.10008.5.1.4.1.1.";
    if (!dicom_uid_valid(uid, strlen(uid))) return false;
    return strncmp(uid, standard, sizeof standard - 1) != 0 || strncmp(uid, storage, sizeof storage - 1) == 0;
}

service service_of(const char *sop_class, bool unknown_storage) {
    for (size_t i = 0; i < GN_ARRAY_LEN(SERVICES); i++)
        if (strcmp(SERVICES[i].uid, sop_class) == 0) return SERVICES[i];
    const dicom_uid_entry *entry = dicom_uid_find(sop_class);
    bool storage = entry ? entry->storage : unknown_storage && may_be_storage(sop_class);
    return (service){ sop_class, storage ? SERVICE_STORAGE : SERVICE_NONE, ROOT_PATIENT, storage ? GATEWAY_MAY_STORE : 0 };
}

/* ---- transfer syntaxes ------------------------------------------------------------------------------------------------- */

static bool takes_for_storage(const gateway_config *c, const char *uid) {
    if (!c->transfer_syntaxes) return dicom_transfer_syntax_find(uid) != NULL;
    for (size_t i = 0; i < c->transfer_syntax_count; i++)
        if (strcmp(c->transfer_syntaxes[i], uid) == 0) return true;
    return false;
}

/* Identifiers and other short data sets: any that is not compressed. */
static bool takes_for_query(const char *uid) {
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(uid);
    return ts && !ts->encapsulated && !ts->deflated;
}

/* Index of the accepted proposal; -1: none. */
static int choose_transfer_syntax(const gateway_config *c, const dimse_context *x, bool storage) {
    if (storage && c->order == GATEWAY_ORDER_CONFIGURED && c->transfer_syntaxes) {
        for (size_t k = 0; k < c->transfer_syntax_count; k++)
            for (size_t i = 0; i < x->proposed_count; i++)
                if (strcmp(c->transfer_syntaxes[k], x->proposed[i]) == 0) return (int)i;
        return -1;
    }
    for (size_t i = 0; i < x->proposed_count; i++)
        if (storage ? takes_for_storage(c, x->proposed[i]) : takes_for_query(x->proposed[i])) return (int)i;
    return -1;
}

/* For a requestor that only receives (C-GET): all that it asks for must fit into the one transfer syntax of the context. So the
 * first is taken into which everything of the class can be turned; what we cannot decode (videos) travels only as it is
 * stored, which is then what the requestor is after. Compressed forms are for classes of images. -1: no such. */
static int choose_to_receive(const gateway_config *c, const dimse_context *x) {
    const dicom_uid_entry *u = dicom_uid_find(x->abstract_syntax);
    bool images = u && strstr(u->name, "Image") != NULL;
    for (size_t i = 0; i < x->proposed_count; i++) {
        const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(x->proposed[i]);
        if (!ts || !takes_for_storage(c, x->proposed[i])) continue;
        bool fits = recode_lossless_target(x->proposed[i]) && (images || !ts->encapsulated);
        if (fits || (ts->encapsulated && !pixel_can_decode(x->proposed[i]))) return (int)i;
    }
    return -1;
}

/* ---- extended negotiation and roles ------------------------------------------------------------------------------------ */

/* The application information becomes our answer: of what was asked, what we do. */
static void answer_extended(dimse_context *x, service_kind kind) {
    if (!x->extended_length) return;
    uint8_t asked[16], n = x->extended_length;
    memcpy(asked, x->extended, sizeof asked);
    memset(x->extended, 0, sizeof x->extended);
    switch (kind) {
    case SERVICE_FIND: /* relational, combined date-time, fuzzy names; timezone adjustment and multi-frame conversion: no */
        x->extended_length = n < 5 ? n : 5;
        for (uint8_t i = 0; i < 3 && i < n; i++) x->extended[i] = asked[i] == 1;
        break;
    case SERVICE_MOVE:
    case SERVICE_GET: /* relational; multi-frame conversion: no */
        x->extended_length = n < 2 ? n : 2;
        x->extended[EXTENDED_RELATIONAL] = asked[EXTENDED_RELATIONAL] == 1;
        break;
    case SERVICE_STORAGE: /* PS3.4 B.3.1.4.1: level 2 (full), signatures kept as they are, no coercion */
        x->extended_length = 6;
        x->extended[0] = 2;
        x->extended[2] = 3;
        break;
    default: x->extended_length = 0; break;
    }
}

/* Storage classes may be received by the requestor too (it then answers our sub-operations of C-GET); all others keep the default. */
static void answer_roles(dimse_context *x, service_kind kind) {
    x->scu_role = true;
    x->scp_role = false;
    if (!x->role_proposed) return;
    bool both = kind == SERVICE_STORAGE;
    x->scu_role = x->proposed_scu || !both;
    x->scp_role = x->proposed_scp && both;
}

static void answer_context(gateway *g, dimse_context *x, uint32_t rights) {
    service s = service_of(x->abstract_syntax, !g->config.refuse_unknown_sop_classes);
    answer_roles(x, s.kind);
    answer_extended(x, s.kind);
    /* Receiving what C-GET sends needs the right to get, not the right to store. */
    uint32_t wanted = s.kind == SERVICE_STORAGE && x->scp_role ? GATEWAY_MAY_STORE | GATEWAY_MAY_GET : s.permission;
    if (s.kind == SERVICE_NONE) {
        x->result = DIMSE_CONTEXT_ABSTRACT_UNSUPPORTED;
    } else if (!(rights & wanted)) {
        x->result = DIMSE_CONTEXT_USER_REJECTED;
    } else {
        bool receives = s.kind == SERVICE_STORAGE && x->scp_role && !x->scu_role && g->config.order == GATEWAY_ORDER_PROPOSED;
        int i = receives ? choose_to_receive(&g->config, x) : -1;
        if (i < 0) i = choose_transfer_syntax(&g->config, x, s.kind == SERVICE_STORAGE);
        x->result = i < 0 ? DIMSE_CONTEXT_TRANSFER_UNSUPPORTED : DIMSE_CONTEXT_ACCEPTED;
        if (i >= 0) memcpy(x->transfer_syntax, x->proposed[i], sizeof x->transfer_syntax);
    }
}

/* ---- who --------------------------------------------------------------------------------------------------------------- */

static bool called_is_ours(const gateway_config *c, const char *called) {
    if (!c->check_called_aet || strcmp(called, c->aet) == 0) return true;
    for (size_t i = 0; i < c->extra_aet_count; i++)
        if (strcmp(called, c->extra_aets[i]) == 0) return true;
    return false;
}

/* Rights of a caller by the list as it is now. *acceptable: it gets an association at all. A title of a known peer that comes from another
 * address is a stranger, and never more. */
uint32_t gateway_rights(gateway *g, const char *calling, const char *address, bool *acceptable) {
    peer_list *list = gateway_peers(g);
    bool known;
    const gateway_peer *p = peer_calling(list, calling, address, &known);
    uint32_t rights = p ? p->permissions : g->config.unknown_permissions;
    *acceptable = p || g->config.calling == GATEWAY_CALLING_ANY;
    peer_list_unref(&list);
    return rights;
}

bool gateway_negotiate(void *ctx, dimse_negotiation *n, dimse_reject *reject) {
    gateway *g = ctx;
    bool acceptable;
    if (strcmp(n->application_context, UID_APPLICATION_CONTEXT) != 0) {
        *reject = DIMSE_REJECT_APPLICATION_CONTEXT;
        return false;
    }
    if (!called_is_ours(&g->config, n->called)) {
        *reject = DIMSE_REJECT_CALLED_AE;
        return false;
    }
    uint32_t rights = gateway_rights(g, n->calling, n->peer_address, &acceptable);
    if (!acceptable || !aet_valid(n->calling)) {
        *reject = DIMSE_REJECT_CALLING_AE;
        return false;
    }
    for (size_t i = 0; i < n->context_count; i++) answer_context(g, &n->context[i], rights);
    return true;
}
