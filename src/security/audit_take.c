/* audit_take: takes note of accesses: changes wait until they are safe, equal reads are counted.
 *
 * A read's first line is written at once, so that no crash can hide that somebody looked; what follows within a minute is counted and
 * becomes one more line. Memory is bounded: the table of counts has a fixed size (a full place writes its oldest early), and the queue
 * makes callers wait when the disk does not keep up. */
#include "internal.h"

#include <sodium.h>
#include <stdlib.h>

enum { WAYS = 8 };

uint64_t audit_queue(audit *a, const char *members, int64_t at_us, int64_t count) {
    size_t n = strlen(members) + 1;
    audit_waiting *w = malloc(sizeof *w + n);
    if (!w) return 0;
    *w = (audit_waiting){ .ticket = ++a->taken, .at_us = at_us, .count = count };
    memcpy(w->members, members, n);
    *a->last = w;
    a->last = &w->next;
    a->waiting++;
    (void)pthread_cond_signal(&a->work);
    return w->ticket;
}

/* ---- counting ------------------------------------------------------------------------------------------------------------ */

static void counted_end(audit *a, audit_counted *c) {
    /* Out of memory: the count is lost, not that there was an access; its line is written. */
    if (c->since_ns && c->count && !audit_queue(a, c->members, c->last_us, c->count)) a->lost++;
    free(c->members);
    *c = (audit_counted){ 0 };
}

void audit_counted_flush(audit *a, uint64_t older_than_ns) {
    for (size_t i = 0; i < AUDIT_COUNTED; i++)
        if (a->counted[i].since_ns && a->counted[i].since_ns <= older_than_ns) counted_end(a, &a->counted[i]);
}

static void add_text(crypto_generichash_state *st, const char *text) {
    if (!text) text = "";
    (void)crypto_generichash_update(st, (const uint8_t *)text, strlen(text) + 1);
}

static void counted_key(const security_access *x, uint8_t key[16]) {
    crypto_generichash_state st;
    char outcome[2] = { (char)('0' + (int)x->outcome % 10), '\0' };
    (void)crypto_generichash_init(&st, NULL, 0, 16);
    add_text(&st, x->who ? x->who->id : NULL);
    add_text(&st, x->address);
    add_text(&st, x->action);
    add_text(&st, x->study_uid);
    add_text(&st, outcome);
    (void)crypto_generichash_final(&st, key, 16);
}

/* Counts it where an equal one is being counted; else *place is where to begin. */
static bool counted_add(audit *a, const uint8_t key[16], uint64_t now_ns, int64_t now_us, audit_counted **place) {
    audit_counted *set = &a->counted[(size_t)gn_load_le16(key) % (AUDIT_COUNTED / WAYS) * WAYS];
    *place = set;
    for (size_t i = 0; i < WAYS; i++) {
        audit_counted *c = &set[i];
        if (c->since_ns && memcmp(c->key, key, 16) == 0) {
            *place = c;
            if (now_ns - c->since_ns >= 60000000000u) return false; /* its minute is over */
            c->count++;
            c->last_us = now_us;
            return true;
        }
        if (c->since_ns < (*place)->since_ns) *place = c;
    }
    return false;
}

/* ---- taking -------------------------------------------------------------------------------------------------------------- */

int audit_wait(audit *a, uint64_t ticket, uint64_t failures, gn_error *e) {
    while (a->finished < ticket) {
        a->urgent = true;
        (void)pthread_cond_signal(&a->work);
        (void)pthread_cond_wait(&a->done, &a->lock);
    }
    /* Another's batch may have failed meanwhile; to call this one unsafe too errs on the right side. */
    if (a->failures == failures) return 0;
    return gn_fail(e, a->failure.code, "%s", a->failure.message);
}

static int take_read(audit *a, const security_access *x, const char *members, gn_error *e) {
    uint8_t key[16];
    audit_counted *c;
    uint64_t now_ns = a->mono_ns();
    int64_t now_us = a->wall_us();
    counted_key(x, key);
    if (counted_add(a, key, now_ns, now_us, &c)) return 0;
    counted_end(a, c);
    if (!audit_queue(a, members, now_us, 1)) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the audit log");
    char *copy = strdup(members);
    if (copy) { /* without memory each access is a line */
        *c = (audit_counted){ .since_ns = now_ns ? now_ns : 1, .members = copy, .last_us = now_us };
        memcpy(c->key, key, sizeof key);
    }
    return 0;
}

int audit_take(audit *a, const security_access *access, gn_error *e) {
    gn_buf members = GN_BUF_INIT;
    audit_members(access, &members);
    if (members.failed) {
        gn_buf_done(&members);
        return gn_fail(e, GN_E_NO_MEMORY, "no memory for the audit log");
    }
    int rc;
    (void)pthread_mutex_lock(&a->lock);
    while (a->waiting >= AUDIT_WAITING_MOST) {
        a->urgent = true;
        (void)pthread_cond_signal(&a->work);
        (void)pthread_cond_wait(&a->done, &a->lock);
    }
    if (a->broken) {
        rc = gn_fail(e, GN_E_IO, "the audit log could not be synced before; nothing is written to it until a restart");
    } else if (audit_is_read(access->action)) {
        rc = take_read(a, access, (const char *)members.p, e);
    } else {
        uint64_t failures = a->failures, ticket = audit_queue(a, (const char *)members.p, a->wall_us(), 1);
        rc = ticket ? audit_wait(a, ticket, failures, e) : gn_fail(e, GN_E_NO_MEMORY, "no memory for the audit log");
    }
    (void)pthread_mutex_unlock(&a->lock);
    gn_buf_done(&members);
    return rc;
}

int audit_flush(audit *a, gn_error *e) {
    (void)pthread_mutex_lock(&a->lock);
    audit_counted_flush(a, UINT64_MAX);
    int rc = audit_wait(a, a->taken, a->failures, e);
    (void)pthread_mutex_unlock(&a->lock);
    return rc;
}
