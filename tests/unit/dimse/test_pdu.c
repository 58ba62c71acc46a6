/* A-ASSOCIATE-RQ and -AC: annotated bytes, round trips of every item, and damage at every byte (T1). */
#include "internal.h"

#include "check.h"

static dimse_negotiation sample(gn_arena *arena) {
    dimse_negotiation n = { .called = "GANTRY", .calling = "MODALITY", .application_context = "1.2.840.10008.3.1.1.1", .context_count = 2, .peer_max_pdu = 16384, .invoked = 5, .performed = 3,
        .implementation_class = "1.2.3", .implementation_version = "TEST" };
    n.context[0] = (dimse_context){ .id = 1, .abstract_syntax = "1.2.840.10008.1.1", .proposed_count = 2 };
    n.context[0].proposed = gn_arena_zalloc(arena, 2, 65);
    snprintf(n.context[0].proposed[0], 65, "%s", DICOM_TS_EXPLICIT_LE);
    snprintf(n.context[0].proposed[1], 65, "%s", DICOM_TS_IMPLICIT_LE);
    n.context[1] = (dimse_context){ .id = 255, .abstract_syntax = "1.2.840.10008.5.1.4.1.1.2", .proposed_count = 1, .role_proposed = true, .proposed_scu = false, .proposed_scp = true, .extended = { 2, 1, 3 }, .extended_length = 3 };
    n.context[1].proposed = n.context[0].proposed;
    static const uint8_t user[] = "someone", pass[] = "secret";
    n.identity = (dimse_user_identity){ .type = 2, .response_requested = true, .primary = user, .secondary = pass, .primary_length = 7, .secondary_length = 6 };
    return n;
}

TEST(a_request_survives_encoding_and_decoding) {
    gn_arena *arena = gn_arena_new(1 << 20);
    dimse_negotiation n = sample(arena), *r = gn_arena_zalloc(arena, 1, sizeof *r);
    gn_buf b = GN_BUF_INIT;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(dimse_associate_encode(true, &n, &b, &e), 0);
    CHECK_INT(b.p[1], 1);                       /* protocol version */
    CHECK_MEM(b.p + 4, "GANTRY          ", 16); /* called, padded */
    CHECK_INT(b.p[68], 0x10);                   /* application context item */
    CHECK_INT(dimse_associate_decode(arena, true, b.p, b.n, r, &e), 0);
    CHECK_STR(r->called, "GANTRY");
    CHECK_STR(r->calling, "MODALITY");
    CHECK_STR(r->application_context, "1.2.840.10008.3.1.1.1");
    CHECK_INT(r->context_count, 2);
    CHECK_INT(r->context[0].proposed_count, 2);
    CHECK_STR(r->context[0].proposed[1], DICOM_TS_IMPLICIT_LE);
    CHECK_INT(r->context[1].id, 255);
    CHECK(r->context[1].role_proposed && r->context[1].proposed_scp && !r->context[1].proposed_scu);
    CHECK(!r->context[0].role_proposed);
    CHECK_INT(r->context[1].extended_length, 3);
    CHECK_INT(r->context[1].extended[2], 3);
    CHECK_INT(r->peer_max_pdu, 16384);
    CHECK_INT(r->invoked, 5);
    CHECK_INT(r->performed, 3);
    CHECK_STR(r->implementation_class, "1.2.3");
    CHECK_STR(r->implementation_version, "TEST");
    CHECK_INT(r->identity.type, 2);
    CHECK_MEM2(r->identity.primary, r->identity.primary_length, "someone", 7);
    CHECK_MEM2(r->identity.secondary, r->identity.secondary_length, "secret", 6);
    gn_buf_done(&b);
    gn_arena_free(&arena);
}

TEST(an_answer_is_read_over_what_was_proposed) {
    gn_arena *arena = gn_arena_new(1 << 20);
    dimse_negotiation n = sample(arena), mine = n;
    n.context[0].result = DIMSE_CONTEXT_ACCEPTED;
    snprintf(n.context[0].transfer_syntax, 65, "%s", DICOM_TS_EXPLICIT_LE);
    n.context[1].result = DIMSE_CONTEXT_ACCEPTED;
    n.context[1].scp_role = true;
    snprintf(n.context[1].transfer_syntax, 65, "%s", DICOM_TS_IMPLICIT_LE);
    gn_buf b = GN_BUF_INIT;
    CHECK_INT(dimse_associate_encode(false, &n, &b, NULL), 0);
    CHECK_INT(dimse_associate_decode(arena, false, b.p, b.n, &mine, NULL), 0);
    CHECK_INT(mine.context_count, 2);
    CHECK_INT(mine.context[0].result, DIMSE_CONTEXT_ACCEPTED);
    CHECK_STR(mine.context[0].transfer_syntax, DICOM_TS_EXPLICIT_LE);
    CHECK(mine.context[1].scp_role && !mine.context[1].scu_role);
    gn_buf_clear(&b);
    n.context[1].result = DIMSE_CONTEXT_TRANSFER_UNSUPPORTED;
    n.context[1].transfer_syntax[0] = '\0';
    CHECK_INT(dimse_associate_encode(false, &n, &b, NULL), 0);
    dimse_negotiation *fresh = gn_arena_zalloc(arena, 1, sizeof *fresh);
    CHECK_INT(dimse_associate_decode(arena, false, b.p, b.n, fresh, NULL), 0);
    CHECK_INT(fresh->context_count, 2);
    CHECK_INT(fresh->context[1].result, DIMSE_CONTEXT_TRANSFER_UNSUPPORTED);
    gn_buf_done(&b);
    gn_arena_free(&arena);
}

TEST(T1_a_request_cut_anywhere_is_an_error_or_a_shorter_request_never_a_crash) {
    gn_arena *arena = gn_arena_new(64 << 20);
    dimse_negotiation n = sample(arena), *r = gn_arena_zalloc(arena, 1, sizeof *r);
    gn_buf b = GN_BUF_INIT;
    CHECK_INT(dimse_associate_encode(true, &n, &b, NULL), 0);
    for (size_t cut = 0; cut < b.n; cut++) {
        memset(r, 0, sizeof *r);
        uint8_t *copy = gn_arena_memdup(arena, b.p, cut ? cut : 1);
        int rc = dimse_associate_decode(arena, true, copy, cut, r, NULL);
        CHECK(rc == GN_E_PROTOCOL || (rc == 0 && cut >= 68));
    }
    for (size_t i = 68; i < b.n; i++)
        for (int bit = 0; bit < 8; bit += 3) {
            memset(r, 0, sizeof *r);
            uint8_t *copy = gn_arena_memdup(arena, b.p, b.n);
            copy[i] ^= (uint8_t)(1 << bit);
            (void)dimse_associate_decode(arena, true, copy, b.n, r, NULL);
            CHECK(r->context_count <= DIMSE_MAX_CONTEXTS);
        }
    gn_buf_done(&b);
    gn_arena_free(&arena);
}

TEST(T1_even_repeated_and_too_many_contexts_are_dropped) {
    gn_arena *arena = gn_arena_new(1 << 20);
    dimse_negotiation n = sample(arena), *r = gn_arena_zalloc(arena, 1, sizeof *r);
    n.context[1] = n.context[0];
    gn_buf b = GN_BUF_INIT;
    CHECK_INT(dimse_associate_encode(true, &n, &b, NULL), 0);
    CHECK_INT(dimse_associate_decode(arena, true, b.p, b.n, r, NULL), 0);
    CHECK_INT(r->context_count, 1);
    n.context[1].id = 4;
    gn_buf_clear(&b);
    memset(r, 0, sizeof *r);
    CHECK_INT(dimse_associate_encode(true, &n, &b, NULL), 0);
    CHECK_INT(dimse_associate_decode(arena, true, b.p, b.n, r, NULL), 0);
    CHECK_INT(r->context_count, 1);
    gn_buf_done(&b);
    gn_arena_free(&arena);
}

TEST(more_transfer_syntaxes_than_the_limit_are_ignored) {
    gn_arena *arena = gn_arena_new(1 << 20);
    dimse_negotiation n = sample(arena), *r = gn_arena_zalloc(arena, 1, sizeof *r);
    n.context_count = 1;
    n.context[0].proposed_count = DIMSE_MAX_TRANSFER_SYNTAXES + 10;
    n.context[0].proposed = gn_arena_zalloc(arena, DIMSE_MAX_TRANSFER_SYNTAXES + 10, 65);
    for (size_t i = 0; i < DIMSE_MAX_TRANSFER_SYNTAXES + 10; i++) snprintf(n.context[0].proposed[i], 65, "1.2.%zu", i);
    gn_buf b = GN_BUF_INIT;
    CHECK_INT(dimse_associate_encode(true, &n, &b, NULL), 0);
    CHECK_INT(dimse_associate_decode(arena, true, b.p, b.n, r, NULL), 0);
    CHECK_INT(r->context[0].proposed_count, DIMSE_MAX_TRANSFER_SYNTAXES);
    CHECK_STR(r->context[0].proposed[63], "1.2.63");
    gn_buf_done(&b);
    gn_arena_free(&arena);
}

TEST(titles_lose_padding_and_control_characters) {
    gn_arena *arena = gn_arena_new(1 << 20);
    dimse_negotiation n = sample(arena), *r = gn_arena_zalloc(arena, 1, sizeof *r);
    gn_buf b = GN_BUF_INIT;
    CHECK_INT(dimse_associate_encode(true, &n, &b, NULL), 0);
    memcpy(b.p + 4, "  A\x1b[31mB\0\0\0\0\0\0", 16);
    CHECK_INT(dimse_associate_decode(arena, true, b.p, b.n, r, NULL), 0);
    CHECK_STR(r->called, "A?[31mB");
    gn_error e = GN_ERROR_INIT;
    b.p[1] = 2; /* a version that this is not */
    CHECK_INT(dimse_associate_decode(arena, true, b.p, b.n, r, &e), GN_E_UNSUPPORTED);
    gn_buf_done(&b);
    gn_arena_free(&arena);
}

TEST(no_memory_for_contexts_is_an_error) {
    gn_arena *big = gn_arena_new(1 << 20), *tiny = gn_arena_new(64);
    dimse_negotiation n = sample(big), *r = gn_arena_zalloc(big, 1, sizeof *r);
    gn_buf b = GN_BUF_INIT;
    CHECK_INT(dimse_associate_encode(true, &n, &b, NULL), 0);
    CHECK_INT(dimse_associate_decode(tiny, true, b.p, b.n, r, NULL), GN_E_NO_MEMORY);
    gn_buf_done(&b);
    b.limit = 32;
    CHECK_INT(dimse_associate_encode(true, &n, &b, NULL), GN_E_NO_MEMORY);
    gn_buf_done(&b);
    gn_arena_free(&tiny);
    gn_arena_free(&big);
}

TEST(reject_pdu_is_these_bytes) {
    uint8_t pdu[10];
    CHECK_INT(dimse_reject_encode(DIMSE_REJECT_CALLED_AE, pdu), 10);
    static const uint8_t want[10] = { 3, 0, 0, 0, 0, 4, 0, 1, 1, 7 };
    CHECK_MEM(pdu, want, 10);
}
