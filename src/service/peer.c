/* peer: reads a DICOM node from the form in which people write it on a command line: [NAME=]AET@HOST:PORT.
 *
 * An error says which of the parts is wrong and what it should look like, because the same text is typed in many places. */
#include "peer.h"

#include "gateway/gateway.h"

#define FORM "a peer is written NAME=AET@HOST:PORT or AET@HOST:PORT"

bool peer_aet_valid(const char *aet) {
    size_t n = strlen(aet), letters = 0;
    if (n == 0 || n > 16) return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)aet[i];
        if (c < 0x20 || c > 0x7E || c == '\\') return false;
        if (c != ' ') letters++;
    }
    return letters > 0;
}

int peer_check_name(const char *name, gn_error *e) {
    size_t n = strlen(name);
    if (n == 0 || n > 63) return gn_fail(e, GN_E_INVALID, "a peer's name has 1 to 63 characters");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c <= ' ' || c == 0x7F || c == '@' || c == '=' || c == ',')
            return gn_fail(e, GN_E_INVALID, "a peer's name has no spaces and none of @ = ,");
    }
    return 0;
}

static int parse_port(const char *text, uint16_t *port, gn_error *e) {
    uint32_t v = 0;
    size_t n = strlen(text);
    for (size_t i = 0; i < n && n <= 5; i++) {
        if (text[i] < '0' || text[i] > '9') n = 6;
        else v = v * 10 + (uint32_t)(text[i] - '0');
    }
    if (n == 0 || n > 5 || v == 0 || v > 65535)
        return gn_fail(e, GN_E_INVALID, "the port is a number from 1 to 65535; " FORM);
    *port = (uint16_t)v;
    return 0;
}

static int parse_address(const char *text, peer *p, gn_error *e) {
    const char *colon = strrchr(text, ':'), *end = colon;
    if (!colon) return gn_fail(e, GN_E_INVALID, "the port is missing; " FORM);
    if (text[0] == '[') {
        text++;
        end = strchr(text, ']');
        if (!end || end + 1 != colon)
            return gn_fail(e, GN_E_INVALID, "an IPv6 address is written [ADDRESS]:PORT; " FORM);
    } else if (memchr(text, ':', (size_t)(colon - text))) {
        return gn_fail(e, GN_E_INVALID, "an IPv6 address is written [ADDRESS]:PORT; " FORM);
    }
    size_t n = (size_t)(end - text);
    if (n == 0) return gn_fail(e, GN_E_INVALID, "the host is missing; " FORM);
    if (n >= sizeof p->host) return gn_fail(e, GN_E_INVALID, "the host is longer than 255 characters");
    memcpy(p->host, text, n);
    p->host[n] = '\0';
    return parse_port(colon + 1, &p->port, e);
}

int peer_parse(const char *text, peer *out, gn_error *e) {
    peer p = { .permissions = GATEWAY_MAY_ALL };
    const char *at = strrchr(text, '@');
    if (!at) return gn_fail(e, GN_E_INVALID, "there is no @; " FORM);
    const char *equals = memchr(text, '=', (size_t)(at - text)), *aet = equals ? equals + 1 : text;
    size_t aet_length = (size_t)(at - aet);
    if (aet_length >= sizeof p.aet) return gn_fail(e, GN_E_INVALID, "an AE title has at most 16 characters; " FORM);
    memcpy(p.aet, aet, aet_length);
    if (!peer_aet_valid(p.aet))
        return gn_fail(e, GN_E_INVALID, "an AE title is 1 to 16 printable ASCII characters without \\; " FORM);
    const char *name = equals ? text : aet;
    size_t name_length = equals ? (size_t)(equals - text) : aet_length;
    if (name_length >= sizeof p.name) return gn_fail(e, GN_E_INVALID, "a peer's name has 1 to 63 characters");
    memcpy(p.name, name, name_length);
    if (equals && peer_check_name(p.name, e)) return e ? e->code : GN_E_INVALID;
    int rc = parse_address(at + 1, &p, e);
    if (!rc) *out = p;
    return rc;
}
