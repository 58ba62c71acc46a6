/* arena: a bump allocator with a byte budget, one for each association, message or request.
 *
 * The budget counts what was asked for, rounded up to 16 bytes. Small requests share blocks that double from 4 KiB to
 * 64 KiB; a request that would waste a block gets one of its own, behind the current block, so that the space left there
 * stays in use. The first block is part of the arena itself and survives a reset. */
#include "base/base.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define GN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GN_ASAN 1
#endif
#endif
#ifdef GN_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

#define ALIGN ((size_t)16)
#define FIRST_BLOCK ((size_t)4096)
#define LARGEST_BLOCK ((size_t)65536)

typedef struct block {
    struct block *next;
    size_t size;
    _Alignas(16) uint8_t data[];
} block;

struct gn_arena {
    uint8_t *at, *end; /* free space of the current block */
    size_t used, budget, next_size;
    block *blocks; /* all but the first, newest first */
    size_t first_size;
    _Alignas(16) uint8_t first[];
};

gn_arena *gn_arena_new(size_t budget) {
    size_t first = budget < FIRST_BLOCK ? (budget + ALIGN - 1) & ~(ALIGN - 1) : FIRST_BLOCK;
    gn_arena *a = malloc(sizeof *a + first);
    if (!a) return NULL;
    *a = (gn_arena){ .budget = budget, .next_size = 2 * FIRST_BLOCK, .first_size = first };
    a->at = a->first;
    a->end = a->first + first;
    POISON(a->first, first);
    return a;
}

static void free_blocks(gn_arena *a) {
    while (a->blocks) {
        block *b = a->blocks;
        a->blocks = b->next;
        UNPOISON(b->data, b->size);
        free(b);
    }
}

void gn_arena_free(gn_arena **a) {
    if (!a || !*a) return;
    free_blocks(*a);
    UNPOISON((*a)->first, (*a)->first_size);
    free(*a);
    *a = NULL;
}

void gn_arena_reset(gn_arena *a) {
    free_blocks(a);
    a->at = a->first;
    a->end = a->first + a->first_size;
    a->used = 0;
    a->next_size = 2 * FIRST_BLOCK;
    POISON(a->first, a->first_size);
}

size_t gn_arena_used(const gn_arena *a) { return a->used; }

/* A request that the current block cannot hold; `size` is rounded and within the budget. */
static void *alloc_in_new_block(gn_arena *a, size_t size) {
    size_t left = a->budget - a->used; /* size <= left + ALIGN - 1, so that a block never exceeds what may still be used */
    bool own = size > a->next_size / 4;
    size_t block_size = own ? size : a->next_size;
    if (!own && block_size > left) block_size = size > left ? size : (left + ALIGN - 1) & ~(ALIGN - 1);
    if (block_size > SIZE_MAX - sizeof(block)) return NULL;
    block *b = malloc(sizeof *b + block_size);
    if (!b) return NULL;
    b->size = block_size;
    b->next = a->blocks;
    a->blocks = b;
    if (!own) {
        a->at = b->data + size;
        a->end = b->data + block_size;
        POISON(b->data + size, block_size - size);
        if (a->next_size < LARGEST_BLOCK) a->next_size *= 2;
    }
    return b->data;
}

void *gn_arena_alloc(gn_arena *a, size_t size) {
    if (size > a->budget - a->used) return NULL;
    size_t rounded = size ? (size + ALIGN - 1) & ~(ALIGN - 1) : ALIGN;
    if (rounded < size || rounded > a->budget - a->used) return NULL;
    uint8_t *p = a->at;
    if (rounded <= (size_t)(a->end - p)) {
        a->at = p + rounded;
    } else {
        p = alloc_in_new_block(a, rounded);
        if (!p) return NULL;
    }
    a->used += rounded;
    UNPOISON(p, size);
    return p;
}

void *gn_arena_zalloc(gn_arena *a, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) return NULL;
    void *p = gn_arena_alloc(a, total);
    return p ? memset(p, 0, total) : NULL;
}

char *gn_arena_strndup(gn_arena *a, const char *s, size_t n) {
    if (n == SIZE_MAX) return NULL;
    char *p = gn_arena_alloc(a, n + 1);
    if (!p) return NULL;
    if (n) memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *gn_arena_strdup(gn_arena *a, const char *s) { return gn_arena_strndup(a, s, strlen(s)); }

void *gn_arena_memdup(gn_arena *a, const void *p, size_t n) {
    void *q = gn_arena_alloc(a, n);
    if (q && n) memcpy(q, p, n);
    return q;
}

char *gn_arena_printf(gn_arena *a, const char *format, ...) {
    char small[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    char *p = NULL;
    if (n >= 0 && (size_t)n < sizeof small) {
        p = gn_arena_strndup(a, small, (size_t)n);
    } else if (n >= 0) {
        p = gn_arena_alloc(a, (size_t)n + 1);
        if (p) (void)vsnprintf(p, (size_t)n + 1, format, again);
    }
    va_end(again);
    return p;
}
