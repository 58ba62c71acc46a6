/* How an object gets from its transfer syntax to one that the receiver takes: which ways there are, which is best, and what is
 * proposed and accepted for it. */
#include "check.h"
#include "fake_archive.h"
#include "internal.h"

#include <limits.h>

#define TS "1.2.840.10008.1.2"
#define CT "1.2.840.10008.5.1.4.1.1.2"
#define SR "1.2.840.10008.5.1.4.1.1.88.33"
#define VIDEO "1.2.840.10008.5.1.4.1.1.77.1.1.1"

TEST(ways_from_one_syntax_to_another) {
    static const struct { const char *from, *to; recoding way; } table[] = {
        { TS ".1", TS ".1", RECODE_NONE },         { TS ".4.70", TS ".4.70", RECODE_NONE },
        { "1.2.3", "1.2.3", RECODE_NONE },         { TS, TS ".1", RECODE_NATIVE },
        { TS ".1.99", TS, RECODE_NATIVE },         { TS ".2", TS ".1", RECODE_NATIVE },
        { TS ".1", TS ".1.99", RECODE_IMPOSSIBLE }, { TS ".4.50", TS ".1", RECODE_PIXELS },
        { TS ".4.70", TS, RECODE_PIXELS },         { TS ".5", TS ".2", RECODE_PIXELS },
        { TS ".4.90", TS ".4.80", RECODE_PIXELS }, { TS ".1", TS ".4.80", RECODE_PIXELS },
        { TS ".1", TS ".4.50", RECODE_IMPOSSIBLE }, { TS ".4.90", TS ".4.50", RECODE_IMPOSSIBLE },
        { TS ".1", TS ".4.70", RECODE_IMPOSSIBLE }, { TS ".4.102", TS ".1", RECODE_IMPOSSIBLE },
        { "1.2.3", TS ".1", RECODE_IMPOSSIBLE },   { TS ".1", "1.2.3", RECODE_IMPOSSIBLE },
        { TS ".4.90", TS ".1.99", RECODE_IMPOSSIBLE },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(table); i++) {
        CHECK_INT(recode_way(table[i].from, table[i].to), table[i].way);
        if (recode_way(table[i].from, table[i].to) != table[i].way) fprintf(stderr, "%s to %s\n", table[i].from, table[i].to);
    }
}

/* The first of each list must be better than the next; the last is impossible. */
static void check_order(const gateway_peer *peer, const char *stored, const char *const *order, size_t n) {
    archive_kind kind = { .sop_class = CT };
    snprintf(kind.transfer_syntax, sizeof kind.transfer_syntax, "%s", stored);
    CHECK_INT(route_fitness(peer, &kind, order[0]), UINT_MAX);
    for (size_t i = 0; i + 1 < n; i++) CHECK(route_fitness(peer, &kind, order[i]) > route_fitness(peer, &kind, order[i + 1]));
    CHECK_INT(route_fitness(peer, &kind, order[n - 1]), 0);
}

TEST(what_needs_no_transcoding_is_best) {
    static const char *const listed[] = { TS ".4.80", TS };
    gateway_peer likes_jpeg_ls = { .aet = "X", .transfer_syntaxes = listed, .transfer_syntax_count = 2 };
    check_order(NULL, TS ".4.90", (const char *const[]){ TS ".4.90", TS ".1", TS, TS ".4.80", TS ".4.50" }, 5);
    check_order(NULL, TS, (const char *const[]){ TS, TS ".1", TS ".2", TS ".5", TS ".4.70" }, 5);
    check_order(&likes_jpeg_ls, TS ".4.90", (const char *const[]){ TS ".4.90", TS ".4.80", TS, TS ".1", TS ".5", TS ".4.50" }, 6);
    check_order(&likes_jpeg_ls, TS ".2", (const char *const[]){ TS ".2", TS, TS ".1", TS ".4.80", TS ".1.99" }, 5); /* native stays native */
    check_order(NULL, TS ".4.102", (const char *const[]){ TS ".4.102", TS ".1" }, 2);
}

/* What a context for receiving becomes; both: the requestor would send too. */
static const char *chosen(const char *sop_class, bool both, const char *const *proposed, size_t n) {
    static dimse_negotiation negotiation;
    static char syntaxes[8][65];
    dimse_reject reject;
    peer_list *peers = NULL;
    gateway g = { .config = { .aet = "GANTRY", .calling = GATEWAY_CALLING_ANY, .unknown_permissions = GATEWAY_MAY_ALL } };
    pthread_mutex_init(&g.peers_lock, NULL);
    CHECK_INT(peer_list_new(NULL, 0, &peers, NULL), 0);
    g.peers = peers;
    for (size_t i = 0; i < n; i++) snprintf(syntaxes[i], sizeof syntaxes[i], "%s", proposed[i]);
    negotiation = (dimse_negotiation){ .called = "GANTRY", .calling = "X", .application_context = UID_APPLICATION_CONTEXT, .peer_address = "127.0.0.1:9", .context_count = 1 };
    dimse_context *x = &negotiation.context[0];
    *x = (dimse_context){ .id = 1, .proposed = syntaxes, .proposed_count = n, .role_proposed = true, .proposed_scp = true, .proposed_scu = both };
    snprintf(x->abstract_syntax, sizeof x->abstract_syntax, "%s", sop_class);
    CHECK(gateway_negotiate(&g, &negotiation, &reject));
    peer_list_unref(&g.peers);
    pthread_mutex_destroy(&g.peers_lock);
    return x->result == DIMSE_CONTEXT_ACCEPTED ? x->transfer_syntax : "";
}
#define CHOSEN(sop_class, both, ...) chosen(sop_class, both, (const char *const[]){ __VA_ARGS__ }, sizeof (const char *const[]){ __VA_ARGS__ } / sizeof(char *))

TEST(a_getter_gets_contexts_that_all_objects_fit_into) {
    CHECK_STR(CHOSEN(CT, false, TS ".4.50", TS), TS);               /* not all can become baseline JPEG */
    CHECK_STR(CHOSEN(CT, false, TS ".4.70", TS ".1", TS), TS ".1");
    CHECK_STR(CHOSEN(CT, false, TS ".4.80", TS ".1"), TS ".4.80");  /* its wish, and possible */
    CHECK_STR(CHOSEN(SR, false, TS ".4.80", TS ".1"), TS ".1");     /* no pixels to compress */
    CHECK_STR(CHOSEN(CT, false, TS ".4.70"), TS ".4.70");           /* what is stored so */
    CHECK_STR(CHOSEN(VIDEO, false, TS ".4.102", TS ".1"), TS ".4.102"); /* we cannot decode it: as it is, or not at all */
    CHECK_STR(CHOSEN(CT, true, TS ".4.50", TS), TS ".4.50");        /* it sends as well */
    CHECK_STR(CHOSEN(CT, false, "1.2.3"), "");
}

TEST(a_peer_may_list_what_loses_nothing) {
    static const char *const good[] = { TS ".4.80", TS ".4.90", TS ".5", TS ".1" }, *const lossy[] = { TS ".4.50" }, *const unwritable[] = { TS ".4.70" };
    gateway_peer p = { .aet = "X", .transfer_syntaxes = good, .transfer_syntax_count = 4 };
    peer_list *list = NULL;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(peer_list_new(&p, 1, &list, &e), 0);
    peer_list_unref(&list);
    p.transfer_syntax_count = 1;
    p.transfer_syntaxes = lossy;
    CHECK_INT(peer_list_new(&p, 1, &list, &e), GN_E_CONFIG);
    p.transfer_syntaxes = unwritable;
    CHECK_INT(peer_list_new(&p, 1, &list, &e), GN_E_CONFIG);
}
