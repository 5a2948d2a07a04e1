#include "pages/pages.h"

#include <inttypes.h>

#include "base/crypto.h"
#include "base/text.h"
#include "pages/side.h"

/* ---- routes ---- */

bool pages_is_reserved(struct slice word)
{
    static const char *const reserved[] = {
        "api",     "assets", "cluster", "favicon.ico", "live",    "livez",
        "metrics", "readyz", "rooms",   "robots.txt",  "session", "status",
    };
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (slice_is(word, reserved[i])) return true;
    }
    return false;
}

/* "e=too_fast" among the fields of the query, or "e=unknown". */
static int hint_of(struct slice query)
{
    static const enum chat_refusal refusals[] = {
#define REFUSAL(name, word, sentence) name,
        CHAT_REFUSAL_TABLE(REFUSAL)
#undef REFUSAL
    };
    while (query.len > 0) {
        struct slice field = slice_cut(&query, '&');
        if (!slice_starts(field, slice_of("e="))) continue;
        if (slice_is(slice_skip(field, 2), "unknown")) return LIVE_HINT_UNKNOWN;
        for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
            if (slice_is(slice_skip(field, 2), chat_refusal_word(refusals[i])))
                return (int)refusals[i];
        }
    }
    return CHAT_ACCEPTED;
}

static enum live_find find_room(struct slice segment, struct live_address *address, struct buf *to)
{
    enum live_find found = LIVE_NOWHERE;
    struct buf raw, room;
    buf_init(&raw, 4 * 1024);
    buf_init(&room, ROOM_MAX);
    if (text_unescape_url(&raw, segment, false) && !raw.overflowed && text_valid(buf_slice(&raw)) &&
        text_room(&room, buf_slice(&raw)) && !room.overflowed &&
        !pages_is_reserved(buf_slice(&room))) {
        if (slice_equal(buf_slice(&raw), buf_slice(&room))) {
            address->view = &chat_view;
            memcpy(address->room, room.at, room.len);
            address->room_len = (uint8_t)room.len;
            found = LIVE_FOUND;
        } else {
            buf_add_char(to, '/');
            text_escape_url(to, buf_slice(&room));
            found = LIVE_ELSEWHERE;
        }
    }
    buf_close(&raw);
    buf_close(&room);
    return found;
}

enum live_find pages_find(struct slice path, struct live_address *address, struct buf *to)
{
    struct slice query = slice_first(path, slice_find(path, '#'));
    struct slice segment = slice_cut(&query, '?');

    *address = (struct live_address){.hint = hint_of(query)};
    if (!slice_starts(segment, slice_of("/"))) return LIVE_NOWHERE;
    segment = slice_skip(segment, 1);
    if (segment.len == 0) {
        address->view = &home_view;
        return LIVE_FOUND;
    }
    if (slice_is(segment, "cluster")) {
        address->view = &cluster_view;
        return LIVE_FOUND;
    }
    if (slice_find(segment, '/') < segment.len) return LIVE_NOWHERE;
    return find_room(segment, address, to);
}

/* ---- the frame ---- */

static void add(struct buf *out, const char *markup)
{
    buf_add(out, slice_from(markup));
}

static void add_asset(struct buf *out, const struct frame *frame, const char *name)
{
    if (frame->add_asset != NULL) {
        frame->add_asset(out, name);
        return;
    }
    add(out, "/assets/");
    add(out, name);
}

static void add_script(struct buf *out, const struct frame *frame, const char *name, bool tracked)
{
    add(out, tracked ? "<script defer phx-track-static src=\"" : "<script defer src=\"");
    add_asset(out, frame, name);
    add(out, "\"></script>\n");
}

static void add_meta(struct buf *out, const char *name, struct slice content)
{
    add(out, "<meta name=\"");
    add(out, name);
    add(out, "\" content=\"");
    buf_add_html(out, content);
    add(out, "\">\n");
}

static void add_head(struct buf *out, const struct frame *frame)
{
    add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1, "
             "viewport-fit=cover, interactive-widget=resizes-content\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n"
             "<meta name=\"theme-color\" media=\"(prefers-color-scheme: light)\" "
             "content=\"#f5f2ea\">\n"
             "<meta name=\"theme-color\" media=\"(prefers-color-scheme: dark)\" "
             "content=\"#1d1b17\">\n");
    if (frame->csrf.len > 0) add_meta(out, "csrf-token", frame->csrf);
    if (frame->session.len > 0) add_meta(out, "nodes", frame->nodes);
    add(out, "<title data-suffix=\" - ");
    buf_add_html(out, frame->ui_title);
    add(out, "\">");
    buf_add_html(out, frame->title);
    add(out, " - ");
    buf_add_html(out, frame->ui_title);
    add(out, "</title>\n<link rel=\"icon\" href=\"");
    add_asset(out, frame, "favicon.svg");
    add(out, "\" type=\"image/svg+xml\">\n<link rel=\"stylesheet\" phx-track-static href=\"");
    add_asset(out, frame, "livetea.css");
    add(out, "\">\n");
    if (frame->session.len > 0) {
        add_script(out, frame, "phoenix.min.js", true);
        add_script(out, frame, "phoenix_live_view.min.js", true);
        add_script(out, frame, "app.js", true);
    }
    add(out, "</head>\n");
}

void pages_frame(struct buf *out, const struct frame *frame)
{
    add_head(out, frame);
    add(out, "<body>\n<div id=\"lt\"");
    if (frame->session.len > 0) {
        add(out, " data-phx-main data-phx-session=\"");
        buf_add_html(out, frame->session);
        add(out, "\" data-phx-static=\"\"");
    }
    add(out, ">");
    buf_add(out, frame->content);
    add(out, "</div>\n</body>\n</html>\n");
}

void pages_add_unread(struct buf *out, uint64_t unread)
{
    if (unread == 0) return;
    if (unread > 99)
        add(out, "(99+) ");
    else
        buf_printf(out, "(%" PRIu64 ") ", unread);
}

void pages_style_nonce(char out[PAGES_NONCE], const struct identity *identity)
{
    enum { NONCE_BYTES = 16 };
    uint8_t digest[SHA256_SIZE];
    struct slice parts[] = {
        SLICE("style nonce"),
        slice_make(identity->session, sizeof identity->session),
        slice_make(&identity->issued_s, sizeof identity->issued_s),
    };
    struct buf text;
    crypto_sha256(digest, parts, sizeof parts / sizeof parts[0]);
    buf_init(&text, 2 * PAGES_NONCE);
    crypto_add_base64url(&text, digest, NONCE_BYTES);
    memcpy(out, text.at, PAGES_NONCE - 1);
    out[PAGES_NONCE - 1] = '\0';
    buf_close(&text);
}

/* An origin as we allow it into a header: no blanks, quotes, commas or semicolons. */
static bool is_plain(struct slice url)
{
    for (size_t i = 0; i < url.len; i++) {
        char c = url.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == ':' || c == '/' || c == '-' || c == '_' || c == '[' ||
                     c == ']';
        if (!plain) return false;
    }
    return true;
}

static void add_sockets(struct buf *out, struct slice nodes)
{
    while (nodes.len > 0) {
        struct slice url = slice_cut(&nodes, ' ');
        if (!is_plain(url)) continue;
        if (slice_starts(url, slice_of("http://"))) {
            add(out, " ws://");
            buf_add(out, slice_skip(url, 7));
        } else if (slice_starts(url, slice_of("https://"))) {
            add(out, " wss://");
            buf_add(out, slice_skip(url, 8));
        }
    }
}

void pages_csp(struct buf *out, struct slice nodes, const char *nonce)
{
    add(out, "default-src 'none'; script-src 'self'; style-src 'self'");
    if (nonce != NULL) {
        add(out, " 'nonce-");
        add(out, nonce);
        buf_add_char(out, '\'');
    }
    add(out, "; img-src 'self' data:; connect-src 'self'");
    add_sockets(out, nodes);
    add(out, "; font-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
}

/* ---- pages that are not live ---- */

static void begin_notice(struct buf *out, const char *heading)
{
    add(out, "<div class=\"app on-home\"><main class=\"main\"><div class=\"page\">"
             "<div class=\"narrow notice\"><h1>");
    add(out, heading);
    add(out, "</h1><p>");
}

static void end_notice(struct buf *out)
{
    add(out, "</p><p><a class=\"btn\" href=\"/\">All rooms</a></p></div></div></main></div>");
}

void pages_not_found(struct buf *out, struct slice path)
{
    enum { SHOWN_BYTES = 200 };
    struct slice shown = slice_first(path, SHOWN_BYTES);
    begin_notice(out, "Nothing here");
    add(out, "There is no page at this address, and no room can have it as its name. ");
    if (shown.len > 0 && text_valid(shown)) {
        add(out, "<code>");
        buf_add_html(out, shown);
        add(out, "</code>");
    }
    end_notice(out);
}

void pages_unavailable(struct buf *out, struct slice sentence, const struct board *board,
                       struct slice path)
{
    begin_notice(out, "One moment");
    buf_add_html(out, sentence);
    if (board != NULL) side_add_elsewhere(out, board, path);
    end_notice(out);
}
