/* Arenas: alignment, the budget to the byte, large requests, reset, failing allocations. */
#include "base/base.h"
#include "check.h"

TEST(memory_is_aligned_and_apart) {
    gn_arena *a = gn_arena_new(1 << 20);
    REQUIRE(a);
    uint8_t *last = NULL;
    for (size_t i = 1; i < 600; i++) {
        uint8_t *p = gn_arena_alloc(a, i);
        REQUIRE(p);
        CHECK_INT((uintptr_t)p % 16, 0);
        memset(p, (int)(i & 0xFF), i);
        if (last) CHECK_INT(last[i - 2], (i - 1) & 0xFF);
        last = p;
    }
    gn_arena_free(&a);
    CHECK(a == NULL);
    gn_arena_free(&a);
    gn_arena_free(NULL);
}

TEST(the_budget_is_exact) {
    gn_arena *a = gn_arena_new(100);
    REQUIRE(a);
    CHECK(gn_arena_alloc(a, 96) != NULL);
    CHECK_INT(gn_arena_used(a), 96);
    CHECK(gn_arena_alloc(a, 1) == NULL); /* rounded to 16, 4 are left */
    CHECK_INT(gn_arena_used(a), 96);
    gn_arena_free(&a);

    a = gn_arena_new(0);
    REQUIRE(a);
    CHECK(gn_arena_alloc(a, 0) == NULL);
    CHECK(gn_arena_alloc(a, 1) == NULL);
    gn_arena_free(&a);
}

TEST(the_budget_bounds_many_small_requests) {
    const size_t budget = 300000;
    gn_arena *a = gn_arena_new(budget);
    REQUIRE(a);
    size_t n = 0;
    while (gn_arena_alloc(a, 48)) n++;
    CHECK_INT(n, budget / 48);
    CHECK_INT(gn_arena_used(a), n * 48);
    gn_arena_free(&a);
}

TEST(huge_requests_fail_without_wrapping) {
    gn_arena *a = gn_arena_new(SIZE_MAX);
    REQUIRE(a);
    CHECK(gn_arena_alloc(a, SIZE_MAX) == NULL);
    CHECK(gn_arena_alloc(a, SIZE_MAX - 15) == NULL);
    CHECK(gn_arena_zalloc(a, SIZE_MAX / 2, 3) == NULL);
    CHECK(gn_arena_strndup(a, "x", SIZE_MAX) == NULL);
    CHECK_INT(gn_arena_used(a), 0);
    gn_arena_free(&a);
}

TEST(a_large_request_leaves_the_block_in_use) {
    gn_arena *a = gn_arena_new(1 << 20);
    REQUIRE(a);
    uint8_t *p = gn_arena_alloc(a, 16);
    uint8_t *large = gn_arena_alloc(a, 200000);
    uint8_t *q = gn_arena_alloc(a, 16);
    REQUIRE(p && large && q);
    memset(large, 1, 200000);
    CHECK(q == p + 16);
    gn_arena_free(&a);
}

TEST(reset_gives_everything_back) {
    gn_arena *a = gn_arena_new(100000);
    REQUIRE(a);
    void *first = gn_arena_alloc(a, 10);
    for (int round = 0; round < 3; round++) {
        while (gn_arena_alloc(a, 1000)) continue;
        gn_arena_reset(a);
        CHECK_INT(gn_arena_used(a), 0);
        CHECK(gn_arena_alloc(a, 10) == first);
    }
    gn_arena_free(&a);
}

TEST(zalloc_and_copies) {
    gn_arena *a = gn_arena_new(100000);
    REQUIRE(a);
    memset(gn_arena_alloc(a, 4000), 0xFF, 4000);
    gn_arena_reset(a);
    uint8_t *z = gn_arena_zalloc(a, 40, 100);
    REQUIRE(z);
    for (size_t i = 0; i < 4000; i++) CHECK_INT(z[i], 0);
    CHECK(gn_arena_zalloc(a, 0, 8) != NULL);
    CHECK_STR(gn_arena_strdup(a, "PatientName"), "PatientName");
    CHECK_STR(gn_arena_strndup(a, "PatientName", 7), "Patient");
    CHECK_STR(gn_arena_strndup(a, NULL, 0), "");
    CHECK_MEM(gn_arena_memdup(a, "a\0b", 3), "a\0b", 3);
    CHECK(gn_arena_memdup(a, NULL, 0) != NULL);
    CHECK_STR(gn_arena_printf(a, "%s^%04d", "Doe", 7), "Doe^0007");
    char *wide = gn_arena_printf(a, "%0500d", 1);
    REQUIRE(wide);
    CHECK_INT(strlen(wide), 500);
    gn_arena_free(&a);
}

TEST(copies_respect_the_budget) {
    gn_arena *a = gn_arena_new(32);
    REQUIRE(a);
    CHECK(gn_arena_strdup(a, "0123456789012345678901234567890123") == NULL);
    CHECK(gn_arena_memdup(a, "x", 33) == NULL);
    CHECK(gn_arena_printf(a, "%040d", 1) == NULL);
    CHECK(gn_arena_printf(a, "%0400d", 1) == NULL);
    CHECK(gn_arena_zalloc(a, 33, 1) == NULL);
    CHECK_STR(gn_arena_strdup(a, "fits"), "fits");
    gn_arena_free(&a);
}

TEST(failing_allocations_give_null) {
    check_fail_alloc(1);
    CHECK(gn_arena_new(100) == NULL);
    check_fail_alloc(0);
    gn_arena *a = gn_arena_new(1 << 20);
    REQUIRE(a);
    check_fail_alloc(1);
    CHECK(gn_arena_alloc(a, 100) != NULL); /* in the first block */
    CHECK(gn_arena_alloc(a, 5000) == NULL);
    CHECK(gn_arena_alloc(a, 100000) == NULL);
    CHECK_INT(gn_arena_used(a), 112);
    check_fail_alloc(0);
    CHECK(gn_arena_alloc(a, 5000) != NULL);
    gn_arena_free(&a);
}
