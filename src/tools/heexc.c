/* heexc: a template into C. A host program of the build.
 *
 *     livetea_heexc chat.heex chat.heex.h [chat.heex.d]
 *
 * Out comes one function, chat_render(r, page, shared), that calls render_* (live/render.h) for each
 * hole in order, the statics around the holes, and chat_template. The third file, if asked for, says
 * to the build which templates went in.
 *
 * The language is a small part of HEEx:
 *
 *   {@field} {@field.of.it}     a field of struct chat_page: private, the reader's own
 *   {@shared.field}             a field of struct chat_shared: the same for all readers
 *   {m.field} {m}               of the item in a loop
 *   name={...}                  an attribute whose whole value is one of these; left out if empty
 *   name="..." name='...' name  as it is; braces mean nothing in it
 *   :if={...} :if={!...}        on an element: only if it is not empty, not zero, true
 *   :for={m <- @list}           on an element: for each of `list_count` at `list`; may be nested,
 *                               :for={tag <- m.tags}
 *   :key={...}                  accepted, means nothing
 *   <%!-- ... --%>              a comment, not sent
 *   <%!-- include: side.heex --%>  that file's text, here; its elements must be whole
 *
 * In text a brace opens a hole when an @ or the name of a loop's item follows, and is a brace
 * otherwise. In <style>, <textarea> and <title> there are holes, but no elements; in <script>
 * neither. Elements are closed by hand, but <br> and its kin; <x/> is <x></x>. White space between
 * words is kept as one blank or one newline, in <pre> and <textarea> as it is.
 *
 * A :for under phx-update="stream" is a stream (one in a template, outside of all blocks, over
 * {@shared...}; each item has id={...}). A form with phx-submit becomes a struct of its own,
 * "r":1, and needs an id. What stands in an :if, a :for or such a form is a block: private (forms
 * always) or shared as its expression says, and so is all that is inside.
 *
 * One pass, no tree: the function's text grows in the order of the template. Statics are pieces
 * of one text: only the innermost block ever has an unfinished one. #line makes the C compiler
 * speak of the template. What is not in the language is an error with its place; then nothing is
 * written and the exit status is 1.
 *
 * One file, though longer than 500 lines: a program of the build without parts that another one could
 * use, read from top to bottom as scanner, expressions, elements, output.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/slice.h"

enum {
    SOURCE_MAX = 512 * 1024, /* bytes of all templates together */
    TEXT_MAX = 512 * 1024,   /* bytes of all statics */
    CODE_MAX = 1024 * 1024,
    PIECES_MAX = 4096,
    FRAGMENTS_MAX = 512,
    ELEMENTS_MAX = 128, /* open at once */
    BLOCKS_MAX = 10,    /* within one another; render's RENDER_DEPTH_MAX is more */
    ATTRIBUTES_MAX = 48,
    SOURCES_MAX = 16, /* a template and what it includes */
    EXPRESSION_MAX = 512,
    PATH_MAX_BYTES = 1024
};

enum scope { SCOPE_ITEM, SCOPE_PRIVATE, SCOPE_SHARED, SCOPE_NONE };
static const char *const scope_names[] = {"RENDER_ITEM", "RENDER_PRIVATE", "RENDER_SHARED"};

struct place {
    size_t at; /* in the source's text */
    unsigned line, column;
};

struct source {
    char path[PATH_MAX_BYTES];
    struct slice text;
    struct place place;
};

struct expression {
    char c[EXPRESSION_MAX]; /* as C */
    enum scope scope;
    bool negated;
    unsigned line;
};

enum attribute_kind { ATTRIBUTE_BARE, ATTRIBUTE_QUOTED, ATTRIBUTE_HOLE };

struct attribute {
    enum attribute_kind kind;
    struct slice name, value; /* quoted: with its quotes; hole: what is between the braces */
    struct place place, value_place;
};

enum block_kind { BLOCK_ROOT, BLOCK_IF, BLOCK_FORM, BLOCK_LIST, BLOCK_STREAM };

struct block {
    enum block_kind kind;
    enum scope scope; /* of all that is inside; SCOPE_NONE: any */
    bool in_loop;
    unsigned fragment, holes;
    /* of a loop */
    struct slice item;            /* its name */
    char list[EXPRESSION_MAX];    /* the list, as C */
    char item_c[EXPRESSION_MAX];  /* the item, as C */
    char id_c[EXPRESSION_MAX];    /* of a stream's item */
    struct expression expression; /* for #line */
};

struct element {
    struct slice name;
    struct place place;
    struct source *source;
    bool opens_block, keeps_space, has_no_elements;
    bool is_stream, has_child; /* the container of a stream, and its one child came */
};

struct fragment {
    unsigned holes;
    bool is_form;
};

static struct {
    char source_text[SOURCE_MAX], text[TEXT_MAX], code[CODE_MAX];
    size_t source_len, text_len, code_len;
    struct {
        unsigned fragment;
        size_t start, len;
    } pieces[PIECES_MAX];
    size_t pieces_count, piece_start;
    struct fragment fragments[FRAGMENTS_MAX];
    unsigned fragments_count;
    struct source sources[SOURCES_MAX];
    unsigned sources_count;
    struct source *source, *outer; /* being read, and where it was included */
    struct element elements[ELEMENTS_MAX];
    unsigned elements_count, elements_outer; /* elements open when the include began */
    struct block blocks[BLOCKS_MAX];
    unsigned blocks_count;
    struct attribute attributes[ATTRIBUTES_MAX];
    unsigned attributes_count;
    unsigned slots[SCOPE_NONE];
    unsigned loops; /* numbers the loops' variables */
    bool has_stream, uses[SCOPE_NONE];
    char name[64];
} c;

/* ---- errors and text ---- */

__attribute__((noreturn, format(printf, 2, 3))) static void fail(struct place place,
                                                                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%u:%u: error: ", c.source->path, place.line, place.column);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void add_text(struct slice text)
{
    if (text.len > sizeof c.text - c.text_len) fail(c.source->place, "too much text");
    if (text.len > 0) memcpy(c.text + c.text_len, text.at, text.len);
    c.text_len += text.len;
}

/* Into the function. A \1 in it stands for "from here on lines are the output's again". */
__attribute__((format(printf, 1, 2))) static void add_code(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof c.code - c.code_len;
    int len = vsnprintf(c.code + c.code_len, room, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= room) fail(c.source->place, "too much code");
    c.code_len += (size_t)len;
}

static void add_line(unsigned line)
{
    add_code("#line %u \"%s\"\n", line, c.source->path);
}

__attribute__((format(printf, 3, 4))) static void put(char out[EXPRESSION_MAX], struct place place,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(out, EXPRESSION_MAX, format, args);
    va_end(args);
    if (len < 0 || len >= EXPRESSION_MAX) fail(place, "expression too long");
}

/* ---- the source ---- */

static struct slice rest(void)
{
    return slice_skip(c.source->text, c.source->place.at);
}

static bool ahead(const char *word)
{
    return slice_starts(rest(), slice_from(word));
}

/* The next byte, 0 at the end. */
static char next(void)
{
    struct slice left = rest();
    return left.len == 0 ? '\0' : left.at[0];
}

static struct slice take(size_t count)
{
    struct slice taken = slice_first(rest(), count);
    struct place *place = &c.source->place;
    for (size_t i = 0; i < taken.len; i++) {
        bool is_continued = ((unsigned char)taken.at[i] & 0xc0) == 0x80; /* of a UTF-8 letter */
        if (taken.at[i] == '\n')
            *place = (struct place){place->at, place->line + 1, 1};
        else if (!is_continued)
            place->column++;
    }
    place->at += taken.len;
    return taken;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static void skip_space(void)
{
    while (is_space(next()))
        take(1);
}

static bool is_name(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_';
}

static struct slice take_while(bool (*is)(char))
{
    size_t len = 0;
    for (struct slice left = rest(); len < left.len && is(left.at[len]);)
        len++;
    return take(len);
}

/* Everything up to `end`, which is taken too. */
static struct slice take_until(const char *end, const char *what)
{
    struct place start = c.source->place;
    struct slice left = rest();
    const char *found = left.len == 0 ? NULL : memmem(left.at, left.len, end, strlen(end));
    if (found == NULL) fail(start, "%s without its end, %s", what, end);
    struct slice inside = take((size_t)(found - left.at));
    take(strlen(end));
    return inside;
}

/* Reads a file into the next free source; `place` is where it was asked for. */
static struct source *open_source(const char *path, struct place place)
{
    struct source *source = &c.sources[c.sources_count];
    struct source *from = c.source == NULL ? source : c.source;
    if (c.sources_count == SOURCES_MAX) fail(place, "too many includes");
    snprintf(source->path, sizeof source->path, "%s", path);
    source->place = (struct place){0, 1, 1};
    c.source = from;

    FILE *file = fopen(path, "rb");
    if (file == NULL) fail(place, "cannot open %s: %s", path, strerror(errno));
    char *at = c.source_text + c.source_len;
    size_t room = sizeof c.source_text - c.source_len;
    size_t len = fread(at, 1, room, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed) fail(place, "cannot read %s", path);
    if (len == room) fail(place, "%s is too large", path);
    if (memchr(at, '\0', len) != NULL) fail(place, "%s holds a NUL", path);
    c.source_len += len;
    source->text = slice_make(at, len);
    c.sources_count++;
    return source;
}

/* ---- blocks, statics, holes ---- */

static struct block *block(void)
{
    return &c.blocks[c.blocks_count - 1];
}

static struct element *element(void)
{
    return c.elements_count == 0 ? NULL : &c.elements[c.elements_count - 1];
}

static void finish_static(void)
{
    if (c.pieces_count == PIECES_MAX) fail(c.source->place, "too many holes");
    c.pieces[c.pieces_count].fragment = block()->fragment;
    c.pieces[c.pieces_count].start = c.piece_start;
    c.pieces[c.pieces_count++].len = c.text_len - c.piece_start;
    c.piece_start = c.text_len;
}

/* A hole of the innermost block begins here. */
static void begin_hole(void)
{
    finish_static();
    block()->holes++;
}

static struct block *push_block(enum block_kind kind, enum scope scope, struct place place)
{
    if (c.blocks_count == BLOCKS_MAX) fail(place, "more than %d blocks in one another", BLOCKS_MAX);
    if (c.fragments_count == FRAGMENTS_MAX) fail(place, "too many blocks");
    struct block *outer = c.blocks_count == 0 ? NULL : block();
    struct block *inner = &c.blocks[c.blocks_count++];
    bool is_loop = kind == BLOCK_LIST || kind == BLOCK_STREAM;
    *inner = (struct block){.kind = kind,
                            .scope = scope,
                            .in_loop = is_loop || (outer != NULL && outer->in_loop),
                            .fragment = c.fragments_count++};
    return inner;
}

static void pop_block(void)
{
    finish_static();
    struct block *done = block();
    c.fragments[done->fragment].holes = done->holes;
    c.blocks_count--;
    if (done->kind == BLOCK_IF || done->kind == BLOCK_FORM) {
        add_code("    render_close(r);\n    }\n");
    } else if (done->kind == BLOCK_LIST) {
        add_code("    }\n    render_list_end(r);\n    }\n");
    } else if (done->kind == BLOCK_STREAM) {
        unsigned loop = c.loops - 1;
        add_code("    }\n    if (render_inserts(r))\n");
        add_line(done->expression.line);
        add_code("        for (size_t i%u = 0; i%u < %s_count; i%u++) render_insert(r, %s);\n\1",
                 loop, loop, done->list, loop, done->id_c);
        add_code("    render_stream_end(r);\n    }\n");
    }
    if (done->kind == BLOCK_LIST || done->kind == BLOCK_STREAM) c.loops--;
}

static const struct block *find_item(struct slice name)
{
    for (unsigned i = c.blocks_count; i > 0; i--) {
        const struct block *loop = &c.blocks[i - 1];
        if (loop->item.len > 0 && slice_equal(loop->item, name)) return loop;
    }
    return NULL;
}

/* What stands in braces must be a path: @field, @shared.field, item.field. */
static struct expression read_expression(struct slice text, struct place place)
{
    struct expression made = {.line = place.line};
    struct slice whole = text;
    if (text.len > 0 && text.at[0] == '!') {
        made.negated = true;
        text = slice_skip(text, 1);
    }
    bool is_field = text.len > 0 && text.at[0] == '@';
    if (is_field) text = slice_skip(text, 1);
    for (size_t i = 0; i < text.len; i++) {
        bool starts = i == 0 || text.at[i - 1] == '.';
        bool good = starts ? isalpha((unsigned char)text.at[i]) || text.at[i] == '_'
                           : is_name(text.at[i]) || text.at[i] == '.';
        if (!good) text.len = 0; /* an error below */
    }
    if (text.len == 0 || text.at[text.len - 1] == '.')
        fail(place, "{%.*s}: not @field, @shared.field or a loop's item", (int)whole.len, whole.at);

    struct slice tail = text;
    struct slice first = slice_cut(&tail, '.');
    if (is_field && slice_is(first, "shared")) {
        if (tail.len == 0) fail(place, "{@shared}: of it one field, {@shared.field}");
        made.scope = SCOPE_SHARED;
        put(made.c, place, "shared->%.*s", (int)tail.len, tail.at);
    } else if (is_field) {
        made.scope = SCOPE_PRIVATE;
        put(made.c, place, "page->%.*s", (int)text.len, text.at);
    } else {
        const struct block *loop = find_item(first);
        if (loop == NULL) fail(place, "no loop has an item %.*s", (int)first.len, first.at);
        made.scope = SCOPE_ITEM;
        put(made.c, place, "%s%s%.*s", loop->item_c, tail.len > 0 ? "." : "", (int)tail.len,
            tail.at);
    }
    return made;
}

/* May it stand in this block? */
static void check_scope(const struct expression *expression, struct place place)
{
    if (expression->scope == SCOPE_ITEM) return;
    c.uses[expression->scope] = true;
    for (unsigned i = 0; i < c.blocks_count; i++)
        if (c.blocks[i].kind == BLOCK_STREAM)
            fail(place, "in a stream only its item may be shown: it is sent once");
    if (block()->scope == SCOPE_PRIVATE && expression->scope == SCOPE_SHARED)
        fail(place, "a shared value inside of a private block");
    if (block()->scope == SCOPE_SHARED && expression->scope == SCOPE_PRIVATE)
        fail(place, "a private value inside of a shared block");
}

/* "render_hole(r, SCOPE, slot)" for the hole that begins here. */
static void add_hole(const struct expression *expression)
{
    enum scope scope = block()->in_loop ? SCOPE_ITEM : expression->scope;
    begin_hole();
    unsigned slot = scope == SCOPE_ITEM ? 0 : c.slots[scope]++;
    add_code("    if (render_hole(r, %s, %u)", scope_names[scope], slot);
}

static void add_value(struct slice inside, struct place place, struct slice attribute)
{
    struct expression value = read_expression(inside, place);
    if (value.negated) fail(place, "! is for :if alone");
    check_scope(&value, place);
    add_hole(&value);
    add_code(")\n");
    add_line(value.line);
    if (attribute.len > 0)
        add_code("        render_attribute(r, \"%.*s\", %s);\n\1", (int)attribute.len, attribute.at,
                 value.c);
    else
        add_code("        render_value(r, %s);\n\1", value.c);
}

/* ---- start tags ---- */

static bool is_attribute_name(char byte)
{
    return is_name(byte) || byte == '-' || byte == ':' || byte == '.' || byte == '@';
}

static bool is_tag_name(char byte)
{
    return isalnum((unsigned char)byte) || byte == '-';
}

static struct slice trim(struct slice a)
{
    while (a.len > 0 && is_space(a.at[0]))
        a = slice_skip(a, 1);
    while (a.len > 0 && is_space(a.at[a.len - 1]))
        a.len--;
    return a;
}

static void read_value(struct attribute *made)
{
    made->value_place = c.source->place;
    char opening = next();
    if (opening == '{') {
        take(1);
        made->kind = ATTRIBUTE_HOLE;
        made->value_place = c.source->place;
        made->value = trim(take_until("}", "an expression"));
    } else if (opening == '"' || opening == '\'') {
        const char *end = opening == '"' ? "\"" : "'";
        take(1);
        made->kind = ATTRIBUTE_QUOTED;
        struct slice inside = take_until(end, "a value");
        made->value = slice_make(inside.at - 1, inside.len + 2);
    } else {
        fail(c.source->place, "a value needs quotes or braces");
    }
}

static void read_attributes(void)
{
    c.attributes_count = 0;
    for (;;) {
        skip_space();
        struct place place = c.source->place;
        if (next() == '>' || ahead("/>")) return;
        struct slice name = take_while(is_attribute_name);
        if (name.len == 0) fail(place, next() == '\0' ? "a tag without end" : "not an attribute");
        for (unsigned i = 0; i < c.attributes_count; i++)
            if (slice_equal(c.attributes[i].name, name))
                fail(place, "attribute %.*s twice", (int)name.len, name.at);
        if (c.attributes_count == ATTRIBUTES_MAX) fail(place, "too many attributes");
        struct attribute *made = &c.attributes[c.attributes_count++];
        *made = (struct attribute){.name = name, .place = place};
        skip_space();
        if (next() != '=') continue;
        take(1);
        skip_space();
        read_value(made);
    }
}

static const struct attribute *find_attribute(const char *name)
{
    for (unsigned i = 0; i < c.attributes_count; i++)
        if (slice_is(c.attributes[i].name, name)) return &c.attributes[i];
    return NULL;
}

static const struct attribute *find_special(const char *name)
{
    const struct attribute *found = find_attribute(name);
    if (found != NULL && found->kind != ATTRIBUTE_HOLE) fail(found->place, "%s needs braces", name);
    return found;
}

static void begin_if(const struct attribute *attribute, bool is_form)
{
    struct expression condition = read_expression(attribute->value, attribute->value_place);
    check_scope(&condition, attribute->value_place);
    enum scope scope = condition.scope == SCOPE_ITEM ? block()->scope : condition.scope;
    add_hole(&condition);
    struct block *made = push_block(BLOCK_IF, scope, attribute->place);
    c.fragments[made->fragment].is_form = is_form;
    add_code(" &&\n");
    add_line(condition.line);
    add_code("        render_if(r, %srender_truth(%s), &%s_fragments[%u])) {\n\1",
             condition.negated ? "!" : "", condition.c, c.name, made->fragment);
}

static void begin_form(struct place place)
{
    enum scope scope = block()->scope == SCOPE_NONE ? SCOPE_PRIVATE : block()->scope;
    const char *words = scope_names[block()->in_loop ? SCOPE_ITEM : scope];
    begin_hole();
    struct block *made = push_block(BLOCK_FORM, scope, place);
    c.fragments[made->fragment].is_form = true;
    add_code("    if (render_form(r, %s, &%s_fragments[%u])) {\n", words, c.name, made->fragment);
}

/* {item <- list} */
static struct slice split_for(const struct attribute *attribute, struct slice *item)
{
    struct slice text = attribute->value;
    const char *arrow = text.len == 0 ? NULL : memmem(text.at, text.len, "<-", 2);
    if (arrow == NULL) fail(attribute->value_place, ":for={item <- @list}");
    *item = trim(slice_first(text, (size_t)(arrow - text.at)));
    bool good = item->len > 0 && islower((unsigned char)item->at[0]);
    for (size_t i = 0; i < item->len; i++)
        good = good && is_name(item->at[i]);
    if (!good) fail(attribute->value_place, "an item is named like item or one_item");
    if (find_item(*item) != NULL)
        fail(attribute->value_place, "%.*s is an item already", (int)item->len, item->at);
    return trim(slice_skip(text, (size_t)(arrow - text.at) + 2));
}

static void begin_stream(const struct attribute *attribute, const struct expression *list)
{
    if (c.has_stream) fail(attribute->place, "a template has one stream at most");
    if (list->scope != SCOPE_SHARED) fail(attribute->place, "a stream's list is {@shared...}");
    c.has_stream = true;
    begin_hole();
    add_code("    if (render_stream(r)");
}

static void begin_for(const struct attribute *attribute, bool is_stream)
{
    struct slice item;
    struct slice text = split_for(attribute, &item);
    struct expression list = read_expression(text, attribute->value_place);
    if (list.negated) fail(attribute->value_place, "! is for :if alone");
    check_scope(&list, attribute->value_place);
    enum scope scope = list.scope == SCOPE_ITEM ? block()->scope : list.scope;
    if (is_stream)
        begin_stream(attribute, &list);
    else
        add_hole(&list);

    unsigned loop = c.loops++;
    struct block *made = push_block(is_stream ? BLOCK_STREAM : BLOCK_LIST, scope, attribute->place);
    add_code(" &&\n");
    add_line(list.line);
    add_code("        render_%slist(r, %s_count, &%s_fragments[%u])) {\n\1",
             is_stream ? "stream_" : "", list.c, c.name, made->fragment);
    add_line(list.line);
    add_code("    for (size_t i%u = 0; i%u < %s_count; i%u++) {\n\1    render_item(r);\n", loop,
             loop, list.c, loop);
    made->item = item;
    made->expression = list;
    put(made->list, attribute->place, "%s", list.c);
    put(made->item_c, attribute->place, "%s[i%u]", list.c, loop);
    if (!is_stream) return;
    const struct attribute *id = find_special("id");
    if (id == NULL) fail(attribute->place, "an item of a stream needs id={...}");
    struct expression id_of_item = read_expression(id->value, id->value_place);
    if (id_of_item.scope != SCOPE_ITEM) fail(id->place, "the id of an item is the item's own");
    put(made->id_c, id->place, "%s", id_of_item.c);
}

/* True if the element is a block. */
static bool begin_block(struct slice name, struct place place)
{
    const struct attribute *condition = find_special(":if");
    const struct attribute *loop = find_special(":for");
    bool is_form = slice_is(name, "form") && find_attribute("phx-submit") != NULL;
    struct element *parent = element();
    bool in_stream = parent != NULL && parent->is_stream;

    find_special(":key");
    if (condition != NULL && loop != NULL) fail(place, ":if and :for on one element");
    if (loop != NULL && is_form) fail(place, "a form with phx-submit cannot be repeated itself");
    if (is_form && find_attribute("id") == NULL) fail(place, "a form with phx-submit needs an id");
    if (in_stream && (loop == NULL || parent->has_child))
        fail(place, "what has phx-update=\"stream\" holds one element, with :for");
    if (in_stream) parent->has_child = true;

    if (condition != NULL) begin_if(condition, is_form);
    if (loop != NULL) begin_for(loop, in_stream);
    if (condition == NULL && is_form) begin_form(place);
    return condition != NULL || loop != NULL || is_form;
}

static void add_attributes(void)
{
    for (unsigned i = 0; i < c.attributes_count; i++) {
        const struct attribute *attribute = &c.attributes[i];
        struct slice name = attribute->name;
        if (name.at[0] == ':') {
            if (!slice_is(name, ":if") && !slice_is(name, ":for") && !slice_is(name, ":key"))
                fail(attribute->place, "%.*s means nothing here", (int)name.len, name.at);
            continue;
        }
        if (attribute->kind == ATTRIBUTE_HOLE) {
            add_value(attribute->value, attribute->value_place, name);
            continue;
        }
        add_text(slice_of(" "));
        add_text(name);
        if (attribute->kind == ATTRIBUTE_BARE) continue;
        add_text(slice_of("="));
        add_text(attribute->value);
    }
}

static bool is_one_of(struct slice name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (slice_is(name, *names)) return true;
    return false;
}

static bool is_stream_container(struct place place)
{
    const struct attribute *update = find_attribute("phx-update");
    if (update == NULL || update->kind != ATTRIBUTE_QUOTED) return false;
    struct slice value = slice_make(update->value.at + 1, update->value.len - 2);
    if (!slice_is(value, "stream")) return false;
    if (block()->kind != BLOCK_ROOT) fail(place, "a stream inside of an :if, a :for or a form");
    if (find_attribute("id") == NULL) fail(place, "a stream's container needs an id");
    return true;
}

static void start_tag(void)
{
    static const char *const voids[] = {"area",  "base", "br",   "col",    "embed", "hr",  "img",
                                        "input", "link", "meta", "source", "track", "wbr", NULL};
    static const char *const spacious[] = {"pre", "textarea", "style", "script", NULL};
    static const char *const texts[] = {"textarea", "style", "script", "title", NULL};

    struct place place = c.source->place;
    take(1);
    struct slice name = take_while(is_tag_name);
    if (name.len == 0 || !islower((unsigned char)name.at[0]))
        fail(place, "not an element; components are not known here, a lone < is &lt;");
    read_attributes();
    bool is_void = is_one_of(name, voids);
    bool is_whole = ahead("/>");
    take(is_whole ? 2 : 1);

    bool opens_block = begin_block(name, place);
    add_text(slice_of("<"));
    add_text(name);
    add_attributes();
    add_text(slice_of(">"));
    if (is_whole && !is_void) {
        add_text(slice_of("</"));
        add_text(name);
        add_text(slice_of(">"));
    }
    if (is_void || is_whole) {
        if (opens_block) pop_block();
        return;
    }
    if (c.elements_count == ELEMENTS_MAX) fail(place, "too many elements in one another");
    bool keeps_space = is_one_of(name, spacious) || (element() != NULL && element()->keeps_space);
    bool is_stream = is_stream_container(place);
    c.elements[c.elements_count++] = (struct element){.name = name,
                                                      .place = place,
                                                      .source = c.source,
                                                      .opens_block = opens_block,
                                                      .keeps_space = keeps_space,
                                                      .has_no_elements = is_one_of(name, texts),
                                                      .is_stream = is_stream};
}

static void end_tag(void)
{
    struct place place = c.source->place;
    take(2);
    struct slice name = take_while(is_tag_name);
    skip_space();
    if (name.len == 0 || next() != '>') fail(place, "not an end tag");
    take(1);
    struct element *open = element();
    unsigned outer = c.outer == NULL ? 0 : c.elements_outer;
    if (open == NULL || c.elements_count <= outer)
        fail(place, "</%.*s> closes nothing", (int)name.len, name.at);
    if (!slice_equal(open->name, name))
        fail(place, "</%.*s> where </%.*s> is missing, opened in line %u", (int)name.len, name.at,
             (int)open->name.len, open->name.at, open->place.line);
    if (open->is_stream && !open->has_child) fail(place, "a stream without its :for");
    add_text(slice_of("</"));
    add_text(name);
    add_text(slice_of(">"));
    c.elements_count--;
    if (open->opens_block) pop_block();
}

/* ---- the rest of the text ---- */

static void include(struct slice name, struct place place)
{
    if (c.outer != NULL) fail(place, "an include inside of an included template");
    char path[PATH_MAX_BYTES];
    const char *slash = strrchr(c.source->path, '/');
    int folder = slash == NULL ? 0 : (int)(slash - c.source->path) + 1;
    int len =
        snprintf(path, sizeof path, "%.*s%.*s", folder, c.source->path, (int)name.len, name.at);
    if (len < 0 || (size_t)len >= sizeof path) fail(place, "the path is too long");
    struct source *inner = open_source(path, place);
    c.outer = c.source;
    c.source = inner;
    c.elements_outer = c.elements_count;
}

static void comment(void)
{
    struct place place = c.source->place;
    if (!ahead("<%!--")) fail(place, "of <%% there is only the comment, <%%!-- ... --%%>");
    take(5);
    struct slice inside = trim(take_until("--%>", "a comment"));
    struct slice word = slice_of("include:");
    if (slice_starts(inside, word)) include(trim(slice_skip(inside, word.len)), place);
}

static void space(void)
{
    struct slice run = take_while(is_space);
    const struct element *inside = element();
    if (inside != NULL && inside->is_stream) return;
    if (inside != NULL && inside->keeps_space) {
        add_text(run);
        return;
    }
    bool has_newline = memchr(run.at, '\n', run.len) != NULL;
    bool is_first = c.text_len == c.piece_start;
    if (is_first && c.pieces_count == 0) return;
    if (!is_first && has_newline && c.text[c.text_len - 1] == '\n') return;
    add_text(has_newline ? slice_of("\n") : slice_of(" "));
}

/* A brace in text: does a hole begin? */
static bool is_hole(void)
{
    struct slice left = slice_skip(rest(), 1);
    if (left.len > 0 && left.at[0] == '@') return true;
    size_t len = 0;
    while (len < left.len && is_name(left.at[len]))
        len++;
    bool ends = len < left.len && (left.at[len] == '.' || left.at[len] == '}');
    return len > 0 && ends && find_item(slice_first(left, len)) != NULL;
}

static void brace(void)
{
    const struct element *inside = element();
    if (!is_hole()) {
        add_text(take(1));
        return;
    }
    if (inside != NULL && slice_is(inside->name, "script"))
        fail(c.source->place, "a hole in a <script>");
    take(1);
    struct place place = c.source->place;
    struct slice expression = trim(take_until("}", "an expression"));
    add_value(expression, place, slice_of(""));
}

static void end_of_source(void)
{
    unsigned outer = c.outer == NULL ? 0 : c.elements_outer;
    struct element *open = element();
    if (c.elements_count > outer)
        fail(open->place, "<%.*s> is not closed", (int)open->name.len, open->name.at);
    if (c.outer == NULL) return;
    c.source = c.outer;
    c.outer = NULL;
}

static bool is_plain(char byte)
{
    return byte != '<' && byte != '{' && !is_space(byte);
}

static void content(void)
{
    const struct element *inside = element();
    bool in_text = inside != NULL && inside->has_no_elements;
    if (in_text && next() == '<' && !ahead("</") && !ahead("<%")) {
        add_text(take(1));
    } else if (ahead("<%")) {
        comment();
    } else if (ahead("</")) {
        end_tag();
    } else if (ahead("<!--")) {
        take(4);
        take_until("-->", "a comment");
    } else if (next() == '<') {
        start_tag();
    } else if (next() == '{') {
        brace();
    } else if (is_space(next())) {
        space();
    } else {
        if (inside != NULL && inside->is_stream) fail(c.source->place, "text beside a stream");
        add_text(take_while(is_plain));
    }
}

static void compile(void)
{
    push_block(BLOCK_ROOT, SCOPE_NONE, c.source->place);
    while (rest().len > 0 || c.outer != NULL) {
        if (rest().len == 0)
            end_of_source();
        else
            content();
    }
    end_of_source();
    while (c.text_len > c.piece_start && is_space(c.text[c.text_len - 1]))
        c.text_len--;
    pop_block();
}

/* ---- the output ---- */

/* The inside of a C literal; as the inside of a JSON string inside of one if `json`. */
static void write_literal(FILE *out, struct slice text, bool json)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        const char *slash = json ? "\\\\" : "\\";
        if (byte == '"' || byte == '\\')
            fprintf(out, "%s\\%c", json ? "\\\\" : "", byte);
        else if (byte == '\n' || byte == '\r' || byte == '\t')
            fprintf(out, "%s%c", slash, byte == '\n' ? 'n' : byte == '\r' ? 'r' : 't');
        else if (byte == '?')
            fputs("\\?", out); /* no trigraphs */
        else if (byte < 0x20 && json)
            fprintf(out, "\\\\u00%02x", byte);
        else if (byte < 0x20 || byte >= 0x7f)
            fprintf(out, "\\%03o", byte);
        else
            fputc(byte, out);
    }
}

static struct slice piece(size_t i)
{
    return slice_make(c.text + c.pieces[i].start, c.pieces[i].len);
}

static void write_fragments(FILE *out)
{
    for (unsigned f = 0; f < c.fragments_count; f++) {
        fprintf(out, "static const struct slice %s_statics_%u[] = {\n", c.name, f);
        for (size_t i = 0; i < c.pieces_count; i++) {
            if (c.pieces[i].fragment != f) continue;
            fputs("    SLICE(\"", out);
            write_literal(out, piece(i), false);
            fputs("\"),\n", out);
        }
        fputs("};\n", out);
    }
    fprintf(out, "static const struct fragment %s_fragments[] = {\n", c.name);
    for (unsigned f = 0; f < c.fragments_count; f++) {
        fprintf(out,
                "    {.statics = %s_statics_%u, .holes = %u,\n     .json = SLICE(\"\\\"s\\\":[",
                c.name, f, c.fragments[f].holes);
        const char *comma = "";
        for (size_t i = 0; i < c.pieces_count; i++) {
            if (c.pieces[i].fragment != f) continue;
            fprintf(out, "%s\\\"", comma);
            write_literal(out, piece(i), true);
            fputs("\\\"", out);
            comma = ",";
        }
        fprintf(out, "]%s\")},\n", c.fragments[f].is_form ? ",\\\"r\\\":1" : "");
    }
    fputs("};\n", out);
}

/* FNV-1a over the statics and where they end. */
static uint64_t fingerprint(void)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < c.pieces_count; i++) {
        struct slice text = piece(i);
        for (size_t k = 0; k <= text.len; k++) {
            unsigned char byte = k < text.len ? (unsigned char)text.at[k] : 0xff;
            hash = (hash ^ byte) * 0x100000001b3u;
        }
        hash = (hash ^ c.pieces[i].fragment) * 0x100000001b3u;
    }
    return hash;
}

/* The function, with each \1 replaced by a #line for the output's own next line. */
static void write_code(FILE *out, const char *path, unsigned line)
{
    for (size_t i = 0; i < c.code_len; i++) {
        if (c.code[i] == '\1') {
            line++;
            fprintf(out, "#line %u \"%s\"\n", line + 1, path);
            continue;
        }
        if (c.code[i] == '\n') line++;
        fputc(c.code[i], out);
    }
}

static unsigned count_lines(FILE *out)
{
    unsigned lines = 0;
    rewind(out);
    for (int byte = fgetc(out); byte != EOF; byte = fgetc(out))
        lines += byte == '\n';
    fseek(out, 0, SEEK_END);
    return lines;
}

static void write_header(FILE *out, const char *path)
{
    const char *slash = strrchr(c.sources[0].path, '/');
    const char *file = slash == NULL ? c.sources[0].path : slash + 1;
    fprintf(out, "/* Made by heexc from %s. */\n#include \"live/render.h\"\n\n", file);
    fputs("#pragma GCC diagnostic push\n"
          "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n",
          out);
    write_fragments(out);
    fputs("#pragma GCC diagnostic pop\n\n", out);
    fprintf(out,
            "static const struct template %s_template = {\n    .file = \"%s\",\n"
            "    .private_slots = %u,\n    .shared_slots = %u,\n    .fingerprint = 0x%llxu};\n\n",
            c.name, file, c.slots[SCOPE_PRIVATE], c.slots[SCOPE_SHARED],
            (unsigned long long)fingerprint());
    fprintf(out,
            "static void %s_render(struct render *r, const void *page_at, const void *shared_at)\n"
            "{\n",
            c.name);
    static const char *const models[] = {[SCOPE_PRIVATE] = "page", [SCOPE_SHARED] = "shared"};
    for (int scope = SCOPE_PRIVATE; scope <= SCOPE_SHARED; scope++) {
        if (c.uses[scope])
            fprintf(out, "    const struct %s_%s *%s = %s_at;\n", c.name, models[scope],
                    models[scope], models[scope]);
        else
            fprintf(out, "    (void)%s_at;\n", models[scope]);
    }
    fprintf(out, "    render_open(r, &%s_fragments[0]);\n", c.name);
    write_code(out, path, count_lines(out));
    fputs("    render_close(r);\n}\n", out);
}

static void write_dependencies(FILE *out, const char *target)
{
    fprintf(out, "%s:", target);
    for (unsigned i = 0; i < c.sources_count; i++)
        fprintf(out, " %s", c.sources[i].path);
    fputc('\n', out);
}

static void write_file(const char *path, const char *target, void (*write)(FILE *, const char *))
{
    FILE *out = fopen(path, "w+b");
    bool failed = out == NULL;
    if (!failed) {
        write(out, target);
        failed = ferror(out) != 0;
        failed = fclose(out) != 0 || failed;
    }
    if (failed) {
        fprintf(stderr, "heexc: cannot write %s: %s\n", path, strerror(errno));
        remove(path);
        exit(1);
    }
}

static void set_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct slice file = slice_from(slash == NULL ? path : slash + 1);
    struct slice name = slice_first(file, slice_find(file, '.'));
    bool good = name.len > 0 && name.len < sizeof c.name && islower((unsigned char)name.at[0]) &&
                slice_is(slice_skip(file, name.len), ".heex");
    for (size_t i = 0; i < name.len; i++)
        good = good && is_name(name.at[i]);
    if (!good) {
        fprintf(stderr, "heexc: %s: a template is named like chat.heex\n", path);
        exit(1);
    }
    memcpy(c.name, name.at, name.len);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) {
        fputs("usage: heexc name.heex name.heex.h [name.heex.d]\n", stderr);
        return 2;
    }
    set_name(argv[1]);
    c.source = open_source(argv[1], (struct place){0, 1, 1});
    compile();
    write_file(argv[2], argv[2], write_header);
    if (argc == 4) write_file(argv[3], argv[2], write_dependencies);
    return 0;
}
