/* The configuration file: comments, places of errors, peers in both forms, the example of the specification, files of an Orthanc. */
#include "check.h"
#include "config.h"

#include "gateway/gateway.h"

#include <stdlib.h>

static gn_error e;

/* Loads text as "dir/f.json"; the configuration or NULL, with the error in `e`. */
static config *load(const char *text) {
    gn_error_clear(&e);
    config *c = config_new(&e);
    if (c && config_load_text(c, text, strlen(text), "dir/f.json", &e)) config_free(&c);
    return c;
}

#define FAILS(text, place, part)                                  \
    do {                                                          \
        config *failed = load(text);                              \
        CHECK(!failed);                                           \
        CHECK_INT(e.code, GN_E_CONFIG);                           \
        CHECK_STR(e.where, place);                                \
        if (!strstr(e.message, part)) CHECK_STR(e.message, part); \
        config_free(&failed);                                     \
    } while (0)

TEST(comments_and_trailing_commas) {
    config *c = load("\xEF\xBB\xBF// first\n{ /* a\n b */ \"Name\": \"a // b /* c */ , }\", // end\n \"DicomPort\" : "
                     "104 , /* , */ \n }\n// last");
    REQUIRE(c);
    CHECK_STR(config_text(c, CONFIG_Name), "a // b /* c */ , }");
    CHECK_INT(config_int(c, CONFIG_DicomPort), 104);
    config_free(&c);
    c = load("{ \"DicomExtraAets\": [ \"A\", \"B\\\"C\", ], }");
    REQUIRE(c);
    size_t n;
    CHECK_STR(config_list(c, CONFIG_DicomExtraAets, &n)[1], "B\"C");
    config_free(&c);
}

TEST(errors_of_syntax_have_line_column_and_advice) {
    FAILS("{ \"DicomPort\": 4242\n  \"DicomAet\": \"X\" }", "dir/f.json:2:12", "missing comma");
    FAILS("{ \"DicomPort\": 4242,\n\n  /* no end", "dir/f.json:3", "close it with */");
    FAILS("{ \"Name\": \"no end }", "dir/f.json:1", "close it with \"");
    FAILS("{ \"DicomPort\": 1, \"DicomPort\": 2 }", "dir/f.json:1:29", "only once");
    FAILS("{ \"StorageDirectory\": \"C:\\data\" }", "dir/f.json:1:27", "backslash");
    FAILS("{ \"Name\": \"\xFF\" }", "dir/f.json:1:11", "UTF-8");
    FAILS("[ 1 ]", "dir/f.json:1", "one object");
    FAILS("", "dir/f.json:1:0", "missing");
    FAILS(",,", "dir/f.json:1:1", "missing");
}

TEST(errors_of_values_have_the_line_of_the_key) {
    FAILS("{\n \"DicomPort\": \"4242\" }", "dir/f.json:2",
          "\"DicomPort\" is a text, but must be a whole number from 0 to 65535");
    FAILS("{\n\n \"DicomPort\": 70000 }", "dir/f.json:3", "must be a whole number from 0 to 65535");
    FAILS("{ \"RemoteAccessAllowed\": 1 }", "dir/f.json:1", "must be true or false");
    FAILS("{ \"DicomAet\": \"\" }", "dir/f.json:1", "AE title");
    FAILS("{ \"Duplicates\": \"maybe\" }", "dir/f.json:1", "keep|replace|reject");
    FAILS("{ \"PackLimit\": \"big\" }", "dir/f.json:1", "a size from 4K to 64M");
    FAILS("{ \"PostgreSQL\": {\n \"Port\": true } }", "dir/f.json:2", "PostgreSQL.Port");
    FAILS("{ \"PostgreSQL\": 3 }", "dir/f.json:1", "must be an object");
    FAILS("{ \"DicomExtraAets\": [ 1 ] }", "dir/f.json:1", "list of texts");
    FAILS("{ \"Name\": null }", "dir/f.json:1", "is null");
    FAILS("{ \"Name\": \"a\\u0007b\" }", "dir/f.json:1", "must be");
}

TEST(wrong_types_for_every_key) {
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const config_key *k = &config_keys[i];
        const char *dot = strchr(k->name, '.'),
                   *wrong = k->type == CONFIG_LIST || k->type == CONFIG_PEERS || k->type == CONFIG_OBJECT ? "7" : "[]";
        char text[300];
        if (dot)
            snprintf(text, sizeof text, "{\n\"%.*s\": {\n\"%s\": %s } }", (int)(dot - k->name), k->name, dot + 1,
                     wrong);
        else snprintf(text, sizeof text, "{\n\n\"%s\": %s }", k->name, wrong);
        config *c = load(text);
        CHECK(!c);
        CHECK_STR(e.where, "dir/f.json:3");
        CHECK(strstr(e.message, k->name) != NULL);
        config_free(&c);
    }
}

TEST(unknown_keys_are_notes) {
    config *c = load("{\n \"DicomProt\": 1,\n \"LuaScripts\": [],\n \"Zzz\": {}, \"PostgreSQL\": { \"Hots\": 1 } }");
    REQUIRE(c);
    size_t n;
    const config_note *note = config_notes(c, &n);
    REQUIRE(n == 4);
    CHECK_INT(note[0].line, 2);
    CHECK_STR(note[0].text, "unknown key, ignored; did you mean \"DicomPort\"?");
    CHECK_INT(note[0].level, GN_LOG_WARN);
    CHECK_INT(note[1].level, GN_LOG_INFO);
    CHECK(strstr(note[1].text, "not used") != NULL);
    CHECK_STR(note[2].text, "unknown key, ignored");
    CHECK(strstr(note[3].text, "PostgreSQL.Host") != NULL);
    config_free(&c);
}

TEST(peers_in_both_forms) {
    config *c =
        load("{ \"DicomModalities\": { \"a\": [ \"A\", \"10.0.0.1\", 104 ], \"q\": [ \"Q\", \"h\", 1, \"Generic\" ],\n"
             " \"b\": { \"AET\": \"B B\", \"Host\": \"b.example\", \"Port\": 11112, \"AllowStore\": false, "
             "\"AllowStorageCommitment\": false, \"Manufacturer\": \"x\" } } }");
    REQUIRE(c);
    size_t n;
    const peer *p = config_peers(c, &n);
    REQUIRE(n == 3);
    CHECK_STR(p[0].name, "a");
    CHECK_INT(p[0].port, 104);
    CHECK_INT(p[0].permissions, GATEWAY_MAY_ALL);
    CHECK_STR(p[2].aet, "B B");
    CHECK_INT(p[2].permissions, GATEWAY_MAY_ALL & ~(GATEWAY_MAY_STORE | GATEWAY_MAY_COMMIT));
    config_free(&c);
}

TEST(wrong_peers_are_named) {
    FAILS("{ \"DicomModalities\": {\n \"a\": [ \"A\", \"h\" ] } }", "dir/f.json:2", "peer \"a\"");
    FAILS("{ \"DicomModalities\": {\n \"a\": [ \"\", \"h\", 1 ] } }", "dir/f.json:2", "AE title");
    FAILS("{ \"DicomModalities\": { \"a\": [ \"A\", \"\", 1 ] } }", "dir/f.json:1", "host");
    FAILS("{ \"DicomModalities\": { \"a\": [ \"A\", \"h\", 0 ] } }", "dir/f.json:1", "1 to 65535");
    FAILS("{ \"DicomModalities\": { \"a\": [ \"A\", \"h\", \"104\" ] } }", "dir/f.json:1", "1 to 65535");
    FAILS("{ \"DicomModalities\": { \"a b\": [ \"A\", \"h\", 1 ] } }", "dir/f.json:1", "name");
    FAILS("{ \"DicomModalities\": { \"a\": \"A@h:1\" } }", "dir/f.json:1", "must be [");
    FAILS("{ \"DicomModalities\": { \"a\": { \"AET\": \"A\", \"Host\": \"h\", \"Port\": 1, \"AllowFind\": 1 } } }",
          "dir/f.json:1", "true or false");
    FAILS("{ \"DicomModalities\": { \"a\": { \"AET\": \"A\", \"Host\": \"h\", \"Port\": 1, \"UseDicomTls\": true } } }",
          "dir/f.json:1", "TLS");
}

TEST(paths_are_relative_to_the_file) {
    config *c = load("{ \"StorageDirectory\": \"images\" }");
    REQUIRE(c);
    CHECK_STR(config_text(c, CONFIG_StorageDirectory), "dir/images");
    config_free(&c);
    c = load("{ \"StorageDirectory\": \"/images\" }");
    REQUIRE(c);
    CHECK_STR(config_text(c, CONFIG_StorageDirectory), "/images");
    config_free(&c);
}

/* The example of the specification, §8.1, as it stands. */
static const char example[] =
    "{\n  \"Name\": \"UnifiedHealth PACS\",\n  \"DicomAet\": \"UNIFIEDHEALTH\",\n  \"DicomPort\": 4242,\n  "
    "\"HttpPort\": 8042,\n"
    "  \"RemoteAccessAllowed\": true,\n  \"AuthenticationEnabled\": true,\n  \"SslEnabled\": true,\n  "
    "\"StorageDirectory\": \"/var/lib/orthanc/db\",\n"
    "  \"PostgreSQL\": {\n    \"EnableIndex\": true,\n    \"EnableStorage\": false,\n    \"Host\": "
    "\"postgres.internal\",\n    \"Database\": \"orthanc\"\n  },\n"
    "  \"AwsS3Storage\": {\n    \"BucketName\": \"unifiedhealth-dicom\",\n    \"Region\": \"us-east-1\"\n  }\n}\n";

TEST(the_example_of_the_specification_starts) {
    config *c = load(example);
    REQUIRE(c);
    CHECK_INT(config_finish(c, &e), 0);
    CHECK_STR(config_text(c, CONFIG_Name), "UnifiedHealth PACS");
    CHECK_STR(config_text(c, CONFIG_DicomAet), "UNIFIEDHEALTH");
    CHECK_STR(config_text(c, CONFIG_StorageDirectory), "/var/lib/orthanc/db");
    CHECK_STR(config_dicom_address(c), "0.0.0.0");
    CHECK_STR(config_text(c, CONFIG_AwsS3Storage_BucketName), "unifiedhealth-dicom");
    static const char *const noted[] = {
        "PostgreSQL.EnableIndex", "AwsS3Storage.BucketName", "SslEnabled",
        "DicomModalities"
    };
    size_t n;
    const config_note *note = config_notes(c, &n);
    CHECK_INT(n, GN_ARRAY_LEN(noted)); /* each part that is missing is named once */
    for (size_t i = 0; i < n && i < GN_ARRAY_LEN(noted); i++) CHECK_STR(note[i].key, noted[i]);
    config_free(&c);
}

TEST(no_note_for_what_is_switched_off) {
    config *c = load("{ \"SslEnabled\": false, \"StorageCompression\": false, \"ConcurrentJobs\": 2, \"PostgreSQL\": { "
                     "\"EnableIndex\": false } }");
    REQUIRE(c);
    CHECK_INT(config_finish(c, &e), 0);
    size_t n;
    (void)config_notes(c, &n);
    CHECK_INT(n, 0);
    config_free(&c);
}

TEST(rights_for_everybody_are_warned_about) {
    config *c = load("{ \"RemoteAccessAllowed\": true, \"DicomAlwaysAllowStore\": true, \"DicomCheckModalityHost\": "
                     "false, \"DicomModalities\": { \"a\": [ \"A\", \"h\", 1 ] } }");
    REQUIRE(c);
    CHECK_INT(config_finish(c, &e), 0);
    size_t n;
    const config_note *note = config_notes(c, &n);
    REQUIRE(n == 2);
    CHECK_STR(note[0].key, "DicomAlwaysAllowStore");
    CHECK_STR(note[1].key, "DicomCheckModalityHost");
    config_free(&c);
}

TEST(lines_of_keys) {
    static const char text[] = "{\n\"a\": {\n \"b\": \"x\",\n \"c\\\"\": [ { \"b\": 1 } ]\n},\n\"b\": \"a\",\n \"d\": "
                               "{ \"a\":\n { \"b\": 2 } } }";
    size_t n = sizeof text - 1;
    CHECK_INT(config_json_line(text, n, "a"), 2);
    CHECK_INT(config_json_line(text, n, "a.b"), 3);
    CHECK_INT(config_json_line(text, n, "b"), 6);
    CHECK_INT(config_json_line(text, n, "d.a.b"), 8);
    CHECK_INT(config_json_line(text, n, "nothing"), 0);
    CHECK_INT(config_json_line("[[[[[[[[[[[[{\"a\":1}]]]", 22, "a"), 0);
    CHECK_INT(config_json_line("\"unclosed", 9, "a"), 0);
    CHECK_INT(config_json_line("}}}{\"a\":", 8, "a"), 1);
}

TEST(files_that_cannot_be_read) {
    gn_error_clear(&e);
    config *c = config_new(&e);
    REQUIRE(c);
    CHECK(config_load_file(c, "/nonexistent/gantry.json", &e) < 0);
    CHECK_STR(e.where, "/nonexistent/gantry.json");
    gn_error_clear(&e);
    CHECK(config_load_file(c, "/", &e) < 0);
    config_free(&c);
}

TEST(every_prefix_of_a_file_is_harmless) {
    for (size_t n = 0; n < sizeof example; n++) {
        gn_error_clear(&e);
        char *exact = malloc(n + 1); /* so that a read past the end is seen */
        config *c = config_new(&e);
        REQUIRE(exact && c);
        memcpy(exact, example, n);
        (void)config_load_text(c, exact, n, "f", &e);
        config_free(&c);
        free(exact);
    }
}
