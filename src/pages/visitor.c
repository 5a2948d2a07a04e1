#include "pages/visitor.h"

#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"
#include "pages/pages.h"

static uint16_t word_hash(struct slice word)
{
    struct buf lower;
    buf_init(&lower, 4 * NAME_MAX_BYTES);
    text_lower(&lower, word);
    uint64_t hash = hash_fnv1a(buf_slice(&lower)) >> 48;
    buf_close(&lower);
    return (uint16_t)hash;
}

/* "Ola Nordmann" is meant by @Ola and by @OlaNordmann. */
static void hash_words(struct visitor *visitor, struct slice name)
{
    char joined[NAME_MAX_BYTES];
    size_t len = 0;
    if (name.len == 0) return;
    visitor->words[0] = word_hash(slice_first(name, slice_find(name, ' ')));
    for (size_t i = 0; i < name.len && i < sizeof joined; i++) {
        if (name.at[i] != ' ') joined[len++] = name.at[i];
    }
    if (len < name.len) visitor->words[1] = word_hash(slice_make(joined, len));
}

void visitor_mount(struct visitor *visitor, struct live *live, const struct side *side)
{
    struct buf token;
    *visitor = (struct visitor){.live = live};
    buf_init(&token, TOKEN_MAX);
    token_add_csrf(&token, &live->host->keys, live->identity->csrf);
    visitor->csrf = mem_string(token.at, token.len);
    visitor->csrf_len = (uint16_t)token.len;
    buf_close(&token);
    hash_words(visitor, identity_name(live->identity));
    if (live_hint(live) == CHAT_NAME_INVALID) visitor->name_state = NAME_INVALID;
    if (live->state != LIVE_DEAD) reader_enter(&live->reader, side->room, side->board);
}

void visitor_unmount(struct visitor *visitor)
{
    mem_free(visitor->csrf);
    mem_free(visitor->name);
}

void visitor_set_name(struct visitor *visitor, const struct params *params)
{
    struct buf name;
    buf_init(&name, NAME_MAX_BYTES);
    if (text_name(&name, params_get(params, "name"))) {
        mem_free(visitor->name);
        visitor->name = mem_string(name.at, name.len);
        visitor->name_len = (uint16_t)name.len;
        visitor->name_state = NAME_GIVEN;
    } else {
        visitor->name_state = NAME_INVALID;
    }
    buf_close(&name);
}

void visitor_fill(struct visitor_view *view, const struct visitor *visitor)
{
    struct slice name = identity_name(visitor->live->identity);
    *view = (struct visitor_view){
        .csrf = slice_make(visitor->csrf, visitor->csrf_len),
        .name = name,
        .name_given = visitor->name == NULL ? name : slice_make(visitor->name, visitor->name_len),
        .has_name = name.len > 0,
    };
    if (visitor->name_state == NAME_GIVEN) view->trigger = slice_of("true");
    if (visitor->name_state == NAME_INVALID) {
        view->name_hint = slice_of("A name has 1 to 40 characters that can be seen.");
    }
}

void visitor_add_style(struct buf *out, const struct visitor *visitor, const struct side *side,
                       struct slice more)
{
    const struct live *live = visitor->live;
    const uint8_t *id = live->identity->sender_id.bytes;
    char nonce[PAGES_NONCE];
    pages_style_nonce(nonce, live->identity);
    buf_add(out, slice_of("<style nonce=\""));
    buf_add_html(out, slice_from(live->style_nonce != NULL ? live->style_nonce : nonce));
    buf_add(out, slice_of("\">"));
    buf_printf(out,
               ".u-%02x%02x .who{color:var(--leaf)}.p-%02x%02x .here>*{display:none}"
               ".p-%02x%02x .here::before{content:\"you\"}",
               id[0], id[1], id[0], id[1], id[0], id[1]);
    for (size_t i = 0; i < 2; i++) {
        if (visitor->words[i] == 0) continue;
        buf_printf(out, ".body .w-%04x{background:var(--leaf);color:var(--on-leaf)}",
                   visitor->words[i]);
    }
    reader_add_css(out, live->reader, side);
    buf_add(out, more);
    buf_add(out, slice_of("</style>"));
}
