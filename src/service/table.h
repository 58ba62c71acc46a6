/* table: rows of text in columns. The first rows decide the widths, so that a table of any length can be printed as it comes. */
#ifndef GANTRY_SERVICE_TABLE_H
#define GANTRY_SERVICE_TABLE_H

#include "base/base.h"

#define TABLE_COLUMNS 24
#define TABLE_FIRST_ROWS 200

typedef struct table {
    FILE *out;
    size_t columns;
    unsigned width[TABLE_COLUMNS];
    char **kept;    /* cells of the rows that wait for the widths */
    size_t kept_rows;
    bool flowing;   /* widths are fixed */
    char *head[TABLE_COLUMNS];
} table;

void table_begin(table *t, FILE *out, const char *const *heads, size_t columns);
void table_row(table *t, const char *const *cells);
void table_end(table *t); /* prints what waits, frees */
/* Columns that a text takes on a terminal: wide characters two, combining ones none. */
unsigned table_text_width(const char *utf8);

#endif
