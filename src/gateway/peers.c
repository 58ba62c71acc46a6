/* The list of known DICOM nodes: checked and copied when configured, found by AE title, compared with the caller's address.
 *
 * A list never changes once it is made; a reload makes a new one and the old one lives until its last user lets go. An AE title
 * grants nothing by itself (T18): unless the peer is marked otherwise the caller's address must be its host's. */
#include "internal.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { PEERS_MAX = 100000 };

bool aet_valid(const char *aet) {
    if (!aet) return false;
    size_t n = 0, visible = 0;
    for (; aet[n]; n++) {
        unsigned char c = (unsigned char)aet[n];
        if (c < 32 || c > 126 || c == '\\') return false;
        visible += c != ' ';
    }
    return n >= 1 && n <= 16 && visible > 0;
}

uint32_t gateway_permission_parse(const char *word) {
    static const struct { const char *word; uint32_t bits; } table[] = {
        { "echo", GATEWAY_MAY_ECHO }, { "store", GATEWAY_MAY_STORE }, { "find", GATEWAY_MAY_FIND }, { "get", GATEWAY_MAY_GET },
        { "move", GATEWAY_MAY_MOVE }, { "commit", GATEWAY_MAY_COMMIT }, { "all", GATEWAY_MAY_ALL },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(table); i++)
        if (strcmp(table[i].word, word) == 0) return table[i].bits;
    return 0;
}

/* ---- making ------------------------------------------------------------------------------------------------------------ */

static int check_peer(const gateway_peer *p, gn_error *e) {
    if (!aet_valid(p->aet)) return gn_fail(e, GN_E_CONFIG, "peer %s: an AE title has 1 to 16 printable characters and no backslash", p->name ? p->name : "?");
    if (p->host && (!p->host[0] || p->port == 0)) return gn_fail(e, GN_E_CONFIG, "peer %s: host and port belong together", p->aet);
    if (p->permissions & ~(uint32_t)GATEWAY_MAY_ALL) return gn_fail(e, GN_E_CONFIG, "peer %s: unknown permission", p->aet);
    for (size_t i = 0; i < p->transfer_syntax_count; i++) {
        if (!recode_lossless_target(p->transfer_syntaxes[i]))
            return gn_fail(e, GN_E_CONFIG, "peer %s: %s is no transfer syntax that objects can be sent in without loss", p->aet, p->transfer_syntaxes[i]);
    }
    return 0;
}

/* Copies strings into the list's arena; false: out of memory. */
static bool copy_peer(gn_arena *arena, const gateway_peer *from, gateway_peer *to) {
    *to = *from;
    to->aet = gn_arena_strdup(arena, from->aet);
    to->name = from->name ? gn_arena_strdup(arena, from->name) : to->aet;
    to->host = from->host ? gn_arena_strdup(arena, from->host) : NULL;
    if (!to->aet || !to->name || (from->host && !to->host)) return false;
    to->transfer_syntaxes = NULL;
    if (!from->transfer_syntax_count) return true;
    const char **list = gn_arena_zalloc(arena, from->transfer_syntax_count, sizeof *list);
    if (!list) return false;
    for (size_t i = 0; i < from->transfer_syntax_count; i++)
        if (!(list[i] = gn_arena_strdup(arena, from->transfer_syntaxes[i]))) return false;
    to->transfer_syntaxes = list;
    return true;
}

int peer_list_new(const gateway_peer *peers, size_t count, peer_list **out, gn_error *e) {
    if (count > PEERS_MAX) return gn_fail(e, GN_E_CONFIG, "%zu peers are more than the limit of %d", count, PEERS_MAX);
    for (size_t i = 0; i < count; i++) {
        int rc = check_peer(&peers[i], e);
        if (rc) return rc;
    }
    peer_list *list = calloc(1, sizeof *list);
    if (list) list->arena = gn_arena_new(64u << 20);
    if (list && list->arena) list->peer = gn_arena_zalloc(list->arena, count ? count : 1, sizeof *list->peer);
    bool ok = list && list->peer;
    for (size_t i = 0; ok && i < count; i++) ok = copy_peer(list->arena, &peers[i], &list->peer[i]);
    if (!ok) {
        if (list) gn_arena_free(&list->arena);
        free(list);
        return gn_fail(e, GN_E_NO_MEMORY, "no memory for %zu peers", count);
    }
    list->count = count;
    atomic_init(&list->references, 1);
    *out = list;
    return 0;
}

void peer_list_unref(peer_list **slot) {
    peer_list *list = *slot;
    *slot = NULL;
    if (!list || atomic_fetch_sub(&list->references, 1) != 1) return;
    gn_arena_free(&list->arena);
    free(list);
}

/* ---- finding ----------------------------------------------------------------------------------------------------------- */

const gateway_peer *peer_by_aet(const peer_list *list, const char *aet) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->peer[i].aet, aet) == 0) return &list->peer[i];
    return NULL;
}

/* The host part of "address:port", without the wrapping of an IPv4 address in IPv6. */
static void host_of(const char *address, char *out, size_t size) {
    if (strncasecmp(address, "::ffff:", 7) == 0 && strchr(address, '.')) address += 7;
    const char *colon = strrchr(address, ':');
    size_t n = colon ? (size_t)(colon - address) : strlen(address);
    if (n >= size) n = size - 1;
    memcpy(out, address, n);
    out[n] = '\0';
}

bool peer_address_is_loopback(const char *host) {
    if (strncasecmp(host, "::ffff:", 7) == 0) host += 7;
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0;
}

/* Does the name (or other spelling) `host` stand for this numeric address? */
static bool resolves_to(const char *host, const char *numeric) {
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *list = NULL;
    if (getaddrinfo(host, NULL, &hints, &list)) return false;
    bool same = false;
    for (const struct addrinfo *a = list; a && !same; a = a->ai_next) {
        char text[64] = "", plain[64];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST)) continue;
        const char *p = strncasecmp(text, "::ffff:", 7) == 0 && strchr(text, '.') ? text + 7 : text;
        snprintf(plain, sizeof plain, "%s", p);
        same = strcmp(plain, numeric) == 0;
    }
    freeaddrinfo(list);
    return same;
}

const gateway_peer *peer_calling(const peer_list *list, const char *aet, const char *address, bool *known) {
    char host[64];
    host_of(address, host, sizeof host);
    *known = false;
    for (size_t i = 0; i < list->count; i++) {
        const gateway_peer *p = &list->peer[i];
        if (strcmp(p->aet, aet) != 0) continue;
        *known = true;
        if (p->any_address || !p->host || strcmp(p->host, host) == 0 || resolves_to(p->host, host)) return p;
    }
    return NULL;
}
