/* Threads and counters: names, joining, detaching, failures, many threads on one counter. */
#include "base/base.h"
#include "check.h"

#include <pthread.h>
#include <sched.h>

static void add_one(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }

TEST(spawned_threads_are_joined) {
    atomic_int done = 0;
    gn_thread threads[8];
    for (size_t i = 0; i < GN_ARRAY_LEN(threads); i++) {
        gn_error e = GN_ERROR_INIT;
        CHECK_INT(gn_thread_spawn(&threads[i], "worker", i % 2 ? 0 : 1, add_one, &done, &e), GN_OK);
        CHECK(threads[i].running);
    }
    for (size_t i = 0; i < GN_ARRAY_LEN(threads); i++) {
        gn_thread_join(&threads[i]);
        CHECK(!threads[i].running);
        gn_thread_join(&threads[i]); /* harmless */
    }
    CHECK_INT(done, 8);
}

TEST(detached_threads_run) {
    static atomic_int done; /* outlives the test, as a detached thread may */
    CHECK_INT(gn_thread_start("loose", 0, add_one, &done, NULL), GN_OK);
    uint64_t end = gn_mono_ns() + 10000000000u;
    while (!atomic_load(&done) && gn_mono_ns() < end) sched_yield();
    CHECK_INT(done, 1);
}

static void read_name(void *arg) { (void)pthread_getname_np(pthread_self(), arg, 16); }

TEST(names_are_set_and_cut) {
    char name[16] = "";
    gn_thread t = { 0 };
    REQUIRE(gn_thread_spawn(&t, "a-name-that-is-too-long", 0, read_name, name, NULL) == GN_OK);
    gn_thread_join(&t);
    CHECK_STR(name, "a-name-that-is-");
}

static void use_stack(void *arg) {
    volatile uint8_t big[200 * 1024];
    for (size_t i = 0; i < sizeof big; i += 1024) big[i] = 1;
    *(atomic_int *)arg = big[1024];
}

TEST(the_default_stack_is_usable) {
    atomic_int done = 0;
    gn_thread t = { 0 };
    REQUIRE(gn_thread_spawn(&t, "stack", 0, use_stack, &done, NULL) == GN_OK);
    gn_thread_join(&t);
    CHECK_INT(done, 1);
}

TEST(a_thread_that_cannot_start_is_an_error) {
    atomic_int done = 0;
    gn_thread t = { 0 };
    gn_error e = GN_ERROR_INIT;
    CHECK(gn_thread_spawn(&t, "huge", (size_t)1 << 58, add_one, &done, &e) < 0);
    CHECK(e.message[0] != '\0');
    CHECK(!t.running);
    gn_thread_join(&t);
    check_fail_alloc(1);
    gn_error f = GN_ERROR_INIT;
    CHECK_INT(gn_thread_start("none", 0, add_one, &done, &f), GN_E_NO_MEMORY);
    check_fail_alloc(0);
    CHECK_INT(done, 0);
}

static gn_counter one = GN_COUNTER("gantry_test_one_total", "One.");
static gn_counter two = GN_COUNTER("gantry_test_two", "Two.");
static gn_counter three = GN_COUNTER("gantry_test_three", "Three.");

TEST(counters_are_listed_once_in_order) {
    gn_counter_register(&one);
    gn_counter_register(&two);
    gn_counter_register(&one);
    gn_counter_register(&two);
    CHECK(gn_counter_first() == &one);
    CHECK(one.next == &two);
    CHECK(two.next == NULL);
    gn_counter_add(&two, 5);
    gn_counter_add(&two, -7);
    CHECK_INT(two.value, -2);
}

static void count(void *arg) {
    (void)arg;
    gn_counter_register(&three);
    for (int i = 0; i < 10000; i++) gn_counter_add(&three, 1);
}

TEST(counters_are_shared_by_threads) {
    gn_thread threads[4];
    for (size_t i = 0; i < GN_ARRAY_LEN(threads); i++)
        REQUIRE(gn_thread_spawn(&threads[i], "count", 0, count, NULL, NULL) == GN_OK);
    for (size_t i = 0; i < GN_ARRAY_LEN(threads); i++) gn_thread_join(&threads[i]);
    CHECK_INT(three.value, 40000);
    int seen = 0;
    for (gn_counter *c = gn_counter_first(); c; c = c->next) seen += c == &three;
    CHECK_INT(seen, 1);
}
