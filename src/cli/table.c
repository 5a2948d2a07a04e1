#include "cli/table.h"

#include <assert.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

void table_init(struct table *table, const struct table_column *columns, size_t columns_count)
{
    assert(columns_count <= TABLE_COLUMNS_MAX);
    *table = (struct table){.columns = columns, .columns_count = columns_count};
}

void table_close(struct table *table)
{
    for (size_t row = 0; row < table->rows_count; row++) {
        for (size_t i = 0; i < table->columns_count; i++)
            mem_free(table->cells[row][i]);
    }
    table->rows_count = 0;
}

bool table_row(struct table *table)
{
    if (table->rows_count == TABLE_ROWS_MAX) return false;
    for (size_t i = 0; i < table->columns_count; i++)
        table->cells[table->rows_count][i] = mem_string("-", 1);
    table->rows_count++;
    return true;
}

void table_set(struct table *table, size_t column, struct slice text)
{
    assert(table->rows_count > 0 && column < table->columns_count);
    if (text.len == 0) return;
    struct buf plain;
    buf_init(&plain, 4 * (size_t)TABLE_CELL_MAX);
    table_add_plain(&plain, slice_first(text, TABLE_CELL_MAX));
    char **cell = &table->cells[table->rows_count - 1][column];
    mem_free(*cell);
    *cell = mem_string(plain.at, plain.len);
    buf_close(&plain);
}

static int width_of(const char *cell)
{
    return (int)text_code_points(slice_from(cell));
}

static void print_cell(const struct table *table, size_t column, const char *cell, int width,
                       struct buf *out)
{
    int blanks = width - width_of(cell);
    bool is_last = column + 1 == table->columns_count;
    if (column > 0) buf_add(out, slice_of("  "));
    if (table->columns[column].is_right) buf_printf(out, "%*s", blanks, "");
    buf_add(out, slice_from(cell));
    if (!table->columns[column].is_right && !is_last) buf_printf(out, "%*s", blanks, "");
}

void table_set_number(struct table *table, size_t column, const struct json *value)
{
    struct buf text;
    int64_t number;
    if (!json_to_i64(value, &number)) return;
    buf_init(&text, TABLE_CELL_MAX);
    buf_add_i64(&text, number);
    table_set(table, column, buf_slice(&text));
    buf_close(&text);
}

void table_print(const struct table *table, struct buf *out)
{
    int widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->columns_count; i++) {
        widths[i] = width_of(table->columns[i].title);
        if (table->columns[i].width_min > widths[i]) widths[i] = table->columns[i].width_min;
        for (size_t row = 0; row < table->rows_count; row++) {
            int width = width_of(table->cells[row][i]);
            if (width > widths[i]) widths[i] = width;
        }
    }
    for (size_t i = 0; i < table->columns_count; i++)
        print_cell(table, i, table->columns[i].title, widths[i], out);
    buf_add_char(out, '\n');
    for (size_t row = 0; row < table->rows_count; row++) {
        for (size_t i = 0; i < table->columns_count; i++)
            print_cell(table, i, table->cells[row][i], widths[i], out);
        buf_add_char(out, '\n');
    }
}

/* C0, DEL, C1, and what turns the direction of writing. */
static bool steers(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0x2028 || c == 0x2029;
}

void table_add_plain(struct buf *out, struct slice text)
{
    while (text.len > 0) {
        struct slice rest = text;
        uint32_t c = text_next(&rest);
        size_t taken = text.len - rest.len;
        if (c == '\t') {
            buf_add_char(out, ' ');
        } else if (c == 0xfffd || steers(c)) {
            buf_add_char(out, '?');
        } else {
            buf_add(out, slice_first(text, taken));
        }
        text = rest;
    }
}

void table_add_age(struct buf *out, uint64_t seconds)
{
    unsigned long long days = seconds / 86400, hours = seconds / 3600, minutes = seconds / 60;
    if (days > 0) {
        buf_printf(out, "%llud %lluh", days, hours % 24);
    } else if (hours > 0) {
        buf_printf(out, "%lluh %llum", hours, minutes % 60);
    } else if (minutes > 0) {
        buf_printf(out, "%llum", minutes);
    } else {
        buf_printf(out, "%llus", (unsigned long long)seconds);
    }
}

void table_add_bytes(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;
    while (value >= 1000 && unit < 3) {
        value /= 1024;
        unit++;
    }
    buf_printf(out, "%.*f %s", value < 10 && unit > 0 ? 1 : 0, value, units[unit]);
}
