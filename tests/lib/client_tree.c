#include "client_tree.h"

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"

struct client_node { /* a JSON value that can be changed */
    enum json_type type;
    char *key;  /* in an object */
    char *text; /* of a string */
    int64_t number;
    struct client_node *first, *next; /* children of an array or object */
};

enum { TEXT_MAX = 4 * 1024 * 1024 };

static void node_free(struct client_node *node)
{
    if (node == NULL) return;
    while (node->first != NULL) {
        struct client_node *child = node->first;
        node->first = child->next;
        node_free(child);
    }
    mem_free(node->key);
    mem_free(node->text);
    mem_free(node);
}

static struct client_node *node_new(const struct json *json);

static void add_child(struct client_node *node, struct client_node *child)
{
    struct client_node **at = &node->first;
    while (*at != NULL)
        at = &(*at)->next;
    *at = child;
}

static struct client_node *node_new(const struct json *json)
{
    struct client_node *node = mem_new(sizeof *node);
    node->type = json_type(json);
    if (node->type == JSON_T_STRING) {
        struct slice text = json_slice(json);
        node->text = mem_string(text.at, text.len);
    }
    if (node->type == JSON_T_NUMBER) json_to_i64(json, &node->number);
    for (size_t i = 0; node->type == JSON_T_ARRAY && i < json_count(json); i++)
        add_child(node, node_new(json_at(json, i)));
    void *walk = NULL;
    struct slice key;
    for (const struct json *value; (value = json_member(json, &walk, &key)) != NULL;) {
        struct client_node *child = node_new(value);
        child->key = mem_string(key.at, key.len);
        add_child(node, child);
    }
    return node;
}

static struct client_node **find(struct client_node *node, const char *key)
{
    struct client_node **at = &node->first;
    while (*at != NULL && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    return at;
}

static struct client_node *get(const struct client_node *node, const char *key)
{
    if (node == NULL || node->type != JSON_T_OBJECT) return NULL;
    for (struct client_node *child = node->first; child != NULL; child = child->next)
        if (strcmp(child->key, key) == 0) return child;
    return NULL;
}

static size_t count(const struct client_node *node)
{
    size_t children = 0;
    for (const struct client_node *at = node->first; at != NULL; at = at->next)
        children++;
    return children;
}

/* Replaces what is at the key. */
static void set(struct client_node *node, const char *key, struct client_node *value)
{
    struct client_node **at = find(node, key);
    struct client_node *before = *at;
    mem_free(value->key);
    value->key = mem_string(key, strlen(key));
    value->next = before == NULL ? NULL : before->next;
    *at = value;
    if (before != NULL) before->next = NULL;
    node_free(before);
}

/* ---- merging ---- */

static const char *merge(struct client_node *old, const struct json *diff);

/* {"k":{"0":{...},"kc":n},"stream":...}: moves are never sent by us. */
static const char *merge_keyed(struct client_node *old, const struct json *diff)
{
    struct client_node *entries = get(old, "k");
    const struct json *news = json_get(diff, "k");
    int64_t entries_count;
    if (entries == NULL) return "keyed diff where no list is";
    if (!json_to_i64(json_get(news, "kc"), &entries_count)) return "a list without its count";
    void *walk = NULL;
    struct slice key;
    for (const struct json *value; (value = json_member(news, &walk, &key)) != NULL;) {
        if (slice_is(key, "kc")) continue;
        if (json_type(value) != JSON_T_OBJECT) return "an entry that is no object";
        struct client_node *entry = get(entries, key.at);
        if (entry == NULL) {
            set(entries, key.at, node_new(value));
        } else {
            const char *problem = merge(entry, value);
            if (problem != NULL) return problem;
        }
    }
    set(entries, "kc", node_new(json_get(news, "kc")));
    if (json_get(diff, "stream") != NULL) set(old, "stream", node_new(json_get(diff, "stream")));
    return NULL;
}

static const char *merge(struct client_node *old, const struct json *diff)
{
    if (json_get(diff, "k") != NULL) return merge_keyed(old, diff);
    void *walk = NULL;
    struct slice key;
    for (const struct json *value; (value = json_member(diff, &walk, &key)) != NULL;) {
        struct client_node *here = get(old, key.at);
        bool is_object = json_type(value) == JSON_T_OBJECT;
        if (here == NULL) return "a key that the tree does not have";
        if (is_object && json_get(value, "s") == NULL) {
            if (here->type != JSON_T_OBJECT) return "an object without statics where text is";
            const char *problem = merge(here, value);
            if (problem != NULL) return problem;
        } else {
            set(old, key.at, node_new(value));
        }
    }
    return NULL;
}

/* ---- HTML ---- */

static const char *add_node(const struct client_node *node, const struct client_tree *tree,
                            struct buf *out);

static const char *add_struct(const struct client_node *statics, const struct client_node *holes,
                              const struct client_tree *tree, struct buf *out)
{
    if (statics == NULL || statics->type != JSON_T_ARRAY) return "a struct without statics";
    size_t place = 0;
    for (const struct client_node *text = statics->first; text != NULL; text = text->next) {
        char key[24];
        snprintf(key, sizeof key, "%zu", place++);
        if (text->type != JSON_T_STRING) return "a static that is no text";
        buf_add(out, slice_from(text->text));
        const struct client_node *hole = get(holes, key);
        if (text->next == NULL) return hole == NULL ? NULL : "more holes than statics";
        if (hole == NULL) return "fewer holes than statics";
        const char *problem = add_node(hole, tree, out);
        if (problem != NULL) return problem;
    }
    return NULL;
}

static const char *add_entries(const struct client_node *node, const struct client_tree *tree,
                               struct buf *out)
{
    const struct client_node *entries = get(node, "k");
    const struct client_node *entries_count = get(entries, "kc");
    if (entries_count == NULL) return "a list without its count";
    for (int64_t i = 0; i < entries_count->number; i++) {
        char key[24];
        snprintf(key, sizeof key, "%lld", (long long)i);
        const struct client_node *entry = get(entries, key);
        if (entry == NULL) return "a list with a hole";
        const char *problem = add_struct(get(node, "s"), entry, tree, out);
        if (problem != NULL) return problem;
    }
    return NULL;
}

static const char *add_node(const struct client_node *node, const struct client_tree *tree,
                            struct buf *out)
{
    if (node->type == JSON_T_STRING) {
        buf_add(out, slice_from(node->text));
        return NULL;
    }
    if (node->type != JSON_T_OBJECT) return "a hole that is neither text nor object";
    if (get(node, "stream") != NULL) {
        for (size_t i = 0; i < tree->children_count; i++)
            buf_add(out, slice_from(tree->children[i].html));
        return NULL;
    }
    if (get(node, "k") != NULL) return add_entries(node, tree, out);
    size_t start = out->len;
    const char *problem = add_struct(get(node, "s"), node, tree, out);
    bool is_root = get(node, "r") != NULL;
    struct slice html = slice_skip(buf_slice(out), start);
    if (problem == NULL && is_root && !slice_starts(html, slice_of("<form")))
        return "a root struct that does not begin with its element";
    return problem;
}

const char *client_tree_html(const struct client_tree *tree, struct buf *out)
{
    if (tree->root == NULL) return "nothing was joined";
    return add_node(tree->root, tree, out);
}

/* ---- the stream's children ---- */

static size_t find_child(const struct client_tree *tree, const char *id)
{
    size_t i = 0;
    while (i < tree->children_count && strcmp(tree->children[i].id, id) != 0)
        i++;
    return i;
}

static void remove_children(struct client_tree *tree)
{
    for (size_t i = 0; i < tree->children_count; i++) {
        mem_free(tree->children[i].id);
        mem_free(tree->children[i].html);
    }
    tree->children_count = 0;
}

/* In place if the id is there, else at the end (-1) or the place `at`. */
static void insert_child(struct client_tree *tree, const char *id, struct slice html, int64_t at)
{
    size_t place = find_child(tree, id);
    if (place < tree->children_count) {
        mem_free(tree->children[place].html);
        tree->children[place].html = mem_string(html.at, html.len);
        return;
    }
    size_t size = (tree->children_count + 1) * sizeof *tree->children;
    tree->children = mem_grow(tree->children, size);
    place = at < 0 ? tree->children_count : (size_t)at;
    memmove(tree->children + place + 1, tree->children + place,
            (tree->children_count - place) * sizeof *tree->children);
    tree->children[place] = (struct client_child){.id = mem_string(id, strlen(id)),
                                                  .html = mem_string(html.at, html.len)};
    tree->children_count++;
}

static const char *apply_inserts(struct client_tree *tree, struct client_node *node,
                                 const struct client_node *inserts)
{
    struct client_node *entries = get(node, "k");
    const struct client_node *entries_count = get(entries, "kc");
    if (entries_count == NULL) return "a stream without the count of its entries";
    if ((size_t)entries_count->number != count(inserts)) return "inserts and entries differ";
    const struct client_node *insert = inserts->first;
    for (int64_t i = 0; i < entries_count->number; i++, insert = insert->next) {
        char key[24];
        char start[300];
        struct buf html;
        snprintf(key, sizeof key, "%lld", (long long)i);
        const struct client_node *entry = get(entries, key);
        const struct client_node *id = insert->first;
        if (entry == NULL || id == NULL || id->next == NULL) return "an insert without its parts";
        buf_init(&html, TEXT_MAX);
        const char *problem = add_struct(get(node, "s"), entry, tree, &html);
        snprintf(start, sizeof start, " id=\"%s\"", id->text);
        buf_add_char(&html, '\0');
        if (problem == NULL && strstr(html.at, start) == NULL) problem = "an item without its id";
        if (problem == NULL)
            insert_child(tree, id->text, slice_first(buf_slice(&html), html.len - 1),
                         id->next->number);
        buf_close(&html);
        if (problem != NULL) return problem;
    }
    return NULL;
}

/* The entries are poured into the container and forgotten, as the client does. */
static const char *apply_stream(struct client_tree *tree, bool is_join)
{
    for (struct client_node *node = tree->root->first; node != NULL; node = node->next) {
        struct client_node *stream = get(node, "stream");
        if (stream == NULL) continue;
        if (stream->type != JSON_T_ARRAY) return NULL; /* nothing new */
        if (count(stream) < 3) return "a stream of less than three parts";
        if (count(stream) > 3 || is_join) remove_children(tree);
        const char *problem = apply_inserts(tree, node, stream->first->next);
        struct client_node *none = mem_new(sizeof *none);
        none->type = JSON_T_OBJECT;
        struct client_node *zero = mem_new(sizeof *zero);
        zero->type = JSON_T_NUMBER;
        set(none, "kc", zero);
        set(node, "k", none);
        struct client_node *done = mem_new(sizeof *done);
        done->type = JSON_T_BOOL;
        set(node, "stream", done);
        return problem;
    }
    return NULL;
}

/* ---- messages ---- */

/* t is the title, e are events: neither is the tree's. */
static void take_title(struct client_tree *tree, struct client_node *root)
{
    struct client_node **at = find(root, "t");
    struct client_node *title = *at;
    if (title == NULL) return;
    snprintf(tree->title, sizeof tree->title, "%s", title->text == NULL ? "" : title->text);
    *at = title->next;
    title->next = NULL;
    node_free(title);
}

void client_tree_init(struct client_tree *tree)
{
    *tree = (struct client_tree){.root = NULL};
}

void client_tree_close(struct client_tree *tree)
{
    remove_children(tree);
    mem_free(tree->children);
    node_free(tree->root);
    client_tree_init(tree);
}

static const char *replace(struct client_tree *tree, const struct json *rendered, bool is_join)
{
    node_free(tree->root);
    tree->root = node_new(rendered);
    take_title(tree, tree->root);
    return apply_stream(tree, is_join);
}

const char *client_tree_join(struct client_tree *tree, const struct json *rendered)
{
    if (json_get(rendered, "s") == NULL) return "a join without statics";
    return replace(tree, rendered, true);
}

const char *client_tree_diff(struct client_tree *tree, const struct json *diff)
{
    if (tree->root == NULL) return "a diff before the join";
    if (json_type(diff) != JSON_T_OBJECT) return "a diff that is no object";
    if (json_get(diff, "s") != NULL) return replace(tree, diff, false);
    if (json_get(diff, "t") != NULL && get(tree->root, "t") == NULL) {
        struct client_node *none = mem_new(sizeof *none);
        none->type = JSON_T_NULL;
        set(tree->root, "t", none); /* for the merge to replace */
    }
    const char *problem = merge(tree->root, diff);
    if (problem != NULL) return problem;
    take_title(tree, tree->root);
    return apply_stream(tree, false);
}
