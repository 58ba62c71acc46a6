/* table: prints rows in aligned columns; a cell that is too wide for its column just pushes the others.
 *
 * Cells come from outside (names of patients): the caller cleans them of control characters. */
#include "table.h"

#include <stdlib.h>
#include <wchar.h>

unsigned table_text_width(const char *utf8) {
    unsigned width = 0;
    size_t n = strlen(utf8);
    for (size_t i = 0; i < n;) {
        uint32_t u;
        i += gn_utf8_decode((const uint8_t *)utf8 + i, n - i, &u);
        int w = wcwidth((wchar_t)u);
        width += w < 0 ? 1u : (unsigned)w;
    }
    return width;
}

static void print_cells(const table *t, const char *const *cells) {
    for (size_t i = 0; i < t->columns; i++) {
        const char *cell = cells[i] ? cells[i] : "";
        unsigned used = table_text_width(cell), room = t->width[i];
        bool last = i + 1 == t->columns;
        fprintf(t->out, "%s%*s", cell, last ? 0 : (int)(room > used ? room - used : 0) + 2, "");
    }
    fputc('\n', t->out);
}

void table_begin(table *t, FILE *out, const char *const *heads, size_t columns) {
    *t = (table){ .out = out, .columns = columns < TABLE_COLUMNS ? columns : TABLE_COLUMNS };
    for (size_t i = 0; i < t->columns; i++) {
        t->head[i] = strdup(heads[i]);
        t->width[i] = table_text_width(heads[i]);
    }
    t->kept = calloc(TABLE_FIRST_ROWS * t->columns, sizeof *t->kept);
    t->flowing = !t->kept;
}

static void release_kept(table *t) {
    if (t->flowing) return;
    print_cells(t, (const char *const *)t->head);
    for (size_t r = 0; r < t->kept_rows; r++) {
        print_cells(t, (const char *const *)t->kept + r * t->columns);
        for (size_t i = 0; i < t->columns; i++) free(t->kept[r * t->columns + i]);
    }
    free(t->kept);
    t->kept = NULL;
    t->flowing = true;
}

void table_row(table *t, const char *const *cells) {
    if (t->flowing) {
        print_cells(t, cells);
        return;
    }
    for (size_t i = 0; i < t->columns; i++) {
        unsigned width = table_text_width(cells[i]);
        if (width > t->width[i]) t->width[i] = width < 70 ? width : 70;
        t->kept[t->kept_rows * t->columns + i] = strdup(cells[i]);
    }
    if (++t->kept_rows == TABLE_FIRST_ROWS) release_kept(t);
}

void table_end(table *t) {
    if (t->kept_rows || t->flowing) release_kept(t);
    free(t->kept);
    for (size_t i = 0; i < t->columns; i++) free(t->head[i]);
    (void)fflush(t->out);
}
