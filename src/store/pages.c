#include "store/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/little_endian.h"
#include "base/mem.h"

enum {
    PAGE_HEAD = 16,
    NODE_HEAD = 8,
    TABLE_SIZE = 48,
    META_SIZE = 136, /* behind the page's head */
    DEPTH_MAX = 32,
    KEY_MAX = 511,

    BRANCH = 1,
    LEAF = 2,
    OVERFLOW = 4,
    META = 8,

    NODE_BIG = 1,
    NODE_TABLE = 2,

    INTEGER_KEYS = 8, /* of a table */
    PROGRESS_EVERY = 4096
};

#define MAGIC   UINT32_C(0xbeefc0de)
#define NO_PAGE UINT64_MAX

struct table {
    const char *name;
    unsigned flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};

struct pages {
    const uint8_t *map;
    size_t file_size, page_size;
    uint64_t last;  /* page in use */
    uint8_t *seen;  /* a bit for each */
    uint64_t count; /* of those */
    event_store_progress_fn on_progress;
    void *owner;
    uint64_t event; /* last one that was reached */
    bool is_in_events;
    struct event_store_damage *damage;
    struct errmsg *errmsg;
};

struct node {
    unsigned flags;
    struct slice key, data; /* data is empty in a branch */
    uint64_t page;          /* below a branch, or where the data is */
    uint64_t data_size;
};

/* ---- telling ---- */

__attribute__((format(printf, 2, 3))) static int bad(struct pages *pages, const char *format, ...)
{
    char what[200];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    errmsg_set(pages->errmsg, "event store is damaged: %s", what);
    if (pages->is_in_events) pages->damage->number = pages->event + 1;
    return ERR_DATA;
}

static int bad_page(struct pages *pages, const struct table *table, uint64_t page, const char *why)
{
    return bad(pages, "page %" PRIu64 ", of table %s: %s", page, table->name, why);
}

/* ---- pages ---- */

static const uint8_t *page_at(const struct pages *pages, uint64_t page)
{
    return pages->map + page * pages->page_size;
}

/* Takes `count` pages; false when there are no such ones, or somebody has them. */
static bool take(struct pages *pages, uint64_t page, uint64_t count)
{
    if (page < 2 || page > pages->last || count > pages->last - page + 1) return false;
    for (uint64_t at = page; at < page + count; at++) {
        uint8_t bit = (uint8_t)(1 << at % 8);
        if ((pages->seen[at / 8] & bit) != 0) return false;
        pages->seen[at / 8] |= bit;
        pages->count++;
        if (pages->on_progress != NULL && pages->count % PROGRESS_EVERY == 0)
            pages->on_progress(pages->owner, pages->count, pages->last + 1);
    }
    return true;
}

static struct table table_of(const uint8_t *at, const char *name)
{
    return (struct table){.name = name,
                          .flags = (unsigned)little_load(at + 4, 2),
                          .depth = (unsigned)little_load(at + 6, 2),
                          .branches = little_load(at + 8, 8),
                          .leaves = little_load(at + 16, 8),
                          .overflows = little_load(at + 24, 8),
                          .entries = little_load(at + 32, 8),
                          .root = little_load(at + 40, 8)};
}

static size_t nodes_of(const uint8_t *page)
{
    return ((size_t)little_load(page + 12, 2) - PAGE_HEAD) / 2;
}

/* Only for a page that check_page has passed. */
static struct node node_of(const uint8_t *page, size_t place)
{
    bool is_leaf = little_load(page + 10, 2) == LEAF;
    const uint8_t *at = page + little_load(page + PAGE_HEAD + 2 * place, 2);
    size_t key_len = (size_t)little_load(at + 6, 2);
    struct node node = {.flags = (unsigned)little_load(at + 4, 2),
                        .key = slice_make(at + NODE_HEAD, key_len),
                        .data_size = little_load(at, 4)};
    const uint8_t *data = at + NODE_HEAD + key_len;
    if (!is_leaf)
        node.page = little_load(at, 6);
    else if ((node.flags & NODE_BIG) != 0)
        node.page = little_load(data, 8);
    else
        node.data = slice_make(data, (size_t)node.data_size);
    return node;
}

/* Bytes that a node takes, or more than a page when it says so. */
static size_t node_size(const uint8_t *at, bool is_leaf)
{
    size_t size = NODE_HEAD + (size_t)little_load(at + 6, 2);
    if (is_leaf) size += (little_load(at + 4, 2) & NODE_BIG) != 0 ? 8 : (size_t)little_load(at, 4);
    return size + size % 2;
}

/* Its head, and that its nodes lie side by side within it. */
static const char *check_page(const struct pages *pages, uint64_t page, unsigned flags)
{
    const uint8_t *at = page_at(pages, page);
    size_t lower = (size_t)little_load(at + 12, 2), upper = (size_t)little_load(at + 14, 2);
    if (little_load(at, 8) != page) return "it has the number of another one";
    if (little_load(at + 10, 2) != flags) return "it is of another kind";
    if (lower <= PAGE_HEAD || lower % 2 != 0 || lower > upper || upper > pages->page_size)
        return "its bounds are impossible";
    size_t used = 0;
    for (size_t i = 0; i < nodes_of(at); i++) {
        size_t place = (size_t)little_load(at + PAGE_HEAD + 2 * i, 2);
        if (place < upper || place % 2 != 0 || place + NODE_HEAD > pages->page_size)
            return "a node lies outside of it";
        size_t size = node_size(at + place, flags == LEAF);
        if (size > pages->page_size - place) return "a node does not end in it";
        if (little_load(at + place + 6, 2) > KEY_MAX) return "a key is too long";
        used += size;
    }
    return used == pages->page_size - upper ? NULL : "its nodes overlap, or leave holes";
}

/* ---- a table ---- */

struct walk {
    struct pages *pages;
    const struct table *table;
    struct slice last; /* key that was read; at = NULL: none yet */
    struct slice low;  /* the next key is not below it */
    uint64_t branches, leaves, overflows, entries;
    unsigned node_flags; /* that may be set in a leaf */
    int (*on_node)(struct walk *walk, const struct node *node);
    void *owner;
};

static int compare(const struct walk *walk, struct slice a, struct slice b)
{
    if ((walk->table->flags & INTEGER_KEYS) != 0) {
        size_t x, y;
        memcpy(&x, a.at, sizeof x);
        memcpy(&y, b.at, sizeof y);
        return (x > y) - (x < y);
    }
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_key(const struct walk *walk, struct slice key)
{
    return (walk->table->flags & INTEGER_KEYS) != 0 ? key.len == sizeof(size_t) : key.len > 0;
}

static const char *take_overflow(struct walk *walk, const struct node *node)
{
    struct pages *pages = walk->pages;
    uint64_t count = (PAGE_HEAD + node->data_size + pages->page_size - 1) / pages->page_size;
    if (!take(pages, node->page, count)) return "its data lies on pages that are not its own";
    const uint8_t *at = page_at(pages, node->page);
    if (little_load(at, 8) != node->page || little_load(at + 10, 2) != OVERFLOW ||
        little_load(at + 12, 4) != count)
        return "its data lies on a page of another kind";
    walk->overflows += count;
    return NULL;
}

static int take_leaf(struct walk *walk, uint64_t page)
{
    const uint8_t *at = page_at(walk->pages, page);
    walk->leaves++;
    for (size_t i = 0; i < nodes_of(at); i++) {
        struct node node = node_of(at, i);
        const char *why = NULL;
        if (!is_key(walk, node.key))
            why = "a key is none";
        else if ((node.flags & ~walk->node_flags) != 0)
            why = "a node is of another kind";
        else if (walk->last.at != NULL && compare(walk, walk->last, node.key) >= 0)
            why = "its keys do not rise";
        else if (walk->low.at != NULL && compare(walk, node.key, walk->low) < 0)
            why = "a key is below those of its branch";
        else if ((node.flags & NODE_BIG) != 0)
            why = take_overflow(walk, &node);
        if (why != NULL) return bad_page(walk->pages, walk->table, page, why);
        walk->last = node.key;
        walk->low = (struct slice){NULL, 0};
        walk->entries++;
        if (walk->pages->is_in_events) memcpy(&walk->pages->event, node.key.at, sizeof(uint64_t));
        int rv = walk->on_node == NULL ? 0 : walk->on_node(walk, &node);
        if (rv != 0) return rv;
    }
    return 0;
}

/* The key between two children: above all that was read, and a bound for what comes. */
static const char *take_separator(struct walk *walk, const struct node *node)
{
    if (!is_key(walk, node->key)) return "a key is none";
    if (walk->last.at != NULL && compare(walk, walk->last, node->key) >= 0)
        return "its keys do not rise";
    walk->low = node->key;
    return NULL;
}

static int enter(struct walk *walk, uint64_t page, bool is_leaf)
{
    if (!take(walk->pages, page, 1))
        return bad_page(walk->pages, walk->table, page, "it is not there, or is another's too");
    const char *why = check_page(walk->pages, page, is_leaf ? LEAF : BRANCH);
    return why == NULL ? 0 : bad_page(walk->pages, walk->table, page, why);
}

static int walk_down(struct walk *walk)
{
    struct {
        uint64_t page;
        size_t place; /* of the next child */
    } path[DEPTH_MAX];
    unsigned depth = walk->table->depth, level = 0;
    int rv = enter(walk, walk->table->root, depth == 1);
    if (rv != 0) return rv;
    if (depth == 1) return take_leaf(walk, walk->table->root);
    path[0].page = walk->table->root;
    path[0].place = 0;
    for (;;) {
        const uint8_t *at = page_at(walk->pages, path[level].page);
        if (path[level].place == nodes_of(at)) {
            walk->branches++;
            if (level-- == 0) return 0;
            continue;
        }
        struct node node = node_of(at, path[level].place);
        const char *why = path[level].place == 0 ? NULL : take_separator(walk, &node);
        if (why != NULL) return bad_page(walk->pages, walk->table, path[level].page, why);
        path[level].place++;
        bool is_leaf = level + 2 == depth;
        rv = enter(walk, node.page, is_leaf);
        if (rv == 0 && is_leaf) rv = take_leaf(walk, node.page);
        if (rv != 0) return rv;
        if (is_leaf) continue;
        level++;
        path[level].page = node.page;
        path[level].place = 0;
    }
}

static int check_table(struct walk *walk)
{
    const struct table *table = walk->table;
    if (table->root == NO_PAGE && table->entries == 0) return 0;
    if (table->depth < 1 || table->depth > DEPTH_MAX)
        return bad(walk->pages, "the depth of table %s is impossible", table->name);
    int rv = walk_down(walk);
    if (rv != 0) return rv;
    if (walk->entries == table->entries && walk->leaves == table->leaves &&
        walk->branches == table->branches && walk->overflows == table->overflows)
        return 0;
    return bad(walk->pages, "table %s has %" PRIu64 " rows, and says %" PRIu64, table->name,
               walk->entries, table->entries);
}

/* ---- the table of tables ---- */

enum { TABLES = 5 };

static int on_table(struct walk *walk, const struct node *node)
{
    static const char *const names[TABLES] = {"commands", "events", "meta", "rooms", "streams"};
    struct pages *pages = walk->pages;
    size_t place = 0;
    while (place < TABLES && !slice_is(node->key, names[place]))
        place++;
    if (place == TABLES || node->flags != NODE_TABLE || node->data.len != TABLE_SIZE)
        return bad(pages, "there is a table that is not ours");
    struct table table = table_of((const uint8_t *)node->data.at, names[place]);
    struct walk inner = {.pages = pages, .table = &table, .node_flags = NODE_BIG};
    pages->is_in_events = strcmp(table.name, "events") == 0;
    if (table.flags != (pages->is_in_events ? INTEGER_KEYS : 0))
        return bad(pages, "table %s is of another kind", table.name);
    int rv = check_table(&inner);
    pages->is_in_events = false;
    return rv;
}

/* ---- free pages ---- */

static int on_free(struct walk *walk, const struct node *node)
{
    struct pages *pages = walk->pages;
    const uint8_t *at = (const uint8_t *)node->data.at;
    if ((node->flags & NODE_BIG) != 0) at = page_at(pages, node->page) + PAGE_HEAD;
    uint64_t count = node->data_size < 8 ? UINT64_MAX : little_load(at, 8);
    if (count > node->data_size / 8 - 1) return bad(pages, "a list of free pages is too long");
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page = little_load(at + 8 * i, 8);
        if (!take(pages, page, 1))
            return bad(pages, "page %" PRIu64 " is free and in use, or is not there", page);
    }
    return 0;
}

/* ---- the file ---- */

static const char *check_head(const struct pages *pages, const uint8_t *page, uint64_t number)
{
    const uint8_t *at = page + PAGE_HEAD;
    if (little_load(page, 8) != number || little_load(page + 10, 2) != META) return "it is none";
    if (little_load(at, 4) != MAGIC) return "its magic number is another one";
    if (little_load(at + 4, 4) != 1) return "its version is another one";
    if (little_load(at + 24, 4) != pages->page_size) return "its pages have an impossible size";
    return NULL;
}

/* Both heads must be well; the later one is given. */
static int read_heads(struct pages *pages, const uint8_t **later)
{
    const uint8_t *heads[2];
    uint64_t transactions[2];
    for (uint64_t i = 0; i < 2; i++) {
        heads[i] = pages->map + i * pages->page_size;
        const char *why = check_head(pages, heads[i], i);
        if (why != NULL) return bad(pages, "its head, page %" PRIu64 ": %s", i, why);
        heads[i] += PAGE_HEAD;
        transactions[i] = little_load(heads[i] + 128, 8);
    }
    bool is_second = transactions[1] > transactions[0];
    uint64_t newest = transactions[is_second], oldest = transactions[!is_second];
    /* The transaction's last bit says which head it has written. */
    if (newest > oldest + 1 || (newest > 0 && newest % 2 != (is_second ? 1 : 0)))
        return bad(pages, "its two heads do not follow one another");
    *later = heads[is_second];
    pages->last = little_load(*later + 120, 8);
    if (pages->last < 1 || pages->last >= pages->file_size / pages->page_size)
        return bad(pages, "the file is shorter than it was");
    return 0;
}

static int check_all(struct pages *pages)
{
    const uint8_t *head = NULL;
    pages->page_size = pages->file_size < 64 ? 0 : (size_t)little_load(pages->map + 40, 4);
    size_t size = pages->page_size;
    if (size < 512 || size > 65536 || (size & (size - 1)) != 0 || pages->file_size < 2 * size)
        return bad(pages, "its head, page 0: its pages have an impossible size");
    int rv = read_heads(pages, &head);
    if (rv != 0) return rv;
    pages->seen = mem_new((size_t)(pages->last / 8 + 1));
    struct table free_pages = table_of(head + 24, "of free pages");
    struct table tables = table_of(head + 24 + TABLE_SIZE, "of tables");
    free_pages.flags = INTEGER_KEYS;
    struct walk free_walk = {
        .pages = pages, .table = &free_pages, .node_flags = NODE_BIG, .on_node = on_free};
    struct walk tables_walk = {
        .pages = pages, .table = &tables, .node_flags = NODE_TABLE, .on_node = on_table};
    rv = check_table(&tables_walk);
    if (rv == 0) rv = check_table(&free_walk);
    if (rv == 0 && pages->count != pages->last - 1)
        rv = bad(pages, "%" PRIu64 " pages belong to nothing", pages->last - 1 - pages->count);
    mem_free(pages->seen);
    return rv;
}

int pages_check(const char *dir, event_store_progress_fn on_progress, void *owner,
                struct event_store_damage *damage, struct errmsg *errmsg)
{
    char path[512];
    struct stat status;
    *damage = (struct event_store_damage){.number = 0};
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        errmsg_set(errmsg, "cannot open %s: %s", path, strerror(errno));
        int rv = errno == ENOENT ? ERR_DATA : ERR_IO;
        if (fd >= 0) close(fd);
        return rv;
    }
    struct pages pages = {.file_size = (size_t)status.st_size,
                          .on_progress = on_progress,
                          .owner = owner,
                          .damage = damage,
                          .errmsg = errmsg};
    void *map = pages.file_size == 0 ? MAP_FAILED
                                     : mmap(NULL, pages.file_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int rv = 0;
    if (map != MAP_FAILED) {
        pages.map = map;
        rv = check_all(&pages);
        munmap(map, pages.file_size);
    } else {
        rv = pages.file_size == 0 ? bad(&pages, "the file is empty") : ERR_IO;
        if (rv == ERR_IO) errmsg_set(errmsg, "cannot read %s: %s", path, strerror(errno));
    }
    close(fd);
    return rv;
}
