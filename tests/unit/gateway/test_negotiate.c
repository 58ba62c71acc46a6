/* Negotiation (PS3.8 §7.1, PS3.7 Annex D): a table of contexts and what becomes of each; titles, addresses and rights; roles;
 * extended negotiation. gateway_negotiate is called directly, without a network. */
#include "check.h"
#include "internal.h"

#include <stdlib.h>

#define CT "1.2.840.10008.5.1.4.1.1.2"
#define JPEG "1.2.840.10008.1.2.4.50"

static gateway *fixture(const gateway_config *config) {
    static gateway g;
    gn_error e = GN_ERROR_INIT;
    memset(&g, 0, sizeof g);
    g.config = *config;
    pthread_mutex_init(&g.peers_lock, NULL);
    CHECK_INT(peer_list_new(config->peers, config->peer_count, &g.peers, &e), 0);
    return &g;
}

static dimse_negotiation *request(void) {
    static dimse_negotiation n;
    memset(&n, 0, sizeof n);
    snprintf(n.called, sizeof n.called, "GANTRY");
    snprintf(n.calling, sizeof n.calling, "CTSCAN");
    snprintf(n.application_context, sizeof n.application_context, "1.2.840.10008.3.1.1.1");
    snprintf(n.peer_address, sizeof n.peer_address, "10.1.2.3:40000");
    return &n;
}

static char syntaxes[8][65];
static dimse_context *add(dimse_negotiation *n, const char *class_uid, const char *a, const char *b) {
    dimse_context *x = &n->context[n->context_count];
    x->id = (uint8_t)(1 + 2 * n->context_count++);
    snprintf(x->abstract_syntax, sizeof x->abstract_syntax, "%s", class_uid);
    size_t at = (n->context_count - 1) % 4 * 2;
    snprintf(syntaxes[at], 65, "%s", a ? a : "");
    snprintf(syntaxes[at + 1], 65, "%s", b ? b : "");
    x->proposed = &syntaxes[at];
    x->proposed_count = (size_t)(a != NULL) + (b != NULL);
    return x;
}

static gateway_config open_config(void) {
    return (gateway_config){ .aet = "GANTRY", .address = "127.0.0.1", .calling = GATEWAY_CALLING_ANY, .unknown_permissions = GATEWAY_MAY_ALL };
}

TEST(each_context_gets_its_answer) {
    static const struct { const char *class_uid, *a, *b; int result; const char *accepted; } table[] = {
        { "1.2.840.10008.1.1", DICOM_TS_IMPLICIT_LE, NULL, 0, DICOM_TS_IMPLICIT_LE },
        { "1.2.840.10008.1.1", JPEG, NULL, 4, "" },
        { CT, JPEG, DICOM_TS_EXPLICIT_LE, 0, JPEG },
        { CT, DICOM_TS_EXPLICIT_LE, JPEG, 0, DICOM_TS_EXPLICIT_LE },
        { CT, "1.2.3.4.5", DICOM_TS_IMPLICIT_LE, 0, DICOM_TS_IMPLICIT_LE },
        { CT, "1.2.3.4.5", NULL, 4, "" },
        { CT, NULL, NULL, 4, "" },
        { "1.2.840.10008.5.1.4.1.2.1.1", DICOM_TS_EXPLICIT_BE, NULL, 0, DICOM_TS_EXPLICIT_BE },
        { "1.2.840.10008.5.1.4.1.2.2.1", JPEG, DICOM_TS_EXPLICIT_LE, 0, DICOM_TS_EXPLICIT_LE },
        { "1.2.840.10008.5.1.4.1.2.3.2", DICOM_TS_IMPLICIT_LE, NULL, 0, DICOM_TS_IMPLICIT_LE },
        { "1.2.840.10008.1.20.1", DICOM_TS_IMPLICIT_LE, NULL, 0, DICOM_TS_IMPLICIT_LE },
        { "1.2.840.10008.5.1.4.31", DICOM_TS_IMPLICIT_LE, NULL, 3, "" },          /* modality worklist: not yet */
        { "1.2.840.10008.5.1.1.9", DICOM_TS_IMPLICIT_LE, NULL, 3, "" },           /* print: no storage */
        { "1.3.12.2.1107.5.9.1", DICOM_TS_IMPLICIT_LE, NULL, 0, DICOM_TS_IMPLICIT_LE }, /* private storage */
        { "1.2.840.10008.5.1.4.1.1.99999", DICOM_TS_IMPLICIT_LE, NULL, 0, DICOM_TS_IMPLICIT_LE }, /* of a later edition */
        { "1.2.840.10008.99", DICOM_TS_IMPLICIT_LE, NULL, 3, "" },
        { "../../etc/passwd", DICOM_TS_IMPLICIT_LE, NULL, 3, "" },
        { "", DICOM_TS_IMPLICIT_LE, NULL, 3, "" },
    };
    gateway_config c = open_config();
    gateway *g = fixture(&c);
    for (size_t i = 0; i < GN_ARRAY_LEN(table); i++) {
        dimse_negotiation *n = request();
        dimse_reject reject;
        dimse_context *x = add(n, table[i].class_uid, table[i].a, table[i].b);
        CHECK(gateway_negotiate(g, n, &reject));
        if (x->result != (dimse_context_result)table[i].result) printf("# %s\n", table[i].class_uid);
        CHECK_INT(x->result, table[i].result);
        CHECK_STR(x->transfer_syntax, table[i].accepted);
    }
    peer_list_unref(&g->peers);
}

TEST(every_storage_class_and_transfer_syntax_of_the_dictionary_is_taken) {
    gateway_config c = open_config();
    c.refuse_unknown_sop_classes = true;
    gateway *g = fixture(&c);
    size_t classes = 0;
    for (size_t i = 0; i < dicom_uid_count(); i++) {
        if (!dicom_uid_at(i)->storage) continue;
        dimse_negotiation *n = request();
        dimse_reject reject;
        dimse_context *x = add(n, dicom_uid_at(i)->uid, dicom_transfer_syntax_at(classes % dicom_transfer_syntax_count())->uid, NULL);
        CHECK(gateway_negotiate(g, n, &reject));
        CHECK_INT(x->result, DIMSE_CONTEXT_ACCEPTED);
        classes++;
    }
    CHECK(classes > 150);
    dimse_negotiation *n = request();
    dimse_reject reject;
    dimse_context *x = add(n, "1.3.12.2.1107.5.9.1", DICOM_TS_IMPLICIT_LE, NULL);
    CHECK(gateway_negotiate(g, n, &reject));
    CHECK_INT(x->result, DIMSE_CONTEXT_ABSTRACT_UNSUPPORTED);
    peer_list_unref(&g->peers);
}

TEST(our_order_of_transfer_syntaxes_can_win) {
    static const char *const ours[] = { DICOM_TS_EXPLICIT_LE, JPEG };
    gateway_config c = open_config();
    c.transfer_syntaxes = ours;
    c.transfer_syntax_count = 2;
    c.order = GATEWAY_ORDER_CONFIGURED;
    gateway *g = fixture(&c);
    dimse_negotiation *n = request();
    dimse_reject reject;
    dimse_context *x = add(n, CT, JPEG, DICOM_TS_EXPLICIT_LE), *y = add(n, CT, DICOM_TS_IMPLICIT_LE, NULL);
    CHECK(gateway_negotiate(g, n, &reject));
    CHECK_STR(x->transfer_syntax, DICOM_TS_EXPLICIT_LE);
    CHECK_INT(y->result, DIMSE_CONTEXT_TRANSFER_UNSUPPORTED);
    peer_list_unref(&g->peers);
}

static bool negotiate_as(gateway *g, const char *calling, const char *called, const char *address, dimse_reject *reject, dimse_negotiation **out) {
    dimse_negotiation *n = request();
    snprintf(n->calling, sizeof n->calling, "%s", calling);
    snprintf(n->called, sizeof n->called, "%s", called);
    snprintf(n->peer_address, sizeof n->peer_address, "%s", address);
    add(n, "1.2.840.10008.1.1", DICOM_TS_IMPLICIT_LE, NULL);
    add(n, CT, DICOM_TS_IMPLICIT_LE, NULL);
    add(n, "1.2.840.10008.5.1.4.1.2.2.1", DICOM_TS_IMPLICIT_LE, NULL);
    if (out) *out = n;
    return gateway_negotiate(g, n, reject);
}

TEST(titles_and_addresses) {
    static const char *const extra[] = { "ARCHIVE" };
    const gateway_peer peers[] = {
        { .aet = "CTSCAN", .host = "10.1.2.3", .port = 104, .permissions = GATEWAY_MAY_ECHO | GATEWAY_MAY_STORE },
        { .aet = "ROAMING", .host = "10.9.9.9", .port = 104, .permissions = GATEWAY_MAY_FIND, .any_address = true },
    };
    gateway_config c = open_config();
    c.calling = GATEWAY_CALLING_KNOWN;
    c.check_called_aet = true;
    c.extra_aets = extra;
    c.extra_aet_count = 1;
    c.peers = peers;
    c.peer_count = 2;
    gateway *g = fixture(&c);
    static const struct { const char *calling, *called, *address; int reason; } table[] = {
        { "CTSCAN", "GANTRY", "10.1.2.3:5000", 0 }, { "CTSCAN", "ARCHIVE", "::ffff:10.1.2.3:5000", 0 }, { "CTSCAN", "gantry", "10.1.2.3:5000", 7 },
        { "CTSCAN", "OTHER", "10.1.2.3:5000", 7 },  { "CTSCAN", "GANTRY", "10.1.2.4:5000", 3 },       { "ctscan", "GANTRY", "10.1.2.3:5000", 3 },
        { "NOBODY", "GANTRY", "10.1.2.3:5000", 3 }, { "ROAMING", "GANTRY", "10.7.7.7:5000", 0 },      { "", "GANTRY", "10.1.2.3:5000", 3 },
        { "CTSCAN ", "GANTRY", "10.1.2.3:5000", 3 }, { "10.1.2.3", "GANTRY", "10.1.2.3:5000", 3 },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(table); i++) {
        dimse_reject reject = { 0 };
        CHECK_INT(negotiate_as(g, table[i].calling, table[i].called, table[i].address, &reject, NULL), table[i].reason == 0);
        CHECK_INT(reject.reason, table[i].reason);
        if (table[i].reason) CHECK_INT(reject.result, 1);
    }
    dimse_negotiation *n;
    dimse_reject reject;
    CHECK(negotiate_as(g, "CTSCAN", "GANTRY", "10.1.2.3:5000", &reject, &n));
    CHECK_INT(n->context[0].result, DIMSE_CONTEXT_ACCEPTED);
    CHECK_INT(n->context[1].result, DIMSE_CONTEXT_ACCEPTED);
    CHECK_INT(n->context[2].result, DIMSE_CONTEXT_USER_REJECTED);
    peer_list_unref(&g->peers);
}

TEST(a_known_title_from_elsewhere_is_a_stranger) {
    const gateway_peer peers[] = { { .aet = "VIEWER", .host = "10.1.2.3", .port = 104, .permissions = GATEWAY_MAY_ALL } };
    gateway_config c = open_config();
    c.unknown_permissions = GATEWAY_MAY_ECHO | GATEWAY_MAY_STORE;
    c.peers = peers;
    c.peer_count = 1;
    gateway *g = fixture(&c);
    dimse_reject reject;
    dimse_negotiation *n;
    CHECK(negotiate_as(g, "VIEWER", "GANTRY", "10.6.6.6:5000", &reject, &n));
    CHECK_INT(n->context[2].result, DIMSE_CONTEXT_USER_REJECTED);
    CHECK(negotiate_as(g, "VIEWER", "GANTRY", "10.1.2.3:5000", &reject, &n));
    CHECK_INT(n->context[2].result, DIMSE_CONTEXT_ACCEPTED);
    peer_list_unref(&g->peers);
}

TEST(another_application_context_is_rejected) {
    gateway_config c = open_config();
    gateway *g = fixture(&c);
    dimse_negotiation *n = request();
    dimse_reject reject;
    snprintf(n->application_context, sizeof n->application_context, "1.2.3");
    CHECK(!gateway_negotiate(g, n, &reject));
    CHECK_INT(reject.reason, 2);
    peer_list_unref(&g->peers);
}

TEST(roles) {
    gateway_config c = open_config();
    gateway *g = fixture(&c);
    dimse_negotiation *n = request();
    dimse_reject reject;
    dimse_context *plain = add(n, CT, DICOM_TS_IMPLICIT_LE, NULL), *getter = add(n, CT, DICOM_TS_IMPLICIT_LE, NULL), *find = add(n, "1.2.840.10008.5.1.4.1.2.2.1", DICOM_TS_IMPLICIT_LE, NULL);
    getter->role_proposed = find->role_proposed = true;
    getter->proposed_scp = find->proposed_scp = true;
    CHECK(gateway_negotiate(g, n, &reject));
    CHECK(plain->scu_role && !plain->scp_role);
    CHECK(!getter->scu_role && getter->scp_role);
    CHECK(find->scu_role && !find->scp_role);
    peer_list_unref(&g->peers);
}

TEST(extended_negotiation_answers_what_we_do) {
    gateway_config c = open_config();
    gateway *g = fixture(&c);
    dimse_negotiation *n = request();
    dimse_reject reject;
    dimse_context *find = add(n, "1.2.840.10008.5.1.4.1.2.2.1", DICOM_TS_IMPLICIT_LE, NULL), *get = add(n, "1.2.840.10008.5.1.4.1.2.2.3", DICOM_TS_IMPLICIT_LE, NULL),
                  *ct = add(n, CT, DICOM_TS_IMPLICIT_LE, NULL), *none = add(n, "1.2.840.10008.5.1.4.1.2.1.1", DICOM_TS_IMPLICIT_LE, NULL);
    memset(find->extended, 1, 16);
    find->extended_length = 16;
    memcpy(get->extended, "\1\1", 2);
    get->extended_length = 2;
    memcpy(ct->extended, "\0\0\0\0\1\0", 6);
    ct->extended_length = 6;
    CHECK(gateway_negotiate(g, n, &reject));
    CHECK_MEM2(find->extended, find->extended_length, "\1\1\1\0\0", 5);
    CHECK_MEM2(get->extended, get->extended_length, "\1\0", 2);
    CHECK_MEM2(ct->extended, ct->extended_length, "\2\0\3\0\0\0", 6);
    CHECK_INT(none->extended_length, 0);
    find = add(n, "1.2.840.10008.5.1.4.1.2.2.1", DICOM_TS_IMPLICIT_LE, NULL);
    memcpy(find->extended, "\1\0", 2);
    find->extended_length = 2;
    CHECK(gateway_negotiate(g, n, &reject));
    CHECK_MEM2(find->extended, find->extended_length, "\1\0", 2);
    peer_list_unref(&g->peers);
}

TEST(peer_lists_are_checked) {
    static const char *const jpeg[] = { JPEG };
    const gateway_peer bad[] = {
        { .aet = "" }, { .aet = "                " }, { .aet = "SEVENTEEN_LETTERS" }, { .aet = "A\\B" }, { .aet = "A\tB" }, { .aet = NULL },
        { .aet = "A", .host = "h" }, { .aet = "A", .host = "", .port = 1 }, { .aet = "A", .permissions = 1u << 20 },
        { .aet = "A", .host = "h", .port = 1, .transfer_syntaxes = jpeg, .transfer_syntax_count = 1 },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) {
        peer_list *list = NULL;
        gn_error e = GN_ERROR_INIT;
        CHECK_INT(peer_list_new(&bad[i], 1, &list, &e), GN_E_CONFIG);
        CHECK(list == NULL && e.message[0]);
    }
    CHECK_INT(gateway_permission_parse("find"), GATEWAY_MAY_FIND);
    CHECK_INT(gateway_permission_parse("all"), GATEWAY_MAY_ALL);
    CHECK_INT(gateway_permission_parse("FIND"), 0);
}
