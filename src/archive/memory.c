/* memory: buffers for objects being received, within one limit, however many senders there are.
 *
 * A block is address space for the largest object that goes into a pack. Its pages come into being as an object grows: the owner charges
 * them in steps, and when the limit is reached the object streams to a file through what it has. Idle blocks stay hot, since
 * fresh pages cost more than hashing what is put into them: as many as were lately used at once, and none after some seconds. */
#include "internal.h"

#include "store/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define IDLE_NS UINT64_C(3000000000)
#define ARENA_BUDGET ((size_t)96 << 20) /* the streaming reader's own limit (32 MiB of header) ends first */
#define KEEP_SCRATCH ((size_t)1 << 20)  /* buffers that grew beyond are not kept */

int pool_init(pool *p, size_t block_size, size_t limit, gn_error *e) {
    *p = (pool){ .block_size = store_align_up(block_size), .limit = limit };
    int rc = pthread_mutex_init(&p->lock, NULL);
    return rc ? gn_fail_errno(e, rc, "cannot make the pool's lock") : 0;
}

static void free_block(pool *p, pool_block *b) {
    (void)munmap(b->p, p->block_size);
    free(b);
}

static void free_scratch(scratch *s) {
    gn_arena_free(&s->arena);
    (void)ZSTD_freeCCtx(s->zstd);
    (void)XXH3_freeState(s->hash);
    gn_buf_done(&s->json);
    gn_buf_done(&s->packed);
    gn_buf_done(&s->frames);
    free(s);
}

void pool_done(pool *p) {
    while (p->idle) {
        pool_block *b = p->idle;
        p->idle = b->next;
        free_block(p, b);
    }
    while (p->idle_scratch) {
        scratch *s = p->idle_scratch;
        p->idle_scratch = s->next;
        free_scratch(s);
    }
    pthread_mutex_destroy(&p->lock);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------------ */

static pool_block *new_block(pool *p) {
    pool_block *b = malloc(sizeof *b);
    void *m = b ? mmap(NULL, p->block_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) : MAP_FAILED;
    if (m == MAP_FAILED) {
        free(b);
        return NULL;
    }
    *b = (pool_block){ .p = m, .charged = POOL_FIRST_CHARGE < p->block_size ? POOL_FIRST_CHARGE : p->block_size };
    return b;
}

pool_block *pool_take(pool *p, gn_error *e) {
    pthread_mutex_lock(&p->lock);
    pool_block *b = p->idle;
    /* Small blocks beyond the limit are allowed up to twice of it: an object must be received somehow. */
    bool room = b || p->used + POOL_FIRST_CHARGE <= 2 * p->limit;
    if (b) {
        p->idle = b->next;
        p->idle_count--;
    } else if (room) {
        b = new_block(p);
        if (b) p->used += b->charged;
    }
    if (b && ++p->active > p->peak) p->peak = p->active;
    pthread_mutex_unlock(&p->lock);
    if (!room) gn_fail(e, GN_E_BUSY, "too many objects are being received at once");
    else if (!b) gn_fail(e, GN_E_NO_MEMORY, "no memory to receive an object");
    return b;
}

/* Frees idle blocks until `bytes` more fit. Called with the lock. */
static bool make_room(pool *p, size_t bytes) {
    while (p->used + bytes > p->limit && p->idle) {
        pool_block *b = p->idle;
        p->idle = b->next;
        p->idle_count--;
        p->used -= b->charged;
        free_block(p, b);
    }
    return p->used + bytes <= p->limit;
}

bool pool_charge(pool *p, pool_block *b, size_t bytes) {
    if (bytes <= b->charged) return true;
    if (bytes > p->block_size) return false;
    bytes = store_align_up(bytes); /* so that an image can always be padded */
    pthread_mutex_lock(&p->lock);
    size_t more = bytes - b->charged;
    bool ok = make_room(p, more);
    if (ok) {
        p->used += more;
        b->charged = bytes;
    }
    pthread_mutex_unlock(&p->lock);
    return ok;
}

void pool_give(pool *p, pool_block *b) {
    pool_block *drop = NULL;
    b->given_at = gn_mono_ns();
    pthread_mutex_lock(&p->lock);
    p->active--;
    if (p->idle_count + p->active >= p->peak + 2 || p->used > p->limit) {
        p->used -= b->charged;
        drop = b;
    } else {
        b->next = p->idle;
        p->idle = b;
        p->idle_count++;
    }
    pthread_mutex_unlock(&p->lock);
    if (drop) free_block(p, drop);
}

/* ---- scratch ----------------------------------------------------------------------------------------------------------- */

scratch *pool_take_scratch(pool *p, gn_error *e) {
    pthread_mutex_lock(&p->lock);
    scratch *s = p->idle_scratch;
    if (s) {
        p->idle_scratch = s->next;
        p->idle_scratch_count--;
    }
    pthread_mutex_unlock(&p->lock);
    if (s) return s;
    s = calloc(1, sizeof *s);
    if (s) {
        s->arena = gn_arena_new(ARENA_BUDGET);
        s->zstd = ZSTD_createCCtx();
        s->hash = XXH3_createState();
        if (s->arena && s->zstd && s->hash) return s;
        free_scratch(s);
    }
    gn_fail(e, GN_E_NO_MEMORY, "no memory to read an object");
    return NULL;
}

static void clear_buffer(gn_buf *b) {
    if (b->cap > KEEP_SCRATCH) gn_buf_done(b);
    else gn_buf_clear(b);
    b->failed = false;
}

void pool_give_scratch(pool *p, scratch *s) {
    if (!s) return;
    gn_arena_reset(s->arena);
    clear_buffer(&s->json);
    clear_buffer(&s->packed);
    clear_buffer(&s->frames);
    s->given_at = gn_mono_ns();
    pthread_mutex_lock(&p->lock);
    bool keep = p->idle_scratch_count < p->peak + 2;
    if (keep) {
        s->next = p->idle_scratch;
        p->idle_scratch = s;
        p->idle_scratch_count++;
    }
    pthread_mutex_unlock(&p->lock);
    if (!keep) free_scratch(s);
}

/* ---- trimming ---------------------------------------------------------------------------------------------------------- */

void pool_trim(pool *p, uint64_t now) {
    pool_block *old_blocks = NULL;
    scratch *old_scratch = NULL;
    pthread_mutex_lock(&p->lock);
    /* Both lists are last in first out: once one is old enough, so are all behind it. */
    pool_block **b = &p->idle;
    while (*b && now - (*b)->given_at < IDLE_NS) b = &(*b)->next;
    old_blocks = *b;
    *b = NULL;
    for (pool_block *x = old_blocks; x; x = x->next) {
        p->used -= x->charged;
        p->idle_count--;
    }
    scratch **s = &p->idle_scratch;
    while (*s && now - (*s)->given_at < IDLE_NS) s = &(*s)->next;
    old_scratch = *s;
    *s = NULL;
    for (scratch *x = old_scratch; x; x = x->next) p->idle_scratch_count--;
    if (old_blocks) p->peak = p->active;
    pthread_mutex_unlock(&p->lock);
    while (old_blocks) {
        pool_block *x = old_blocks;
        old_blocks = x->next;
        free_block(p, x);
    }
    while (old_scratch) {
        scratch *x = old_scratch;
        old_scratch = x->next;
        free_scratch(x);
    }
}
