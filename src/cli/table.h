/* A table for people: columns as wide as what stands in them, two blanks between, no lines.
 *
 * Cells are copied. What came from a node is shown with '?' for anything that could steer a terminal.
 * One thread.
 */
#pragma once
#include "base/buf.h"

enum { TABLE_COLUMNS_MAX = 16, TABLE_ROWS_MAX = 64, TABLE_CELL_MAX = 256 };

struct table_column {
    const char *title;
    int width_min;
    bool is_right; /* for numbers */
};

struct table {
    const struct table_column *columns;
    size_t columns_count, rows_count;
    char *cells[TABLE_ROWS_MAX][TABLE_COLUMNS_MAX];
};

void table_init(struct table *table, const struct table_column *columns, size_t columns_count);
void table_close(struct table *table);
/* A new row of "-"; false when there are TABLE_ROWS_MAX already. */
bool table_row(struct table *table);
/* A cell of the last row. An empty text leaves "-". */
void table_set(struct table *table, size_t column, struct slice text);
/* Of JSON; what is no whole number leaves "-". */
struct json;
void table_set_number(struct table *table, size_t column, const struct json *value);
void table_print(const struct table *table, struct buf *out);

/* Text of strangers made fit for a terminal: controls become '?'. */
void table_add_plain(struct buf *out, struct slice text);
/* "41s", "11m", "3h 5m", "6d 4h" */
void table_add_age(struct buf *out, uint64_t seconds);
/* "212 MB" */
void table_add_bytes(struct buf *out, uint64_t bytes);
