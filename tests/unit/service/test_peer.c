/* Peers as people write them. */
#include "check.h"
#include "gateway/gateway.h"
#include "peer.h"

static void good(const char *text, const char *name, const char *aet, const char *host, unsigned port) {
    peer p;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(peer_parse(text, &p, &e), 0);
    CHECK_STR(e.message, "");
    if (e.code) return;
    CHECK_STR(p.name, name);
    CHECK_STR(p.aet, aet);
    CHECK_STR(p.host, host);
    CHECK_INT(p.port, port);
    CHECK_INT(p.permissions, GATEWAY_MAY_ALL);
}

static void bad(const char *text, const char *why) {
    peer p = { .name = "untouched" };
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(peer_parse(text, &p, &e), GN_E_INVALID);
    CHECK_STR(p.name, "untouched");
    if (!strstr(e.message, why)) CHECK_STR(e.message, why);
    CHECK(peer_parse(text, &p, NULL) < 0);
}

TEST(forms_that_are_taken) {
    good("sink=SINK@127.0.0.1:23053", "sink", "SINK", "127.0.0.1", 23053);
    good("SINK@host.example:1", "SINK", "SINK", "host.example", 1);
    good("v6=A@[::1]:65535", "v6", "A", "::1", 65535);
    good("CT 1@h:104", "CT 1", "CT 1", "h", 104);
    good("n=A@B@h:104", "n", "A@B", "h", 104);
    good("n=SIXTEEN LETTERS!@h:104", "n", "SIXTEEN LETTERS!", "h", 104);
}

TEST(forms_that_are_refused) {
    bad("", "@");
    bad("host:104", "@");
    bad("A@host", "port");
    bad("A@host:", "1 to 65535");
    bad("A@host:0", "1 to 65535");
    bad("A@host:65536", "1 to 65535");
    bad("A@host:1x", "1 to 65535");
    bad("A@host:000001", "1 to 65535");
    bad("A@:104", "host");
    bad("A@::1:104", "IPv6");
    bad("A@[::1:104", "IPv6");
    bad("A@[::1]x:104", "IPv6");
    bad("@h:104", "AE title");
    bad("n=@h:104", "AE title");
    bad("   @h:104", "AE title");
    bad("A\\B@h:104", "AE title");
    bad("SEVENTEEN LETTERS@h:104", "16");
    bad("=A@h:104", "name");
    bad("a b=A@h:104", "name");
    bad("a,b=A@h:104", "name");
}

TEST(long_parts_are_refused) {
    char text[600];
    snprintf(text, sizeof text, "A@%0300d:104", 1);
    bad(text, "255");
    snprintf(text, sizeof text, "%064d=A@h:104", 1);
    bad(text, "63");
}

TEST(ae_titles) {
    CHECK(peer_aet_valid("A") && peer_aet_valid("A B") && peer_aet_valid("0123456789ABCDEF"));
    CHECK(!peer_aet_valid("") && !peer_aet_valid(" ") && !peer_aet_valid("0123456789ABCDEFG") &&
          !peer_aet_valid("a\\b") && !peer_aet_valid("\xC3\xA4") && !peer_aet_valid("a\n"));
}
