/* Who may do what (T16, T18), and how values reach the rooms below. */
#include "check.h"
#include "wiring.h"

static config *with(const char *text) {
    gn_error e = GN_ERROR_INIT;
    config *c = config_new(&e);
    if (c && (config_load_text(c, text, strlen(text), "f", &e) || config_finish(c, &e))) config_free(&c);
    CHECK_STR(e.message, "");
    return c;
}

static void check_rights(const char *text, uint32_t unknown, gateway_calling_rule rule) {
    config *c = with(text);
    REQUIRE(c);
    wired_gateway w;
    CHECK_INT(wire_gateway(c, &w, NULL), 0);
    CHECK_INT(w.config.unknown_permissions, unknown);
    CHECK_INT(w.config.calling, rule);
    CHECK_INT(w.config.nobody_unknown, unknown == 0);
    wire_gateway_done(&w);
    config_free(&c);
}

#define PEER "\"DicomModalities\": { \"a\": [ \"A\", \"10.0.0.1\", 104 ] }"

TEST(rights_of_strangers) {
    check_rights("{}", GATEWAY_MAY_ALL, GATEWAY_CALLING_ANY);
    check_rights("{ " PEER " }", GATEWAY_MAY_ALL, GATEWAY_CALLING_ANY);
    check_rights("{ \"DicomAlwaysAllowStore\": false }", GATEWAY_MAY_ALL & ~(GATEWAY_MAY_STORE | GATEWAY_MAY_COMMIT),
                 GATEWAY_CALLING_ANY);
    check_rights("{ \"RemoteAccessAllowed\": true }", GATEWAY_MAY_ECHO, GATEWAY_CALLING_ANY);
    check_rights("{ \"DicomAddress\": \"10.1.2.3\" }", GATEWAY_MAY_ECHO, GATEWAY_CALLING_ANY);
    check_rights("{ \"RemoteAccessAllowed\": true, " PEER " }", GATEWAY_MAY_ECHO, GATEWAY_CALLING_KNOWN);
    check_rights("{ \"RemoteAccessAllowed\": true, \"DicomAlwaysAllowEcho\": true, " PEER " }", GATEWAY_MAY_ECHO,
                 GATEWAY_CALLING_ANY);
    check_rights("{ \"RemoteAccessAllowed\": true, \"DicomAlwaysAllowFind\": true, " PEER " }",
                 GATEWAY_MAY_ECHO | GATEWAY_MAY_FIND, GATEWAY_CALLING_ANY);
    check_rights("{ \"RemoteAccessAllowed\": true, \"DicomAlwaysAllowEcho\": false }", 0, GATEWAY_CALLING_ANY);
}

TEST(loopback_addresses) {
    CHECK(config_address_is_loopback("127.0.0.1") && config_address_is_loopback("127.1.2.3") &&
          config_address_is_loopback("::1") && config_address_is_loopback("localhost"));
    CHECK(!config_address_is_loopback("0.0.0.0") && !config_address_is_loopback("::") &&
          !config_address_is_loopback("10.0.0.1") && !config_address_is_loopback("localhost.example"));
}

TEST(values_reach_the_gateway) {
    config *c = with("{ \"DicomAet\": \"X\", \"DicomPort\": 7, \"MaximumAssociations\": 9, \"DicomScpTimeout\": 0, "
                     "\"ArtimTimeout\": 5, \"UnknownSopClassAccepted\": false, "
                     "\"DicomExtraAets\": [\"Y\"], \"DicomCheckModalityHost\": false, " PEER " }");
    REQUIRE(c);
    wired_gateway w;
    CHECK_INT(wire_gateway(c, &w, NULL), 0);
    CHECK_STR(w.config.aet, "X");
    CHECK_INT(w.config.port, 7);
    CHECK_INT(w.config.limits.associations, 9);
    CHECK_INT(w.config.timeouts.idle_ms, 86400000);
    CHECK_INT(w.config.timeouts.artim_ms, 5000);
    CHECK(w.config.refuse_unknown_sop_classes);
    CHECK_INT(w.config.extra_aet_count, 1);
    REQUIRE(w.config.peer_count == 1);
    CHECK(w.config.peers[0].any_address);
    CHECK_STR(w.config.peers[0].host, "10.0.0.1");
    wire_gateway_done(&w);
    config_free(&c);
}

TEST(transfer_syntaxes_by_pattern) {
    config *c = with("{ \"AcceptedTransferSyntaxes\": [ \"1.2.840.10008.1.2.1\", \"1.2.840.10008.1.2\", "
                     "\"1.2.840.10008.1.2.4.9?\", \"1.2.3.4\", \"1.2.840.10008.1.2.1\" ] }");
    REQUIRE(c);
    wired_gateway w;
    CHECK_INT(wire_gateway(c, &w, NULL), 0);
    CHECK(w.config.transfer_syntax_count >= 5);
    CHECK_STR(w.config.transfer_syntaxes[0], "1.2.840.10008.1.2.1");
    CHECK_STR(w.config.transfer_syntaxes[1], "1.2.840.10008.1.2");
    CHECK_STR(w.config.transfer_syntaxes[w.config.transfer_syntax_count - 1], "1.2.3.4");
    wire_gateway_done(&w);
    config_free(&c);
    c = with("{ \"AcceptedTransferSyntaxes\": [ \"9.9.*\" ] }");
    REQUIRE(c);
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(wire_gateway(c, &w, &e), GN_E_CONFIG);
    config_free(&c);
}

TEST(values_reach_the_archive) {
    config *c = with("{ \"StorageDirectory\": \"/x\", \"Duplicates\": \"reject\", \"Quarantine\": false, "
                     "\"PackLimit\": \"64K\", \"ReadOnly\": true, \"RefuseInvalid\": true, \"ReserveSpace\": \"1M\" }");
    REQUIRE(c);
    archive_config a;
    wire_archive(c, &a);
    CHECK_STR(a.directory, "/x");
    CHECK_INT(a.duplicates, ARCHIVE_REJECT);
    CHECK(a.without_quarantine && a.read_only && a.refuse_invalid);
    CHECK_INT(a.pack_limit, 65536);
    CHECK_INT(a.reserve_bytes, 1048576);
    CHECK(!a.must_exist);
    config_free(&c);
}

TEST(T32_that_the_archive_must_exist_reaches_it) {
    config *c = with("{ \"StorageDirectory\": \"/x\", \"StorageMustExist\": true }");
    REQUIRE(c);
    archive_config a;
    wire_archive(c, &a);
    CHECK(a.must_exist);
    config_free(&c);
}
