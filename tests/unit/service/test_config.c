/* The table of keys: it is sound, every key takes what it says and refuses the rest, from a flag and from a variable alike. */
#include "check.h"
#include "config.h"

#include <stdlib.h>

static config *fresh(void) {
    gn_error e = GN_ERROR_INIT;
    config *c = config_new(&e);
    CHECK_STR(e.message, "");
    return c;
}

TEST(names_flags_and_variables_are_unique) {
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const config_key *a = &config_keys[i];
        CHECK(a->name[0] && a->help[0]);
        CHECK(!a->environment || strncmp(a->environment, "GANTRY_", 7) == 0);
        CHECK(a->flag || a->type == CONFIG_SECRET || a->type == CONFIG_OBJECT);
        for (int k = 0; k < i; k++) {
            const config_key *b = &config_keys[k];
            CHECK(strcmp(a->name, b->name) != 0);
            CHECK(!a->flag || !b->flag || strcmp(a->flag, b->flag) != 0);
            CHECK(!a->environment || !b->environment || strcmp(a->environment, b->environment) != 0);
        }
        CHECK_INT(config_by_name(a->name), i);
        bool negated;
        if (a->flag) CHECK_INT(config_by_flag(a->flag, &negated), i);
    }
}

TEST(defaults_are_the_table_s) {
    config *c = fresh();
    REQUIRE(c);
    CHECK_STR(config_text(c, CONFIG_DicomAet), "GANTRY");
    CHECK_INT(config_int(c, CONFIG_DicomPort), 4242);
    CHECK_INT(config_int(c, CONFIG_PackLimit), 1048576);
    CHECK_INT(config_tristate(c, CONFIG_DicomAlwaysAllowStore), -1);
    CHECK(config_bool(c, CONFIG_UnknownSopClassAccepted));
    CHECK_STR(config_dicom_address(c), "127.0.0.1");
    gn_error e = GN_ERROR_INIT;
    size_t notes;
    CHECK_INT(config_finish(c, &e), 0);
    (void)config_notes(c, &notes);
    CHECK_INT(notes, 0);
    config_free(&c);
    CHECK(!c);
}

/* A text that a key of the type must refuse. */
static const char *wrong_text(const config_key *k) {
    switch (k->type) {
    case CONFIG_BOOL:
    case CONFIG_TRISTATE: return "perhaps";
    case CONFIG_INT: return "12 apples";
    case CONFIG_SIZE: return "64Q";
    case CONFIG_AET: return "SEVENTEEN LETTERS";
    case CONFIG_CHOICE: return "neither";
    case CONFIG_PEERS: return "no-at-sign";
    default: return "a\nb";
    }
}

static const char *right_text(const config_key *k) {
    switch (k->type) {
    case CONFIG_BOOL:
    case CONFIG_TRISTATE: return "yes";
    case CONFIG_INT: return NULL;
    case CONFIG_SIZE: return k->standard;
    case CONFIG_AET: return "CT 1";
    case CONFIG_LIST: return "1.2.3";
    case CONFIG_PEERS: return "a=B@h:1";
    case CONFIG_CHOICE: return k->standard;
    default: return "some text";
    }
}

TEST(every_key_takes_a_right_value_and_refuses_a_wrong_one) {
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const config_key *k = &config_keys[i];
        if (k->type == CONFIG_OBJECT) continue;
        config *c = fresh();
        REQUIRE(c);
        gn_error e = GN_ERROR_INIT;
        char number[32];
        const char *right = right_text(k);
        if (!right) snprintf(number, sizeof number, "%lld", (long long)k->high);
        CHECK_INT(config_set(c, (config_id)i, right ? right : number, CONFIG_FROM_FLAG, &e), 0);
        CHECK_INT(config_origin_of(c, (config_id)i), CONFIG_FROM_FLAG);
        CHECK_STR(e.message, "");
        if (k->type != CONFIG_LIST) {
            CHECK_INT(config_set(c, (config_id)i, wrong_text(k), CONFIG_FROM_FLAG, &e), GN_E_CONFIG);
            CHECK(k->type == CONFIG_PEERS ? strstr(e.message, "@") != NULL : strstr(e.message, k->name) != NULL);
        }
        config_free(&c);
    }
}

TEST(numbers_have_bounds) {
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const config_key *k = &config_keys[i];
        if (k->type != CONFIG_INT && k->type != CONFIG_SIZE) continue;
        config *c = fresh();
        REQUIRE(c);
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)k->low);
        CHECK_INT(config_set(c, (config_id)i, text, CONFIG_FROM_FLAG, NULL), 0);
        snprintf(text, sizeof text, "%lld", (long long)k->low - 1);
        CHECK_INT(config_set(c, (config_id)i, text, CONFIG_FROM_FLAG, NULL), GN_E_CONFIG);
        snprintf(text, sizeof text, "%lld", (long long)k->high + 1);
        CHECK_INT(config_set(c, (config_id)i, text, CONFIG_FROM_FLAG, NULL), GN_E_CONFIG);
        CHECK_INT(config_int(c, (config_id)i), k->low); /* a wrong value changes nothing */
        config_free(&c);
    }
}

TEST(sizes_have_units) {
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = { { "65536", 65536 }, { "64K", 65536 },  { "64k", 65536 },     { "64 KiB", 65536 },
                  { "1MB", 1048576 }, { "2m", 2097152 }, { "64MiB", 67108864 } };
    config *c = fresh();
    REQUIRE(c);
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        CHECK_INT(config_set(c, CONFIG_PackLimit, cases[i].text, CONFIG_FROM_FLAG, NULL), 0);
        CHECK_INT(config_int(c, CONFIG_PackLimit), cases[i].value);
    }
    static const char *const bad[] = { "", "M", "-1M", "1.5M", "1MM", "99999999999999999999", "9999999999T", "1 M x" };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++)
        CHECK_INT(config_set(c, CONFIG_PackLimit, bad[i], CONFIG_FROM_FLAG, NULL), GN_E_CONFIG);
    config_free(&c);
}

TEST(flags_may_be_negated) {
    bool negated;
    CHECK_INT(config_by_flag("no-read-only", &negated), CONFIG_ReadOnly);
    CHECK(negated);
    CHECK_INT(config_by_flag("no-dicom-port", &negated), CONFIG_COUNT);
    CHECK_INT(config_by_flag("nonsense", &negated), CONFIG_COUNT);
    CHECK(!negated);
}

static char *stand_in(const char *name) {
    static char port[] = "11112", peers[] = "ct=CT1@10.0.0.1:104 mr=MR1@[::1]:105", bad[] = "x";
    if (strcmp(name, "GANTRY_DICOM_PORT") == 0) return port;
    if (strcmp(name, "GANTRY_PEERS") == 0) return peers;
    if (strcmp(name, "GANTRY_READ_ONLY") == 0) return getenv("CHECK_BAD_VARIABLE") ? bad : NULL;
    return NULL;
}

TEST(environment_wins_over_file_and_loses_to_flags) {
    static const char file[] =
        "{ \"DicomPort\": 104, \"DicomAet\": \"FILE\", \"DicomModalities\": { \"ct\": [ \"OLD\", \"h\", 1 ] } }";
    config *c = fresh();
    REQUIRE(c);
    CHECK_INT(config_load_text(c, file, sizeof file - 1, "f.json", NULL), 0);
    CHECK_INT(config_load_environment(c, stand_in, NULL), 0);
    CHECK_INT(config_int(c, CONFIG_DicomPort), 11112);
    CHECK_INT(config_origin_of(c, CONFIG_DicomPort), CONFIG_FROM_ENVIRONMENT);
    CHECK_INT(config_set(c, CONFIG_DicomPort, "4000", CONFIG_FROM_FLAG, NULL), 0);
    CHECK_INT(config_int(c, CONFIG_DicomPort), 4000);
    CHECK_STR(config_text(c, CONFIG_DicomAet), "FILE");
    size_t count;
    const peer *p = config_peers(c, &count);
    CHECK_INT(count, 2); /* one of the same name is replaced */
    REQUIRE(count == 2);
    CHECK_STR(p[0].aet, "CT1");
    CHECK_STR(p[1].host, "::1");
    CHECK(config_peer(c, "MR1") == &p[1]);
    CHECK(config_peer(c, "nobody") == NULL);
    config_free(&c);
}

TEST(a_wrong_variable_is_named) {
    gn_error e = GN_ERROR_INIT;
    config *c = fresh();
    REQUIRE(c);
    (void)setenv("CHECK_BAD_VARIABLE", "1", 1);
    CHECK_INT(config_load_environment(c, stand_in, &e), GN_E_CONFIG);
    (void)unsetenv("CHECK_BAD_VARIABLE");
    CHECK_STR(e.where, "environment variable GANTRY_READ_ONLY");
    config_free(&c);
}

TEST(overwrite_means_replace_unless_duplicates_is_set) {
    config *c = fresh();
    REQUIRE(c);
    (void)config_set(c, CONFIG_OverwriteInstances, "true", CONFIG_FROM_FILE, NULL);
    CHECK_INT(config_finish(c, NULL), 0);
    CHECK_STR(config_text(c, CONFIG_Duplicates), "replace");
    config_free(&c);
    c = fresh();
    REQUIRE(c);
    (void)config_set(c, CONFIG_OverwriteInstances, "true", CONFIG_FROM_FILE, NULL);
    (void)config_set(c, CONFIG_Duplicates, "reject", CONFIG_FROM_FILE, NULL);
    CHECK_INT(config_finish(c, NULL), 0);
    CHECK_STR(config_text(c, CONFIG_Duplicates), "reject");
    config_free(&c);
}

TEST(what_would_be_unsafe_refuses_to_start) {
    gn_error e = GN_ERROR_INIT;
    config *c = fresh();
    REQUIRE(c);
    (void)config_set(c, CONFIG_DicomTlsEnabled, "true", CONFIG_FROM_FILE, NULL);
    CHECK_INT(config_finish(c, &e), GN_E_CONFIG);
    CHECK(strstr(e.message, "TLS") != NULL);
    config_free(&c);
    c = fresh();
    REQUIRE(c);
    (void)config_set(c, CONFIG_DicomAddress, "0.0.0.0", CONFIG_FROM_FILE, NULL);
    (void)config_set(c, CONFIG_RemoteAccessAllowed, "false", CONFIG_FROM_FILE, NULL);
    CHECK_INT(config_finish(c, NULL), GN_E_CONFIG);
    config_free(&c);
}

TEST(the_nearest_key_is_suggested) {
    CHECK_STR(config_nearest("DicomProt"), "DicomPort");
    CHECK_STR(config_nearest("dicomaet"), "DicomAet");
    CHECK_STR(config_nearest("StorageDirectry"), "StorageDirectory");
    CHECK(config_nearest("Zzzzzz") == NULL);
    CHECK(config_orthanc_reason("LuaScripts") != NULL);
    CHECK(config_orthanc_reason("DicomPort") == NULL);
}

TEST(no_key_is_also_in_the_list_of_unused_ones) {
    for (int i = 0; i < CONFIG_COUNT; i++) CHECK(config_orthanc_reason(config_keys[i].name) == NULL);
}

TEST(the_documentation_is_up_to_date) {
    gn_buf now = GN_BUF_INIT, then = GN_BUF_INIT;
    config_print_markdown(&now);
    CHECK_INT(gn_file_load(TEST_ROOT "/docs/configuration.md", 1 << 20, &then, NULL), 0);
    CHECK(now.n == then.n &&
          memcmp(now.p, then.p, now.n) == 0); /* else: build/gantry config --markdown > docs/configuration.md */
    gn_buf_done(&now);
    gn_buf_done(&then);
}

TEST(what_is_printed_can_be_read_again) {
    gn_buf out = GN_BUF_INIT, again = GN_BUF_INIT;
    config *c = fresh(), *d = fresh();
    REQUIRE(c && d);
    (void)config_set(c, CONFIG_DicomModalities, "a=B@h:1", CONFIG_FROM_FLAG, NULL);
    (void)config_set(c, CONFIG_PostgreSQL_Password, "secret", CONFIG_FROM_ENVIRONMENT, NULL);
    (void)config_set(c, CONFIG_DicomExtraAets, "X,Y", CONFIG_FROM_FLAG, NULL);
    config_print_json(c, &out);
    CHECK(strstr((const char *)out.p, "secret") == NULL);
    CHECK_INT(config_load_text(d, (const char *)out.p, out.n, "printed", NULL), 0);
    size_t notes, peers, extras;
    (void)config_notes(d, &notes);
    CHECK_INT(notes, 0);
    (void)config_peers(d, &peers);
    CHECK_INT(peers, 1);
    CHECK_STR(config_list(d, CONFIG_DicomExtraAets, &extras)[1], "Y");
    gn_buf_done(&out);
    gn_buf_done(&again);
    config_free(&c);
    config_free(&d);
}

TEST(running_out_of_memory_is_an_error) {
    for (unsigned n = 1; n < 200; n++) {
        gn_error e = GN_ERROR_INIT;
        check_fail_alloc(n);
        config *c = config_new(&e);
        if (c) (void)config_set(c, CONFIG_DicomModalities, "a=B@h:1,c=D@h:2", CONFIG_FROM_FLAG, &e);
        unsigned failed = check_failed_allocs();
        check_fail_alloc(0);
        config_free(&c);
        if (!failed) break;
    }
}
